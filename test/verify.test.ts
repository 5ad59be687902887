import fs from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { verify } from '../src/commands/verify.ts';
import { runCommand } from './helpers/command.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const server = await startTestServer();
const settings = ['--database-url', String(server.db.options.connectionString), '--artifacts-url', pathToFileURL(server.artifactDir).href];

const run = (...flags: string[]) => runCommand(verify, [...settings, ...flags]);

async function seedVersion(content: string) {
  const { body } = await server.post('runs/create', { experiment_id: '0', start_time: 1 }).expect(200);
  const { run_id, artifact_uri } = body.run.info;
  const root = artifact_uri.replace('mlflow-artifacts:/', '');
  await fetch(`${server.url}${FILES}/${root}/model/file.bin`, { method: 'PUT', body: content });
  const name = freshName();
  await server.post('registered-models/create', { name }).expect(200);
  await server.post('model-versions/create', { name, source: `runs:/${run_id}/model`, run_id }).expect(200);
  const { rows } = await server.db.query<{ storage_key: string }>(
    'select b.storage_key from blobs b join artifacts a on a.blob_id = b.id where a.path = $1',
    [`${root}/model/file.bin`],
  );
  const key = rows[0]?.storage_key ?? '';
  return {
    name,
    url: `${server.url}${FILES}/${root}/model/file.bin`,
    file: path.join(server.artifactDir, 'blobs', key.slice(0, 2), key),
    root,
  };
}

describe('verify', () => {
  it('finds changed and missing files, says which versions and paths have them, and finds them whole again', async () => {
    const [good, changed, missing] = [await seedVersion('good'), await seedVersion('changed later'), await seedVersion('missing later')];
    expect(await run()).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Read 3 files \(30 bytes\).*compared 3 versions: no damage found\.\n$/),
    });

    await fs.writeFile(changed.file, 'changed LATER');
    await fs.rename(missing.file, `${missing.file}.away`);
    const damage = await run();
    expect(damage.code).toBe(1);
    expect(damage.stdout).toMatch(/^changed: SHA-256 [\da-f]{64} \(13 bytes, key .*\)$/m);
    expect(damage.stdout).toContain(
      `    version 1 of ${changed.name} (workspace default): file.bin\n    workspace default: ${changed.root}/model/file.bin\n`,
    );
    expect(damage.stdout).toMatch(/^missing: SHA-256 [\da-f]{64} \(13 bytes, key .*\)$/m);
    expect(damage.stdout).toContain(`    version 1 of ${missing.name} (workspace default): file.bin\n`);
    expect(damage.stdout).not.toContain(good.name);
    expect(damage.stdout).toContain('2 damaged files.');
    expect([(await fetch(good.url)).status, (await fetch(changed.url)).status]).toEqual([200, 410]);

    expect(await run('--model', good.name)).toMatchObject({ code: 0, stdout: expect.stringContaining('Read 1 file (4 bytes)') });
    expect(await run('--model', changed.name, '--version', '1')).toMatchObject({ code: 1 });

    await fs.writeFile(changed.file, 'changed later');
    await fs.rename(`${missing.file}.away`, missing.file);
    expect(await run()).toMatchObject({ code: 0, stdout: expect.stringContaining('no damage found, 2 files whole again.') });
    expect(await (await fetch(changed.url)).text()).toBe('changed later');
  });

  it('finds a version whose list of files is not the one it was registered with', async () => {
    const { name } = await seedVersion('listed');
    await server.db.query(
      "update model_version_files set path = 'renamed' where model_id = (select id from registered_models where name = $1)",
      [name],
    );
    const { code, stdout } = await run('--model', name);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      new RegExp(`^changed: version 1 of ${name} \\(workspace default\\) has the digest [\\da-f]{64}, its files have [\\da-f]{64}$`, 'm'),
    );
    await server.db.query("update model_version_files set path = 'file.bin' where path = 'renamed'");
  });

  it('names a model that is not there, and refuses an empty store', async () => {
    expect(await run('--model', 'nobody')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Registered Model with name=nobody not found'),
    });
    const empty = await fs.mkdtemp(path.join(server.artifactDir, 'empty-'));
    const wrong = await run('--artifacts-url', pathToFileURL(empty).href);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('holds nothing') });
    const { rows } = await server.db.query('select from blobs where damaged_timestamp is not null');
    expect(rows).toHaveLength(0);
  });
});
