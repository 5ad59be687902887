import { describe, expect, inject, it } from 'vitest';
import { groups } from './groups.ts';
import { randomWalk } from './random-walk.ts';
import { report, runGroups, shortestFailure } from './runner.ts';

const WALKS = 8;
const STEPS = 150;
// Any number: a failure prints it, and `main.ts --walk <seed>` walks it again.
const FIRST_SEED = Math.floor(Date.now() / 86_400_000);

describe('the same request to the stock server and to ours', () => {
  it.each(groups)('gets the same answer: $group', async (group) => {
    const { stock, stockWithWorkspaces, ours } = inject('compared');
    const outcomes = await runGroups([group], group.workspaces ? stockWithWorkspaces : stock, ours);
    console.log(report(outcomes).split('\n')[0]);
    const problems = outcomes.filter(({ problem }) => problem !== null);
    expect(problems.length, report(outcomes)).toBe(0);
  });

  it.each(Array.from({ length: WALKS }, (_, i) => FIRST_SEED + i))('gets the same answer on a random walk, seed %d', async (seed) => {
    const { stock, ours } = inject('compared');
    const outcomes = await runGroups([{ group: 'walk', cases: [randomWalk(seed, STEPS)] }], stock, ours);
    expect(shortestFailure(outcomes), `seed ${seed}`).toBe('');
  });
});
