import { describe, expect, it } from 'vitest';
import { get, type Step } from '../compat/differential/case.ts';
import { type Answer, canonical, differsInWords, judge } from '../compat/differential/compare.ts';
import { groups } from '../compat/differential/groups.ts';
import { randomFilters } from '../compat/differential/random-filters.ts';

const answer = (body: unknown, status = 200, headers: Record<string, unknown> = {}): Answer => ({
  status,
  contentType: 'application/json',
  headers,
  body,
});
const refusal = (message: string, error_code = 'INVALID_PARAMETER_VALUE') => answer({ error_code, message }, 400);
const step = (more: Partial<Step> = {}): Step => get('runs/get', undefined, more);
const better = step({ differs: 'aliases are shown', ours: { status: 200, has: { 'models.0.aliases': ['a'], 'models.1': undefined } } });
const withAlias = answer({ models: [{ aliases: ['a'], name: 'x' }] });
const without = answer({ models: [{ name: 'x' }] });

describe('the comparison with the stock server', () => {
  it('finds another body, status or header', () => {
    expect(judge(step(), without, without)).toBeNull();
    expect(judge(step(), without, withAlias)).toContain('stock 200');
    expect(judge(step(), answer({}), answer({}, 201))).toContain('201');
    expect(judge(step(), answer({}, 405, { allow: 'GET' }), answer({}, 405))).toContain('allow');
    expect(judge(step(), answer({}), answer({}, 200, { 'x-frame-options': 'DENY' }))).toBeNull();
    expect(judge(step(), answer({}, 200, { 'x-frame-options': 'DENY' }), answer({}))).toContain('x-frame-options');
  });

  it('wants the part that proves a listed improvement', () => {
    expect(judge(better, without, withAlias)).toBeNull();
    expect(judge(better, without, answer({ models: [{ aliases: ['b'] }] }))).toContain('wanted');
    expect(judge(better, without, answer({ models: [{ aliases: ['a'] }, {}] }))).toContain('wanted');
    expect(judge(better, without, answer({ models: [] }))).toContain('wanted');
  });

  it('tells when the stock server agrees with a listed improvement, or shows the part that should prove it', () => {
    expect(judge(better, withAlias, withAlias)).toContain('both answer');
    expect(judge(better, answer({ models: [{ aliases: ['a'] }], more: 1 }), withAlias)).toContain('shows no difference');
  });

  it('takes a refusal for a broken stock server, and other words, from requests nobody thought of alone', () => {
    const broken = answer({ error_code: 'INTERNAL_ERROR', message: 'x' }, 500);
    expect(judge(step({ random: true }), broken, refusal('no'))).toBeNull();
    expect(judge(step(), broken, refusal('no'))).not.toBeNull();
    expect(judge(step({ random: true }), broken, answer({}))).not.toBeNull();
    expect(differsInWords(refusal('a'), refusal('b'))).toBe(true);
    expect(differsInWords(refusal('a'), refusal('a', 'RESOURCE_DOES_NOT_EXIST'))).toBe(false);
  });

  it('finds too few pages, and a token on the last', () => {
    expect(judge(step({ everyPage: 2 }), answer([{}]), answer([{}]))).toContain('fewer than 2 pages');
    const token = (text: string) => canonical(answer({ next_page_token: text }), {}).body;
    expect(token('abc')).toEqual(token('xyz'));
    expect(token('')).not.toEqual(token('xyz'));
  });

  it('has a reason and a proof for each step that differs', () => {
    const listed = groups.flatMap(({ cases }) => cases.flatMap(({ steps }) => steps.filter(({ differs }) => differs !== undefined)));
    const bare = listed.filter(({ ours }) => ours && !('body' in ours) && Object.keys(ours.has).length === 0);
    expect([listed.length > 100, listed.filter(({ differs }) => differs === ''), bare]).toEqual([true, [], []]);
  });

  it('makes the same random filters of the same seed', () => {
    expect(randomFilters(7, 20)).toEqual(randomFilters(7, 20));
    expect(randomFilters(7, 20)).not.toEqual(randomFilters(8, 20));
  });
});
