import { describe, expect, inject, it } from 'vitest';
import { groups } from './groups.ts';
import { report, runGroups } from './runner.ts';

describe('the same request to the stock server and to ours', () => {
  it.each(groups)('gets the same answer: $group', async (group) => {
    const { stock, ours } = inject('compared');
    const outcomes = await runGroups([group], stock, ours);
    console.log(report(outcomes).split('\n')[0]);
    const problems = outcomes.filter(({ problem }) => problem !== null);
    expect(problems.length, report(outcomes)).toBe(0);
  });
});
