import fs from 'node:fs/promises';
import { describe, expect, it } from 'vitest';

/** Until this one nothing was released: the rules hold for what comes after it. */
const LAST_FREE = '20261121012000_audit.js';

const CONTRACTION = /^\d{14}_contract_(\d{14})_\w+\.js$/;
const TAKES_AWAY =
  /\bdrop\s+(table|column|view|function|type)\b|\brename\s+(to|column)\b|\balter\s+column\s+\S+\s+(set\s+data\s+)?type\b/gi;
const REFUSES_OLD_WRITES = /\bset\s+not\s+null\b|\badd\s+column\b(?=[^,;`]*\bnot\s+null\b)(?![^,;`]*\bdefault\b)[^,;`]*/gi;
const INDEX = /\bcreate\s+(?:unique\s+)?index\s+(concurrently\s+)?(?:if\s+not\s+exists\s+)?(?:\w+\s+)?on\s+(?:only\s+)?(\w+)/gi;
const TABLE = /\bcreate\s+table\s+(?:if\s+not\s+exists\s+)?(\w+)/gi;

/** What of a migration the previous release, which runs beside it, would suffer from (docs/decisions/0011-upgrades.md). */
function complaintsAbout(name: string, source: string, others: string[]): string[] {
  const [up = ''] = source.split(/^export (?:const|(?:async )?function) down\b/m);
  const code = up.replace(/^\s*--.*$/gm, '');
  const found: string[] = [];
  const takes = [...code.matchAll(TAKES_AWAY), ...code.matchAll(REFUSES_OLD_WRITES)].map(([text]) => text.replace(/\s+/g, ' '));
  const [, replacedBy] = CONTRACTION.exec(name) ?? [];
  if (takes.length > 0 && !(replacedBy && /^\/\/ contract: \S/m.test(source))) found.push(...takes);
  if (replacedBy && !others.some((other) => other.startsWith(`${replacedBy}_`))) found.push(`there is no migration ${replacedBy}`);
  const made = new Set([...code.matchAll(TABLE)].map(([, table]) => table));
  for (const [text, concurrently, table] of code.matchAll(INDEX)) {
    if (!concurrently && !made.has(table)) found.push(text.replace(/\s+/g, ' '));
    if (concurrently && !/\btransaction: false\b/.test(source)) found.push(`${text.replace(/\s+/g, ' ')} in a transaction`);
  }
  return found;
}

describe('migrations', () => {
  it('leave the previous release what it needs, and its writers their tables', async () => {
    const directory = new URL('../migrations/', import.meta.url);
    const names = (await fs.readdir(directory)).toSorted();
    expect(names).toContain(LAST_FREE);
    for (const name of names.filter((name) => name > LAST_FREE))
      expect([name, complaintsAbout(name, await fs.readFile(new URL(name, directory), 'utf8'), names)]).toEqual([name, []]);
  });

  const inUp = (sql: string) =>
    `export const up = (knex) => knex.raw(\`${sql}\`);\nexport const down = (knex) => knex.raw('drop table t');`;

  it.each([
    [
      'create table t (a text not null); create index t_a on t (a); alter table runs add column b text, add column c text not null default 1',
      [],
    ],
    ['alter table runs drop column name', ['drop column']],
    ['alter table runs rename column name to title', ['rename column']],
    ['alter table runs alter column name type bytea', ['alter column name type']],
    ['alter table runs add column b text not null', ['add column b text not null']],
    ['alter table runs alter column name set not null', ['set not null']],
    ['create index runs_name on runs (name)', ['create index runs_name on runs']],
    ['create unique index concurrently x on runs (name)', ['create unique index concurrently x on runs in a transaction']],
  ])('%s', (sql, complaints) => {
    expect(complaintsAbout('20270101000000_x.js', inUp(sql), [])).toEqual(complaints);
  });

  it('may take away what the release before no longer uses, when they say so', () => {
    const source = `// contract: nothing has read it since 0.9\n${inUp('alter table runs drop column name')}`;
    const others = ['20261231000000_titles.js'];
    expect(complaintsAbout('20270101000000_contract_20261231000000_names.js', source, others)).toEqual([]);
    expect(complaintsAbout('20270101000000_contract_20261230000000_names.js', source, others)).toEqual([
      'there is no migration 20261230000000',
    ]);
    expect(complaintsAbout('20270101000000_names.js', source, others)).toEqual(['drop column']);
    expect(complaintsAbout('20270101000000_contract_20261231000000_names.js', inUp('drop table runs'), others)).toEqual(['drop table']);
  });
});
