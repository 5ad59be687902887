import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, Registry } from 'prom-client';
import { type Db, run, statement } from '../platform/db/database.ts';

/** Scrapers wait for 10 s: what this process counted reaches them also while the database does not answer. */
const ANSWER_WITHIN_MS = 2000;

const STATE = statement(
  'server_state',
  `select
     (select count(*) from webhook_deliveries where status = 'PENDING') as model_commons_webhook_deliveries_pending,
     (select count(*) from audit_unsealed) as model_commons_audit_events_unsealed,
     (select count(*) from artifact_uploads where finished_timestamp is null) as model_commons_artifact_uploads_open,
     (select greatest(reltuples, 0)::bigint from pg_class where oid = 'blobs'::regclass) as model_commons_blobs`,
);

const HELP = {
  model_commons_webhook_deliveries_pending: 'Webhook deliveries that are to be sent, or sent again.',
  model_commons_audit_events_unsealed: 'Events of the audit that are not in its chain yet.',
  model_commons_artifact_uploads_open: 'Uploads in parts that have begun and not ended.',
  model_commons_blobs: 'Distinct contents that are stored; an estimate of PostgreSQL.',
};

type State = Record<keyof typeof HELP, number>;

/**
 * How much of what there is in the database, in the text format of Prometheus: the same whichever server of a database is asked. Without an answer of the
 * database it says only that.
 */
export async function stateText(db: Db): Promise<string> {
  const registry = new Registry();
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const asked = run<State>(db, STATE).catch(() => []);
  const [state] = await Promise.race([asked, sleep(ANSWER_WITHIN_MS, [], { ref: false })]);
  gauge('model_commons_database_up', '1 while the database answers, or else 0.').set(state ? 1 : 0);
  if (state) for (const [name, help] of Object.entries(HELP)) gauge(name, help).set(state[name as keyof State]);
  return registry.metrics();
}
