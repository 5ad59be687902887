import { invalidParameter } from '../../platform/errors.ts';
import { protoEnum } from '../../platform/fields.ts';
import { pythonRepr } from '../../platform/python.ts';

/** What can happen to what (mlflow/entities/webhook.py, VALID_ENTITY_ACTIONS). A budget policy is never exceeded here: there is no gateway. */
const ACTIONS = {
  registered_model: ['created'],
  model_version: ['created'],
  model_version_tag: ['deleted', 'set'],
  model_version_alias: ['created', 'deleted'],
  prompt: ['created'],
  prompt_version: ['created'],
  prompt_tag: ['deleted', 'set'],
  prompt_version_tag: ['deleted', 'set'],
  prompt_alias: ['created', 'deleted'],
  budget_policy: ['exceeded'],
} as const;

type Entity = keyof typeof ACTIONS;

/** An event as MLflow writes it in code: `model_version.created`. */
export type EventName = { [E in Entity]: `${E}.${(typeof ACTIONS)[E][number]}` }[Entity];

export const eventEntity = protoEnum({
  REGISTERED_MODEL: 1,
  MODEL_VERSION: 2,
  MODEL_VERSION_TAG: 3,
  MODEL_VERSION_ALIAS: 4,
  PROMPT: 5,
  PROMPT_VERSION: 6,
  PROMPT_TAG: 7,
  PROMPT_VERSION_TAG: 8,
  PROMPT_ALIAS: 9,
  BUDGET_POLICY: 10,
});

export const eventAction = protoEnum({ CREATED: 1, UPDATED: 2, DELETED: 3, SET: 4, EXCEEDED: 5 });

/** An event on the wire: names in upper case. */
export type WireEvent = { entity: string; action: string };

/** Throws MLflow's sentence for an action that the entity does not have. */
export function eventName(event: WireEvent): EventName {
  const [entity, action] = [event.entity.toLowerCase() as Entity, event.action.toLowerCase()];
  const actions: readonly string[] = ACTIONS[entity];
  if (!actions.includes(action)) {
    throw invalidParameter(`Invalid action '${action}' for entity '${entity}'. Valid actions are: [${actions.map(pythonRepr).join(', ')}]`);
  }
  return `${entity}.${action}` as EventName;
}

/** The names of a list of events, each once. Throws as `eventName`, and for one that is given twice. */
export function eventNames(events: WireEvent[]): EventName[] {
  const names = events.map(eventName);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice) throw invalidParameter(`Event '${twice}' is given twice.`);
  return names;
}

export function toWireEvent(name: EventName): WireEvent {
  const [entity = '', action = ''] = name.toUpperCase().split('.');
  return { entity, action };
}
