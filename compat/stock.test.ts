import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import { runPython } from './run-python.ts';

const folder = join(import.meta.dirname, 'stock');
const scripts = readdirSync(folder).filter((file) => file.endsWith('.py') && file !== 'common.py');
const clients = (script: string) => (script.startsWith('classic_') ? (['3.17', '2.22', '1.30'] as const) : (['3.17'] as const));

describe.each(scripts)('%s', (script) => {
  it.each(clients(script))('passes with the stock mlflow %s client', async (client) => {
    const output = await runPython(inject('pythons')[client], join(folder, script), inject('trackingUri'));
    expect(output).toMatch(/^ok /m);
    expect(output).not.toMatch(/^not ok /m);
  });
});
