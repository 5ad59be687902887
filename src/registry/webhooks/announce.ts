import { type Db, run, statement } from '../../platform/db/database.ts';
import type { Scope } from '../../scopes/entity.ts';
import { IS_PROMPT_TAG, type ModelKey } from '../registered-models/entity.ts';
import { eventBody } from './body.ts';
import { insertDeliveries } from './deliveries.ts';
import type { EventName } from './events.ts';

type Event = { event: string; data: Record<string, unknown> };

/** Stores what is to be sent of a change, in its transaction. */
export async function storeEvent({ db, scope }: { db: Db; scope: Scope }, { event, data }: Event): Promise<void> {
  await insertDeliveries(db, scope.id, event, eventBody(event, data, scope));
}

const IS_PROMPT = statement(
  'registered_model_is_prompt',
  `select exists (
     select from registered_models m join registered_model_tags t on t.model_id = m.id and t.key = :key and lower(t.value) = 'true'
     where m.scope_id = :scope and m.name = :name) as found`,
);

async function isPrompt(db: Db, key: ModelKey): Promise<boolean> {
  const [row] = await run<{ found: boolean }>(db, IS_PROMPT, { ...key, key: IS_PROMPT_TAG });
  return row?.found === true;
}

/**
 * Declares the event of a change to something of a model: for a prompt's it is another one. `ofModel` is null where only a prompt's is one. The data are
 * these arguments of the request, as text.
 */
export function changeOfModel<Field extends string>(ofModel: EventName | null, ofPrompt: EventName, fields: readonly ('name' | Field)[]) {
  return {
    names: ofModel ? [ofModel, ofPrompt] : [ofPrompt],
    async of({
      db,
      scope,
      input,
    }: {
      db: Db;
      scope: Scope;
      input: { name: string } & Record<Field, string | number>;
    }): Promise<Event | null> {
      const event = (await isPrompt(db, { scope: scope.id, name: input.name })) ? ofPrompt : ofModel;
      return event && { event, data: Object.fromEntries(fields.map((field) => [field, String(input[field])])) };
    },
  };
}
