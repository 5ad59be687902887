import { whereVisible } from '../../access/can.ts';
import type { Services } from '../../endpoint.ts';
import { sqlBuilder } from '../../platform/db/database.ts';
import { invalidParameter } from '../../platform/errors.ts';
import { parseOrderBy } from '../../platform/search/order-by.ts';
import { fetchPage, type Sort } from '../../platform/search/page.ts';
import { parseFilter, trimKey } from '../../platform/search/parse-filter.ts';
import { addressSearch, versionInWords } from '../address-model.ts';
import { visibleVersions } from '../permissions.ts';
import { IS_PROMPT_TAG } from '../registered-models/entity.ts';
import { refuseRepeats, type SearchInput } from '../registered-models/search.ts';
import { type AttributeFields, asksForPrompts, exactName, isOfOneModel, toTerm, whereNoPrompt, whereTerms } from '../search-terms.ts';
import { VERSION_COLUMNS } from './columns.ts';
import type { ModelVersionRow } from './entity.ts';

const FIELDS: AttributeFields = {
  name: { column: 'm.name', lists: true },
  version_number: { column: 'v.version', numeric: true },
  run_id: { column: 'v.run_id', lists: true },
  source_path: { column: 'v.source' },
};
const SORT_COLUMNS: Record<string, string> = {
  name: 'm.name',
  version_number: 'v.version',
  creation_timestamp: 'v.creation_timestamp',
  last_updated_timestamp: 'v.last_updated_timestamp',
};

/**
 * Finds versions, those updated last first unless told otherwise. The rows carry their aliases, which the stock server's do not. Prompts are left
 * out unless the filter asks for them: one version with the prompt tag hides all versions of its model, as on the stock server.
 */
export async function searchModelVersions(
  services: Pick<Services, 'db' | 'scope' | 'address' | 'caller'>,
  input: SearchInput,
): Promise<{ rows: ModelVersionRow[]; nextPageToken: string | null }> {
  const given = parseFilter(input.filter, (clause) => toTerm(clause, FIELDS));
  const { scope, words, terms } = await addressSearch(services, given);
  const query = sqlBuilder('model_versions as v')
    .joinRaw('join registered_models as m on m.id = v.model_id')
    .select(sqlBuilder.raw(VERSION_COLUMNS))
    .where('m.scope_id', scope.id);
  const prompts = asksForPrompts(terms);
  whereVisible(query, 'm.name', visibleVersions(services.caller, scope, prompts));
  const wanted = prompts ? terms : terms.filter(({ type, key }) => type !== 'tag' || key !== IS_PROMPT_TAG);
  const name = exactName(wanted);
  const oneModel =
    name !== undefined && sqlBuilder.raw('(select id from registered_models where scope_id = ? and name = ?)', [scope.id, name]);
  // By one id they come from the index in the order of their numbers.
  if (oneModel) query.whereRaw('v.model_id = ?', [oneModel]);
  if (!prompts) whereNoPrompt(query, 'model_version_tags', oneModel || sqlBuilder.raw('m.id'));
  whereTerms(query, wanted, FIELDS, { table: 'model_version_tags', join: 't.model_id = v.model_id and t.version = v.version' });
  const page = await fetchPage<ModelVersionRow>(services.db, query, {
    sorts: sortsOf(input.order_by),
    limit: input.max_results,
    pageToken: input.page_token,
    fingerprint: ['model_versions', scope.id, input.filter ?? '', input.order_by],
    prepared: isOfOneModel(wanted),
  });
  return words ? { ...page, rows: page.rows.map((row) => versionInWords(row, words)) } : page;
}

function sortsOf(orderBy: string[]): Sort[] {
  const sorts: Sort[] = orderBy.map((clause) => {
    const { key, descending } = parseOrderBy(clause);
    const column = trimKey(key.replace(/^attribute\./, ''));
    const sql = Object.hasOwn(SORT_COLUMNS, column) && SORT_COLUMNS[column];
    if (!sql) {
      const valid = Object.keys(SORT_COLUMNS).map((name) => `'${name}'`);
      throw invalidParameter(`Invalid attribute key '${trimKey(key)}' specified. Valid keys are '{${valid.join(', ')}}'`);
    }
    return { sql, descending };
  });
  refuseRepeats(sorts, orderBy);
  const ties: Sort[] = [
    ...(sorts.length === 0 ? [{ sql: 'v.last_updated_timestamp', descending: true }] : []),
    { sql: 'm.name', descending: false },
    { sql: 'v.version', descending: true },
  ];
  return [...sorts, ...ties.filter((tie) => !sorts.some(({ sql }) => sql === tie.sql))];
}
