import { describe, expect, it } from 'vitest';
import type { Step } from '../compat/differential/case.ts';
import { groups } from '../compat/differential/groups.ts';
import { endpoints } from '../src/endpoints.ts';

// One that works, one at an edge, one that is refused.
const LEAST = 3;

const BASES = /^\/(?:ajax-)?api\/\d\.\d(?:\/preview(?=\/mlflow\/))?/;
const steps = groups.flatMap(({ cases }) => cases.flatMap((one) => one.steps));

/** Where a step goes, without the prefixes that all endpoints have. */
const target = ({ path }: Step) => (path.startsWith('/') ? path.replace(BASES, '') : `/mlflow/${path}`);

function isAnsweredBy(step: Step, { method, path }: { method: string; path: string }): boolean {
  const pattern = path
    .replace(BASES, '')
    .split('/')
    .map((part) => (part.startsWith('*') ? '.+' : part.startsWith(':') ? '[^/]+' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')))
    .join('/');
  return step.method === method && new RegExp(`^${pattern}$`).test(target(step));
}

// The stock server has no such thing, or only with an option or with login, which compat/stock-auth is about: there is nothing to compare with.
const isOursAlone = ({ path, apiVersion }: { path: string; apiVersion?: string }) =>
  path === '/' ||
  path === '/metrics' ||
  /^\/(?:login|logout|setup)(?:\/|$)/.test(path) ||
  apiVersion === '1.0' ||
  /^\/mlflow\/(?:users|roles|workspace-permissions)(?:\/|$)|\/permissions(?:\/|$)/.test(path) ||
  /^\/mlflow-artifacts\/(?:mpu\/parts|signed)\//.test(path);
const compared = endpoints.filter((endpoint) => !isOursAlone(endpoint)).map(({ method, path }) => ({ method, path }));

describe('compat/differential', () => {
  it.each(compared)('has cases of $method $path', (endpoint) => {
    const requests = steps.filter((step) => isAnsweredBy(step, endpoint)).map((step) => JSON.stringify({ ...step, save: null }));
    expect(new Set(requests).size).toBeGreaterThanOrEqual(LEAST);
  });
});
