import { z } from 'zod';
import type { Case, Step } from '../../compat/differential/case.ts';
import { groups } from '../../compat/differential/groups.ts';
import { picker } from '../../compat/differential/random-numbers.ts';
import { endpoints } from '../../src/endpoints.ts';
import type { Draft } from './request.ts';
import { HOSTILE_TEXTS, HOSTILE_VALUES, type Memory } from './values.ts';

/** Calls of clients as compat/differential has them, in the order in which they build on each other. */
export const recorded: readonly Case[] = groups.flatMap(({ cases }) => cases);

/** A recorded step with the values that the steps before it have saved. */
export function draftOf(step: Step, saved: Record<string, string>): Draft {
  const fill = (text: string) => text.replace(/\{\{(\w+)\}\}/g, (_, name: string) => saved[name] ?? '');
  const body = step.body === undefined ? {} : { body: JSON.parse(fill(JSON.stringify(step.body))) as unknown };
  const raw = step.bytes ? { raw: Buffer.from(step.bytes) } : step.raw === undefined ? {} : { raw: Buffer.from(fill(step.raw)) };
  const [path = '', query = ''] = fill(step.path.startsWith('/') ? step.path : `/api/2.0/mlflow/${step.path}`).split(/\?(.*)/s);
  return {
    method: step.method,
    path,
    query: [
      ...new URLSearchParams(query),
      ...Object.entries(step.query ?? {}).flatMap(([name, values]) => [values].flat().map((one): [string, string] => [name, fill(one)])),
    ],
    headers: {
      ...(step.body !== undefined && { 'Content-Type': 'application/json' }),
      ...Object.fromEntries(Object.entries(step.headers ?? {}).map(([name, value]) => [name, fill(value)])),
    },
    ...body,
    ...raw,
  };
}

/** What a step saves of an answer for those after it. */
export function savedBy(step: Step, body: unknown): Record<string, string> {
  const pick = (path: string) => path.split('.').reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], body);
  return Object.fromEntries(Object.entries(step.save ?? {}).map(([name, path]) => [name, String(pick(path) ?? '')]));
}

/** A request that fits one of the declared endpoints, of values that are there, might be there, or could not be. */
export function declared(random: () => number, memory: Memory): Draft {
  const pick = picker(random);
  const endpoint = pick(endpoints);
  const version = endpoint.apiVersion ?? '2.0';
  const prefix =
    version === 'none'
      ? ''
      : pick([`/api/${version}`, `/api/${version}`, `/ajax-api/${version}`, ...(version === '2.0' ? ['/api/2.0/preview'] : [])]);
  const arguments_: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(endpoint.input.shape)) {
    if (random() < 0.8) arguments_[name] = valueFor(name, schema as z.ZodType, random, memory);
  }
  const path = endpoint.path.replace(/[:*](\w+)/g, (_, name: string) => String(textFor(name, random, memory)));
  const inQuery = endpoint.method === 'GET' && random() < 0.9;
  const asText = (value: unknown) => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  return {
    method: endpoint.method,
    path: prefix + path,
    query: inQuery
      ? Object.entries(arguments_).flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, asText(one)]))
      : [],
    headers: inQuery ? {} : { 'Content-Type': 'application/json' },
    ...(endpoint.kind === 'stream' && endpoint.method === 'PUT' ? { raw: Buffer.from('some bytes') } : inQuery ? {} : { body: arguments_ }),
  };
}

function valueFor(name: string, schema: z.ZodType, random: () => number, memory: Memory): unknown {
  const pick = picker(random);
  const inner = unwrap(schema);
  if (random() < 0.05) return pick(HOSTILE_VALUES);
  if (inner instanceof z.ZodArray) {
    return Array.from({ length: Math.floor(random() * 3) }, () =>
      valueFor(name.replace(/s$/, ''), inner.element as z.ZodType, random, memory),
    );
  }
  if (inner instanceof z.ZodObject) {
    return Object.fromEntries(Object.entries(inner.shape).map(([field, of]) => [field, valueFor(field, of as z.ZodType, random, memory)]));
  }
  if (inner instanceof z.ZodBoolean) return pick([true, false]);
  if (inner instanceof z.ZodEnum) return pick(inner.options);
  return textFor(name, random, memory);
}

function unwrap(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable
    ? unwrap(schema.unwrap() as z.ZodType)
    : schema;
}

// What fields are called that take the values of others.
const SAME_AS: Record<string, string> = {
  new_name: 'name',
  run_uuid: 'run_id',
  experiment_ids: 'experiment_id',
  run_ids: 'run_id',
  path: 'artifact_path',
  stage: 'current_stage',
  metric_key: 'key',
  source: 'artifact_uri',
  id: 'webhook_id',
};
const NUMBERS = /^(max_results|step|timestamp|start_time|end_time|value|num_parts|offset|start_step|end_step)$/;

function textFor(name: string, random: () => number, memory: Memory): string | number {
  const pick = picker(random);
  if (random() < 0.1) return pick(HOSTILE_TEXTS);
  if (NUMBERS.test(name)) return pick([0, 1, 2, 10, 1000, -1, '1', '5']);
  const known = memory.of(random() < 0.9 ? name : (SAME_AS[name] ?? name));
  const same = known.length > 0 ? known : memory.of(SAME_AS[name] ?? '');
  return same.length > 0 ? pick(same) : `${name}-${Math.floor(random() * 20)}`;
}
