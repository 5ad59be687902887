import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { runPython } from './run-python.ts';

const root = join(import.meta.dirname, '..');
const script = join(root, 'examples', 'quickstart.py');

describe('examples/quickstart.py', () => {
  it('is the code that the README shows', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8');
    expect(readme).toContain(`\`\`\`python\n${readFileSync(script, 'utf8')}\`\`\``);
  });

  it('runs, and runs again where its model exists already', async () => {
    for (const _ of [1, 2]) {
      const output = await runPython(inject('pythons')['3.17'], script, inject('trackingUri'));
      expect(output).toMatch(/rolled back/i);
    }
  });
});
