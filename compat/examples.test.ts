import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { runPython } from './run-python.ts';

const root = join(import.meta.dirname, '..');
const pathOf = (script: string) => join(root, 'examples', script);

// What each has to print, in this order.
const EXAMPLES = {
  'quickstart.py': /champion is version \d+.*Rolled back:.*champion is version \d+/s,
  'direct_registration.py':
    /Registered version (\d+) of discount in shared: Ten.*RESOURCE_ALREADY_EXISTS: Version \1 of model 'discount'.*discount\/\1 says \[9\.0, 89\.91\]/s,
  'staging_to_production.py':
    /In staging.*registered price.*made by run (\S+)\n.*In production.*champion says \[8\.0, 79\.92\].*of staging\n.*made by run \1 of experiment.*DOES_NOT_EXIST/s,
};

describe.each(Object.entries(EXAMPLES))('examples/%s', (script, story) => {
  it('runs, and runs again where its models exist already', async () => {
    for (const _ of [1, 2]) expect(await runPython(inject('pythons')['3.17'], pathOf(script), inject('trackingUri'))).toMatch(story);
  });
});

describe('examples/quickstart.py', () => {
  it('is the code that the README shows', () => {
    expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain(`\`\`\`python\n${readFileSync(pathOf('quickstart.py'), 'utf8')}\`\`\``);
  });
});
