import { whereVisible } from '../../access/can.ts';
import type { Services } from '../../endpoint.ts';
import { sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { parseOrderBy } from '../../platform/search/order-by.ts';
import { fetchPage, type Sort } from '../../platform/search/page.ts';
import { parseFilter } from '../../platform/search/parse-filter.ts';
import { addressSearch, type Words } from '../address-model.ts';
import { showMounted } from '../mounts/show-mounted.ts';
import { visibleModels } from '../permissions.ts';
import { type AttributeFields, asksForPrompts, isOfOneModel, toTerm, whereNoPrompt, whereTerms } from '../search-terms.ts';
import { IS_PROMPT_TAG, type RegisteredModelRow } from './entity.ts';
import { MODEL_COLUMNS } from './store.ts';

const FIELDS: AttributeFields = { name: { column: 'm.name', lists: true } };
const SORT_COLUMNS: Record<string, string> = {
  name: 'm.name',
  timestamp: 'm.last_updated_timestamp',
  last_updated_timestamp: 'm.last_updated_timestamp',
};

export type SearchInput = { filter?: string | undefined; max_results: number; order_by: string[]; page_token?: string | undefined };

/**
 * Finds registered models, by name unless told otherwise. Prompts are left out unless the filter asks for them. `words` is how to tell of
 * them when they are another scope's.
 */
export async function searchRegisteredModels(
  services: Pick<Services, 'db' | 'scope' | 'address' | 'caller'>,
  input: SearchInput,
): Promise<{ rows: RegisteredModelRow[]; nextPageToken: string | null; words: Words | null }> {
  const given = parseFilter(input.filter, (clause) => toTerm(clause, FIELDS));
  const { scope, words, terms } = await addressSearch(services, given);
  const query = sqlBuilder('registered_models as m').select(sqlBuilder.raw(MODEL_COLUMNS)).where('m.scope_id', scope.id);
  const prompts = asksForPrompts(terms);
  whereVisible(query, 'm.name', visibleModels(services.caller, scope, prompts));
  if (!prompts) whereNoPrompt(query, 'registered_model_tags', sqlBuilder.raw('m.id'));
  const wanted = prompts ? terms : terms.filter(({ type, key }) => type !== 'tag' || key !== IS_PROMPT_TAG);
  whereTerms(query, wanted, FIELDS, { table: 'registered_model_tags', join: 't.model_id = m.id' });
  const page = await fetchPage<RegisteredModelRow>(services.db, query, {
    sorts: sortsOf(input.order_by),
    limit: input.max_results,
    pageToken: input.page_token,
    fingerprint: ['registered_models', scope.id, input.filter ?? '', input.order_by],
    prepared: isOfOneModel(wanted),
  });
  return { ...page, rows: await showMounted(services.db, scope, page.rows), words };
}

function sortsOf(orderBy: string[]): Sort[] {
  const sorts: Sort[] = orderBy.map((clause) => {
    const { key, descending } = parseOrderBy(clause);
    const sql = Object.hasOwn(SORT_COLUMNS, key) && SORT_COLUMNS[key];
    if (!sql) throw invalidParameter(`Invalid order by key '${key}' specified. Valid keys are '{'name', 'timestamp'}'`);
    return { sql, descending };
  });
  refuseRepeats(sorts, orderBy);
  return sorts.some(({ sql }) => sql === 'm.name') ? sorts : [...sorts, { sql: 'm.name', descending: false }];
}

/** Throws when a search is told to sort by one thing twice (a 500 on the stock server). */
export function refuseRepeats(sorts: Sort[], orderBy: string[]): void {
  if (new Set(sorts.map(({ sql }) => sql)).size === sorts.length) return;
  throw invalidParameter(`\`order_by\` contains duplicate fields: [${orderBy.map((clause) => `'${clause}'`).join(', ')}]`);
}
