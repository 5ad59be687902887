import { createHash } from 'node:crypto';
import { z } from 'zod';
import { parseExactJson, stringifyExactJson } from '../../platform/json.ts';
import type { Caller } from '../caller.ts';

const OUTCOMES = ['SUCCESS', 'DENIED', 'UNAUTHENTICATED'] as const;

/** Who did something, and from where: `client` is what the program says of itself (User-Agent). */
export type Origin = {
  actor: string;
  actor_id: number | null;
  via: Caller['via'];
  token_id: string | null;
  on_behalf_of: string;
  client: string;
  request_id: string;
};

/** What it was done with. Texts are empty where there is nothing to say. */
export type Subject = { scope: string; scope_id: number | null; resource_type: string; resource: string; version: string };

/** What is to be written; `input`, `before` and `after` are JSON as text, by `toKept`. */
export type NewEvent = Origin &
  Subject & {
    op: string;
    outcome: (typeof OUTCOMES)[number];
    count: number;
    input: string | null;
    before: string | null;
    after: string | null;
  };

/** A row of the audit. The time is epoch ms. */
export type EventRow = NewEvent & { event_id: number; timestamp: number };

const MOST_KEPT_BYTES = 8192;

/** A value as the audit keeps it: JSON, or of one of more than 8 KiB its size and SHA-256. */
export function toKept(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const json = stringifyExactJson(value);
  const size = Buffer.byteLength(json);
  return size <= MOST_KEPT_BYTES ? json : JSON.stringify({ sha256: createHash('sha256').update(json).digest('hex'), size });
}

// In the order of their names, so that the JSON of a row is the one of RFC 8785.
export const EVENT_FIELDS = [
  'actor',
  'actor_id',
  'after',
  'before',
  'client',
  'count',
  'event_id',
  'input',
  'on_behalf_of',
  'op',
  'outcome',
  'request_id',
  'resource',
  'resource_type',
  'scope',
  'scope_id',
  'timestamp',
  'token_id',
  'version',
  'via',
] as const satisfies (keyof EventRow)[];

/** What the hash of an event is over, beside the hash before it: its JSON with sorted keys and without spaces, in which input, before and after are texts. */
export const canonicalEvent = (row: EventRow): string => JSON.stringify(Object.fromEntries(EVENT_FIELDS.map((name) => [name, row[name]])));

/** An event as the API gives it. `sequence` and `hash` are its place in the chain, which it has a second or so later. */
export const AuditEvent = z.object({
  event_id: z.int(),
  timestamp: z.int(),
  actor: z.string(),
  via: z.string(),
  token_id: z.string().optional(),
  on_behalf_of: z.string().optional(),
  op: z.string(),
  outcome: z.enum(OUTCOMES),
  scope: z.string().optional(),
  resource_type: z.string(),
  resource: z.string().optional(),
  version: z.string().optional(),
  count: z.int(),
  input: z.unknown().optional(),
  before: z.unknown().optional(),
  after: z.unknown().optional(),
  client: z.string(),
  request_id: z.string(),
  sequence: z.int().optional(),
  hash: z.string().optional(),
});

/** `hash` is hex. */
export type ChainedRow = EventRow & { sequence: number | null; hash: string | null };

export function toAuditEvent(row: ChainedRow): z.infer<typeof AuditEvent> {
  const { event_id, timestamp, actor, via, op, outcome, resource_type, count, client, request_id } = row;
  const optional = ({ token_id, on_behalf_of, scope, resource, version, sequence, hash }: ChainedRow) =>
    Object.fromEntries(
      Object.entries({ token_id, on_behalf_of, scope, resource, version, sequence, hash }).filter(
        ([, value]) => value !== null && value !== '',
      ),
    );
  const parsed = ({ input, before, after }: ChainedRow) =>
    Object.fromEntries(
      Object.entries({ input, before, after }).flatMap(([key, json]) => (json === null ? [] : [[key, parseExactJson(json)]])),
    );
  return { event_id, timestamp, actor, via, op, outcome, resource_type, count, client, request_id, ...optional(row), ...parsed(row) };
}
