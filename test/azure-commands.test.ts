import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import request from 'supertest';
import { describe, expect, it, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { download } from '../src/commands/download.ts';
import { model } from '../src/commands/model.ts';
import { registry } from '../src/commands/registry.ts';
import { runCommand } from './helpers/command.ts';
import { freshName } from './helpers/seed.ts';
import { startTestServer } from './helpers/server.ts';
import { sharing } from './helpers/trained.ts';

const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const MLMODEL = 'flavors:\n  python_function:\n    loader_module: sk\n';
const server = await startTestServer(undefined, { allowPrivateIps: true });

const GROUPS = { model, registry };
const run = (group: keyof typeof GROUPS, ...flags: string[]) => runCommand(GROUPS[group], [...flags, '--server', server.url]);

/** What a command prints as JSON; it must succeed. */
async function json(group: keyof typeof GROUPS, ...flags: string[]) {
  const { code, stdout, stderr } = await run(group, ...flags);
  expect([code, stderr.replace(/^upload: .*$/gm, '')]).toEqual([0, expect.any(String)]);
  return JSON.parse(stdout);
}

async function text(group: keyof typeof GROUPS, ...flags: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(group, ...flags);
  expect([code, stderr]).toEqual([0, '']);
  return stdout;
}

async function folderOf(files: Record<string, string | Buffer>): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'model-commons-azure-'));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    await fs.mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await fs.writeFile(path.join(folder, name), content);
  }
  return folder;
}

const { seedRegistry, seedWorkspace } = sharing(server);

/** A run of a workspace with the files of a model below `model`; gives its id. */
async function seedRun(workspace: string): Promise<string> {
  const header = { 'X-MLFLOW-WORKSPACE': workspace };
  const { experiment_id } = (await server.post('experiments/create', { name: freshName('exp') }).set(header)).body;
  const { info } = (await server.post('runs/create', { experiment_id, start_time: 1 }).set(header)).body.run;
  const root = info.artifact_uri.replace('mlflow-artifacts:/', '');
  await request(server.url).put(`${ARTIFACTS}/${root}/model/MLmodel`).set(header).send(Buffer.from(MLMODEL)).expect(200);
  return info.run_id;
}

/** Version 1 of `fraud` in a new workspace, under the alias champion. */
async function seedFraud() {
  const workspace = await seedWorkspace();
  const runId = await seedRun(workspace);
  await json('model', 'create', '--name', 'fraud', '--path', `runs:/${runId}/model`, '-w', workspace);
  await server
    .post('registered-models/alias', { name: 'fraud', alias: 'champion', version: '1' })
    .set({ 'X-MLFLOW-WORKSPACE': workspace })
    .expect(200);
  return { workspace, runId };
}

describe('registry', () => {
  it('is made, listed, shown, changed and removed (A3)', async () => {
    const name = freshName('reg');
    const made = await json('registry', 'create', '--name', name, '--description', 'ours', '--tags', 'team=ml', 'cost=low');
    expect(made).toMatchObject({ id: `azureml://registries/${name}`, name, description: 'ours', tags: { team: 'ml', cost: 'low' } });
    expect(made.mlflow_registry_uri).toBe(`${server.url}/registries/${name}`);
    expect((await json('registry', 'list', '--query', '[].name')).includes(name)).toBe(true);
    expect(await text('registry', 'show', '-n', name, '--query', 'id', '-o', 'tsv')).toBe(`azureml://registries/${name}\n`);
    expect(await json('registry', 'update', '-n', name, '-d', 'all of ours')).toMatchObject({
      description: 'all of ours',
      tags: made.tags,
    });
    expect(await run('registry', 'create', '--name', name)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^RESOURCE_ALREADY_EXISTS: /),
    });
    expect(await text('registry', 'delete', '--name', name)).toBe('');
    expect(await run('registry', 'show', '--name', name)).toMatchObject({
      code: 1,
      stderr: `RESOURCE_DOES_NOT_EXIST: Registry '${name}' not found`,
    });
  });

  it('is made from a YAML file, whose fields --set overrides (A3, A6)', async () => {
    const name = freshName('reg');
    const folder = await folderOf({ 'r.yml': `$schema: x\nname: other\ndescription: from a file\ntags:\n  a: 1\n` });
    const made = await json('registry', 'create', '--file', path.join(folder, 'r.yml'), '--set', `name=${name}`, 'tags.b=x=y');
    expect(made).toMatchObject({ name, description: 'from a file', tags: { a: '1', b: 'x=y' } });
  });

  it('is not removed while it has a model', async () => {
    const [name, { workspace }] = [await seedRegistry(), await seedFraud()];
    await json('model', 'share', '-n', 'fraud', '-v', '1', '--registry-name', name, '-w', workspace);
    expect(await run('registry', 'delete', '--name', name)).toMatchObject({ code: 1, stderr: expect.stringContaining('is not empty') });
  });
});

describe('model create', () => {
  it('makes the same file a version of a workspace, or with --registry-name of a registry (A5, B2)', async () => {
    const [registryName, workspace] = [await seedRegistry(), await seedWorkspace()];
    const weights = randomBytes(3_000_000);
    const folder = await folderOf({
      'net.yml':
        '$schema: https://example.com/x.json\nname: net\nversion: 4\npath: ./net\ndescription: a net\ntags: {team: ml}\ntype: mlflow_model\n',
      'net/MLmodel': MLMODEL,
      'net/data/weights.bin': weights,
      'net/empty': '',
    });
    const file = path.join(folder, 'net.yml');
    const here = await json('model', 'create', '--file', file, '--workspace-name', workspace);
    const there = await json('model', 'create', '--file', file, '--workspace-name', workspace, '--registry-name', registryName);
    expect(here).toMatchObject({ id: `azureml://workspaces/${workspace}/models/net/versions/4`, version: '4', description: 'a net' });
    expect(there).toMatchObject({ id: `azureml://registries/${registryName}/models/net/versions/4`, tags: { team: 'ml' } });
    const [a, b] = await Promise.all(
      [`workspaces/${workspace}`, `registries/${registryName}`].map(
        async (scope) => (await server.get(`/api/1.0/${scope}/models/net/versions/4/manifest`)).body,
      ),
    );
    expect(a.files.map((one: { path: string }) => one.path)).toEqual(['MLmodel', 'data/weights.bin', 'empty']);
    expect([a.frozen, b.frozen, a.digest]).toEqual([true, true, b.digest]);
    const to = path.join(folder, 'down');
    const got = await json('model', 'download', '-n', 'net', '-l', 'latest', '--registry-name', registryName, '--download-path', to);
    expect(got).toMatchObject({ id: there.id, files: 3, digest: a.digest, path: to });
    expect((await fs.readFile(path.join(to, 'data/weights.bin'))).equals(weights)).toBe(true);
    expect((await runCommand(download, [there.id, '--to', to, '--server', server.url])).stdout).toContain('3 of them here already');
    const dotted = ['models:/REG.net/4'.replace('REG', registryName), '--to', to, '--tracking-uri', server.url];
    expect((await runCommand(download, dotted)).stdout).toContain(`Checked against the digest ${a.digest}`);
  });

  it('of a number that exists is refused with both names, and changes nothing (A15, B3)', async () => {
    const [registryName, folder] = [await seedRegistry(), await folderOf({ MLmodel: MLMODEL })];
    const create = (...flags: string[]) => run('model', 'create', '-n', 'net', '-v', '7', '--path', folder, ...flags);
    for (const [flags, place] of [
      [['--registry-name', registryName], `registry '${registryName}'`],
      [['-w', await seedWorkspace()], 'workspace'],
    ] as const) {
      expect((await create(...flags)).code).toBe(0);
      const before = await json('model', 'list', ...flags);
      const again = await create(...flags, '-d', 'other');
      expect([again.code, again.stderr]).toEqual([
        1,
        expect.stringMatching(new RegExp(`^RESOURCE_ALREADY_EXISTS: Version 7 of model 'net' .*${place}`)),
      ]);
      expect(await json('model', 'list', ...flags)).toEqual(before);
      expect(await json('model', 'list', '-n', 'net', ...flags, '--query', '[].version')).toEqual(['7']);
    }
  });

  it('counts up without a number, also when many run at once', async () => {
    const { workspace, runId } = await seedFraud();
    const at = `/api/1.0/workspaces/${workspace}/models/many/versions`;
    const made = await Promise.all(Array.from({ length: 8 }, () => server.post(at, { source: `runs:/${runId}/model` })));
    expect(made.map(({ body }) => Number(body.version)).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    const same = await Promise.all(Array.from({ length: 5 }, () => server.put(`${at}/20`, { source: `runs:/${runId}/model` })));
    expect(same.map(({ status }) => status).toSorted()).toEqual([201, 400, 400, 400, 400]);
    await text('model', 'delete', '-n', 'many', '-v', '20', '-w', workspace);
    expect((await server.put(`${at}/20`, { source: `runs:/${runId}/model` })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
  });

  it('of a run by runs:/ or its azureml path has the run (A14)', async () => {
    const [registryName, workspace] = [await seedRegistry(), await seedWorkspace()];
    const runId = await seedRun(workspace);
    for (const from of [`runs:/${runId}/model`, `azureml://jobs/${runId}/outputs/artifacts/paths/model/`]) {
      for (const target of [[], ['--registry-name', registryName]]) {
        const made = await json('model', 'create', '--name', 'fraud', '--path', from, '-w', workspace, ...target);
        expect(made).toMatchObject({ run_id: runId, source: `runs:/${runId}/model` });
      }
    }
    // The stock API takes the URI as a source, too.
    const header = { 'X-MLFLOW-WORKSPACE': workspace };
    const stock = { name: 'fraud', source: `azureml://jobs/${runId}/outputs/artifacts/paths/model` };
    expect((await server.post('model-versions/create', stock).set(header)).body.model_version).toMatchObject({
      version: '3',
      run_id: runId,
    });
    for (const path of [`${'0'.repeat(32)}/outputs/artifacts/paths/model`, `${runId}/outputs/artifacts/paths/nothing`]) {
      const reply = await server.post('model-versions/create', { name: 'fraud', source: `azureml://jobs/${path}` }).set(header);
      expect([reply.status, reply.body.message]).toEqual([404, expect.stringMatching(/^Run /)]);
      const from = await run(
        'model',
        'create',
        '-n',
        'lost',
        '--path',
        `azureml://jobs/${path}`,
        '-w',
        workspace,
        '--registry-name',
        registryName,
      );
      expect([from.code, (await json('model', 'list', '--registry-name', registryName)).length]).toEqual([1, 1]);
    }
    expect((await run('model', 'create', '-n', 'lost', '--path', `runs:/${runId}/nothing`, '-w', workspace)).code).toBe(1);
  });

  it('of a run finds the logged model of that name', async () => {
    const workspace = await seedWorkspace();
    const header = { 'X-MLFLOW-WORKSPACE': workspace };
    const { experiment_id } = (await server.post('experiments/create', { name: freshName('exp') }).set(header)).body;
    const { run_id } = (await server.post('runs/create', { experiment_id, start_time: 1 }).set(header)).body.run.info;
    const { info } = (await server.post('logged-models', { experiment_id, name: 'net', source_run_id: run_id }).set(header)).body.model;
    const root = info.artifact_uri.replace('mlflow-artifacts:/', '');
    await request(server.url).put(`${ARTIFACTS}/${root}/MLmodel`).set(header).send(Buffer.from(MLMODEL)).expect(200);
    const made = await json('model', 'create', '-n', 'net', '--path', `runs:/${run_id}/net`, '-w', workspace);
    expect(made).toMatchObject({ run_id, source: `models:/${info.model_id}` });
  });

  it.each([
    [['--path', '/nowhere/at/all'], 1, 'there is no such file or folder'],
    [['--path', 'FOLDER', '--type', 'mlflow_model'], 2, 'has no file MLmodel'],
    [['--path', 'FOLDER', '--type', 'triton'], 2, "'type': must be mlflow_model or custom_model"],
    [['--path', 'FOLDER', '--version', '1.5'], 2, "'version': must be a whole number from 1"],
    [['--path', 'FOLDER', '--set', 'flavour=x'], 2, "there is no field 'flavour'. Fields are name, version, path"],
    [['--path', 'FOLDER', '--set', 'version'], 2, '--set: must be written name=value'],
    [['--path', 'FOLDER', '--stage', 'Live'], 2, "'stage': must be None, Staging, Production, Archived"],
    [['--path', 'FOLDER', '--wat', 'x'], 2, '--wat: not a known option of model create'],
    [['--path', 'FOLDER', '--query', 'a['], 2, '--query: '],
    [['--path', 'FOLDER', '-o', 'xml'], 2, '-o: must be json, yaml, table, tsv'],
    [[], 2, "'path' is missing"],
    [['--path', 'azureml://datastores/x/paths/y'], 1, 'is not the URI of an asset. Write azureml://registries/'],
    [['--path', 'azureml://registries/nowhere-1/models/x'], 1, "Registry 'nowhere-1' not found"],
    [['--path', 'FOLDER', '--tags', 'a/b/=x', '--tags', `${'k'.repeat(300)}=x`], 1, 'INVALID_PARAMETER_VALUE'],
  ] as const)('with %j ends with %i and leaves no model', async (flags, code, sentence) => {
    const [folder, workspace] = [await folderOf({ data: 'x' }), await seedWorkspace()];
    const given = flags.map((flag) => (flag === 'FOLDER' ? folder : flag));
    const outcome = await run('model', 'create', '--name', 'net', ...given, '-w', workspace);
    expect([outcome.code, outcome.stdout, outcome.stderr]).toEqual([code, '', expect.stringContaining(sentence)]);
    expect(outcome.stderr.trim().split('\n').length).toBe(1);
    expect(await json('model', 'list', '-w', workspace)).toEqual([]);
    const { rows } = await server.db.query(
      `select l.name from logged_models l join experiments e using (experiment_id) join scopes s on s.id = e.scope_id
       where s.name = $1 and l.lifecycle_stage = 'active'`,
      [workspace],
    );
    expect(rows).toEqual([]);
  });

  it('is told to the webhooks of the scope that gets the version', async () => {
    const [registryName, { workspace, runId }] = [await seedRegistry(), await seedFraud()];
    const at = `/registries/${registryName}/api/2.0/mlflow/webhooks`;
    const hook = { name: 'h', url: 'https://127.0.0.1:1024/hook', events: [{ entity: 'MODEL_VERSION', action: 'CREATED' }] };
    const { webhook_id } = (await server.post(at, hook).expect(200)).body.webhook;
    await json('model', 'create', '-n', 'net', '--path', `runs:/${runId}/model`, '-w', workspace, '--registry-name', registryName);
    const { rows } = await server.db.query('select body from webhook_deliveries where webhook_id = $1', [webhook_id]);
    expect(rows.map(({ body }) => JSON.parse(body))).toMatchObject([
      { entity: 'model_version', action: 'created', data: { name: 'net', version: '1', run_id: runId } },
    ]);
  });

  it('names the file and the field that is wrong in it', async () => {
    const folder = await folderOf({
      'a.yml': 'name: x\nflavour: y\n',
      'b.yml': 'name: [\n',
      'c.yml': '- name\n',
      'd.yml': 'name: x\npath: ./gone\n',
    });
    const errorOf = async (name: string) => (await run('model', 'create', '--file', path.join(folder, name))).stderr;
    expect(await errorOf('a.yml')).toContain("a.yml: there is no field 'flavour'");
    expect(await errorOf('b.yml')).toMatch(/b\.yml: .* at line \d/);
    expect(await errorOf('c.yml')).toContain("c.yml: must have fields such as 'name: fraud'");
    expect(await errorOf('d.yml')).toContain(`${path.join(folder, 'gone')}: there is no such file or folder`);
    expect(await errorOf('e.yml')).toContain('e.yml: cannot be read');
  });
});

describe('model share (A13)', () => {
  it('keeps name and version unless others are given', async () => {
    const [registryName, { workspace }] = [await seedRegistry(), await seedFraud()];
    const share = (...flags: string[]) => ['share', '-n', 'fraud', '--registry-name', registryName, '-w', workspace, ...flags];
    const first = await json('model', ...share('-v', '1', '--set-alias', 'champion', 'eu', '--reason', 'go'));
    expect(first).toMatchObject({
      id: `azureml://registries/${registryName}/models/fraud/versions/1`,
      reason: 'go',
      target: { version: '1', aliases: ['champion', 'eu'] },
    });
    expect(await run('model', ...share('-v', '1'))).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`RESOURCE_ALREADY_EXISTS: Version 1 of model 'fraud' already exists in registry '${registryName}'`),
    });
    const named = await json('model', ...share('-l', 'champion', '--share-with-name', 'fraud-eu', '--share-with-version', '12'));
    expect(named).toMatchObject({ id: `azureml://registries/${registryName}/models/fraud-eu/versions/12`, source: { alias: 'champion' } });
    expect(await json('model', ...share('-l', 'latest', '--share-with-version', 'next'))).toMatchObject({ version: '2' });
    expect(await json('model', ...share('-v', '1', '--share-with-version', '9', '--dry-run'))).toMatchObject({
      version: '9',
      dry_run: true,
    });
    expect(await json('model', 'list', '-n', 'fraud', '--registry-name', registryName, '--query', '[].version')).toEqual(['2', '1']);
  });

  it('needs a version and a registry', async () => {
    expect(await run('model', 'share', '-n', 'fraud', '-v', '1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--registry-name: is missing'),
    });
    expect(await run('model', 'share', '-n', 'fraud', '--registry-name', 'r-1')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--version: is missing'),
    });
    expect((await run('model', 'share', '-n', 'f', '-v', '1', '--registry-name', 'r-1', '--share-with-version', 'x')).code).not.toBe(0);
  });
});

describe('what is printed (A7)', () => {
  it('is JSON, YAML, a table or lines for scripts, of all or of what a query chooses', async () => {
    const [registryName, { workspace, runId }] = [await seedRegistry(), await seedFraud()];
    for (const name of ['churn', 'fraud']) {
      await json(
        'model',
        'create',
        '-n',
        name,
        '--path',
        `runs:/${runId}/model`,
        '-w',
        workspace,
        '--registry-name',
        registryName,
        '-d',
        `a\tb`,
      );
    }
    const of = ['--registry-name', registryName];
    const id = `azureml://registries/${registryName}/models`;
    expect(await text('model', 'list', ...of, '--query', '[].id', '-o', 'tsv')).toBe(`${id}/churn\n${id}/fraud\n`);
    expect(await text('model', 'list', ...of, '--query', '[].id')).toBe(`${JSON.stringify([`${id}/churn`, `${id}/fraud`], null, 2)}\n`);
    expect(await text('model', 'show', ...of, '-n', 'fraud', '-v', '1', '--query', 'name', '-o', 'tsv')).toBe('fraud\n');
    expect(await text('model', 'list', ...of, '--max-results', '1', '--query', '[].[name, archived, tags]', '-o', 'tsv')).toBe(
      'churn\tfalse\t\n',
    );
    expect(
      await text('model', 'show', ...of, '-n', 'fraud', '-v', '1', '--query', '{d: description, a: aliases, n: nothing}', '-o', 'tsv'),
    ).toBe('a b\t0\t\n');
    const shown = await json('model', 'show', ...of, '-n', 'fraud', '-v', '1');
    expect(shown.id).toBe(`${id}/fraud/versions/1`);
    expect(parse(await text('model', 'show', ...of, '-n', 'fraud', '-v', '1', '-o', 'yaml'))).toEqual(shown);
    const table = (await text('model', 'list', ...of, '-o', 'table')).split('\n');
    expect([table[0]?.split(/ +/).slice(0, 3), table[1]?.startsWith('-----'), table[2]?.startsWith('churn')]).toEqual([
      ['Name', 'LatestVersion', 'Description'],
      true,
      true,
    ]);
    expect(await text('model', 'list', ...of, '--query', '[].name', '-o', 'table')).toBe('Result\n------\nchurn\nfraud\n');
    const wrong = await run('model', 'list', ...of, '--query', 'sort_by(@, &nothing)');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringMatching(/^--query: .*\.$/)]);
  });

  it('goes over all pages', async () => {
    const { workspace, runId } = await seedFraud();
    const at = `/api/1.0/workspaces/${workspace}/models`;
    for (let i = 0; i < 3; i++) await server.post(`${at}/m${i}/versions`, { source: `runs:/${runId}/model` }).expect(201);
    const first = (await server.get(at, { max_results: 2 })).body;
    const second = (await server.get(at, { max_results: 2, page_token: first.next_page_token })).body;
    expect([...first.models, ...second.models].map(({ name }: { name: string }) => name)).toEqual(['fraud', 'm0', 'm1', 'm2']);
    await server.post(`${at}/m0/versions`, { source: `runs:/${runId}/model` }).expect(201);
    const newest = (await server.get(`${at}/m0/versions`, { max_results: 1 })).body;
    expect([newest.versions[0].version, newest.next_page_token]).toEqual(['2', '2']);
    expect((await server.get(`${at}/m0/versions`, { page_token: '2' })).body).toMatchObject({ versions: [{ version: '1' }] });
    expect((await server.get(`${at}/nothing/versions`)).status).toBe(404);
  });
});

it('a mounted name reads as the model it means, and is not written to', async () => {
  const [registryName, { workspace, runId }] = [await seedRegistry(), await seedFraud()];
  const { id } = await json('model', 'share', '-n', 'fraud', '-v', '1', '--registry-name', registryName, '-w', workspace);
  await server.put(`/api/1.0/workspaces/${workspace}/mounts/prod`, { registry: registryName, name: 'fraud' }).expect(200);
  const of = ['-n', 'prod', '-w', workspace];
  expect((await json('model', 'show', ...of, '-l', 'latest')).id).toBe(id);
  expect((await json('model', 'list', ...of)).length).toBe(1);
  const to = path.join(await folderOf({}), 'down');
  expect((await json('model', 'download', ...of, '-v', '1', '--download-path', to)).digest).toMatch(/^[\da-f]{64}$/);
  expect(await run('model', 'create', ...of, '--path', `runs:/${runId}/model`)).toMatchObject({ code: 1, stdout: '' });
  expect(await run('model', 'archive', ...of, '-v', '1')).toMatchObject({ code: 1, stdout: '' });
});

it('archive takes versions off the lists, restore puts them back', async () => {
  const { workspace, runId } = await seedFraud();
  const of = ['-w', workspace];
  await json('model', 'create', '-n', 'fraud', '--path', `runs:/${runId}/model`, ...of, '--stage', 'production');
  const versions = (...flags: string[]) => json('model', 'list', '-n', 'fraud', ...of, '--query', '[].version', ...flags);
  expect(await json('model', 'archive', '-n', 'fraud', '-v', '1', ...of)).toMatchObject({ version: '1', stage: 'Archived' });
  expect([await versions(), await versions('--archived-only'), await versions('--include-archived')]).toEqual([['2'], ['1'], ['2', '1']]);
  expect(await json('model', 'restore', '-n', 'fraud', '-l', 'latest', ...of)).toMatchObject({ version: '2', stage: 'Production' });
  expect(await json('model', 'archive', '-n', 'fraud', ...of, '--query', '[].version')).toEqual(['2']);
  expect([await json('model', 'list', ...of), (await json('model', 'list', ...of, '--archived-only')).length]).toEqual([[], 1]);
  expect(await json('model', 'restore', '-n', 'fraud', ...of, '--query', '[].stage')).toEqual(['None', 'None']);
});

it('update changes description, tags and stage; delete wants --yes for a whole model', async () => {
  const { workspace } = await seedFraud();
  const of = ['-n', 'fraud', '-w', workspace];
  const changed = await json('model', 'update', ...of, '-v', '1', '--set', 'description=new', 'tags.a=b', '--stage', 'Staging');
  expect(changed).toMatchObject({ description: 'new', tags: { a: 'b' }, stage: 'Staging' });
  expect(await json('model', 'update', ...of, '--tags', 'c=d')).toMatchObject({
    id: `azureml://workspaces/${workspace}/models/fraud`,
    tags: { c: 'd' },
  });
  expect((await run('model', 'delete', ...of)).code).toBe(2);
  expect(await text('model', 'delete', ...of, '--yes')).toBe('');
  expect(await run('model', 'show', ...of)).toMatchObject({ code: 1, stderr: expect.stringContaining('RESOURCE_DOES_NOT_EXIST') });
});

describe('an azureml URI (A8, A9)', () => {
  it('is read wherever the commands name a model', async () => {
    const [registryName, { workspace }] = [await seedRegistry(), await seedFraud()];
    const { id } = await json(
      'model',
      'share',
      '-n',
      `azureml://workspaces/${workspace}/models/fraud/versions/1`,
      '--registry-name',
      registryName,
    );
    const unversioned = id.replace('/versions/1', '');
    expect((await json('model', 'show', '-n', id)).id).toBe(id);
    expect((await json('model', 'show', '-n', `${unversioned}/labels/latest`)).id).toBe(id);
    expect((await json('model', 'show', '-n', unversioned)).id).toBe(unversioned);
    const down = await json('model', 'create', '-n', 'fraud', '--path', unversioned, '-w', await seedWorkspace());
    expect(down.source).toBe(`models:/${registryName}.fraud/1`);
    expect((await run('model', 'show', '-n', id, '-v', '1')).code).toBe(2);
    expect((await run('model', 'show', '-n', 'azureml://nothing')).code).toBe(2);
    const mine = `azureml://workspaces/${workspace}/models/fraud`;
    const to = await folderOf({});
    for (const named of [mine, `${mine}/versions/1`, `${mine}/labels/champion`]) {
      const { code, stdout } = await runCommand(download, [named, '--to', to, '--server', server.url]);
      expect([code, stdout]).toEqual([0, expect.stringContaining('Checked against the digest')]);
    }
    const byBase = ['models:/fraud@champion', '--to', to, '--server', `${server.url}/workspaces/${workspace}`];
    expect((await runCommand(download, byBase)).code).toBe(0);
    expect(await json('model', 'create', '-n', mine, '--path', to)).toMatchObject({ id: `${mine}/versions/2` });
  });

  it('is read as the source of a version and of a promotion, by version, alias or neither', async () => {
    const [registryName, { workspace }] = [await seedRegistry(), await seedFraud()];
    const at = `azureml://workspaces/${workspace}/models/fraud`;
    const promote = (uri: string, more = {}) =>
      server.post('/api/1.0/promotions', { source: { uri, ...more }, target: { registry: registryName } });
    expect((await promote(`${at}/versions/1`)).body.target).toMatchObject({ name: 'fraud', version: '1' });
    expect((await promote(`${at}/labels/champion`)).body).toMatchObject({
      target: { version: '2' },
      source: { workspace, version: '1', alias: 'champion' },
    });
    expect((await promote(at)).body.target).toMatchObject({ version: '3' });
    expect((await promote(at, { name: 'fraud' })).status).toBe(400);
    const shared = `azureml://registries/${registryName}/models/fraud`;
    await server.post('registered-models/create', { name: `copy-${registryName}` }).expect(200);
    for (const source of [shared, `${shared}/labels/latest`, `${shared}/versions/3`]) {
      const reply = await server.post('model-versions/create', { name: `copy-${registryName}`, source });
      expect([reply.status, reply.body.model_version?.source]).toEqual([200, `models:/${registryName}.fraud/3`]);
    }
    const foreign = await server.post('model-versions/create', { name: `copy-${registryName}`, source: at });
    expect([foreign.status, foreign.body.message]).toEqual([400, expect.stringContaining('is in another workspace')]);
  });

  it("is read as a model's name by the stock calls, and repeated in the answers", async () => {
    const [registryName, { workspace, runId }] = [await seedRegistry(), await seedFraud()];
    const name = `azureml://registries/${registryName}/models/fraud`;
    const header = { 'X-MLFLOW-WORKSPACE': workspace };
    expect((await server.post('registered-models/create', { name }).set(header)).body.registered_model.name).toBe(name);
    const made = await server.post('model-versions/create', { name, source: `runs:/${runId}/model`, run_id: runId }).set(header);
    expect(made.body.model_version).toMatchObject({ name, version: '1' });
    await server.post('registered-models/alias', { name, alias: 'champion', version: '1' }).expect(200);
    expect((await server.get('registered-models/alias', { name, alias: 'champion' })).body.model_version).toMatchObject({
      name,
      version: '1',
    });
    expect((await server.get('model-versions/get-download-uri', { name, version: '1' })).body.artifact_uri).toContain(
      `registries/${registryName}/`,
    );
    const found = await server.get('model-versions/search', { filter: `name = '${name}'` });
    expect(found.body.model_versions).toMatchObject([{ name, version: '1' }]);
    expect((await server.get('registered-models/get', { name: `${registryName}.fraud` })).status).toBe(200);
    expect((await server.get('registered-models/get', { name: `azureml://workspaces/${workspace}/models/fraud` })).status).toBe(400);
    const mine = `azureml://workspaces/${workspace}/models/fraud`;
    expect((await server.get('registered-models/get', { name: mine }).set(header)).body.registered_model.name).toBe(mine);
    expect((await server.get('registered-models/get', { name: `${name}/versions/1` })).body.message).toContain(
      'cannot be the name of a model',
    );
    expect((await server.post('registered-models/rename', { name, new_name: `${name}2` })).status).toBe(400);
  });

  it('names the default workspace, too', async () => {
    const [registryName, { runId }] = [await seedRegistry(), { runId: await seedRun('default') }];
    const name = freshName();
    const { id } = await json('model', 'create', '-n', name, '--path', `runs:/${runId}/model`);
    expect(id).toBe(`azureml://workspaces/default/models/${name}/versions/1`);
    const reply = await server.post('/api/1.0/promotions', { source: { uri: id }, target: { registry: registryName } });
    expect([reply.status, reply.body.source]).toMatchObject([201, { workspace: 'default', name, version: '1' }]);
    expect((await json('model', 'show', '-n', id)).id).toBe(id);
  });

  it.each([
    'azureml:fraud:3',
    'azureml://registries/r-1/models/fraud/versions/x',
    'azureml://registries/r-1/models/fraud/versions/0',
    'azureml://registries/r-1/models/fraud/versions/1/more',
    'azureml://registries/r-1/models//versions/1',
    'azureml://registries/r-1/models/%E0%A4%A',
    'azureml://registries/r-1',
    'azureml://subscriptions/s/resourcegroups/g/workspaces/w/models/m',
    'azureml://jobs/abc/outputs/default/model',
    'azureml://',
  ])('that is malformed is refused with how to write one: %s', async (uri) => {
    await server.post('registered-models/create', { name: 'target' });
    for (const reply of [
      await server.post('model-versions/create', { name: 'target', source: uri }),
      await server.post('/api/1.0/promotions', { source: { uri }, target: { registry: 'r-1' } }),
      await server.get('registered-models/get', { name: uri }),
    ]) {
      expect([reply.status, reply.body.error_code, reply.body.message]).toEqual([
        400,
        'INVALID_PARAMETER_VALUE',
        expect.stringContaining('is not the URI of an asset. Write azureml://registries/'),
      ]);
    }
  });

  it('of another type says that there are only models', async () => {
    const reply = await server.post('/api/1.0/promotions', {
      source: { uri: 'azureml://registries/r-1/environments/e/versions/1' },
      target: { registry: 'r-1' },
    });
    expect([reply.status, reply.body.message]).toEqual([400, expect.stringContaining('only models')]);
  });

  it('has names with other characters percent-encoded', async () => {
    const [registryName, { workspace, runId }] = [await seedRegistry(), await seedFraud()];
    const made = await json(
      'model',
      'create',
      '-n',
      'my model é',
      '--path',
      `runs:/${runId}/model`,
      '-w',
      workspace,
      '--registry-name',
      registryName,
    );
    expect(made.id).toBe(`azureml://registries/${registryName}/models/my%20model%20%C3%A9/versions/1`);
    expect(await json('model', 'show', '-n', made.id)).toEqual(made);
  });
});

describe('the server', () => {
  it('may be named by a base path', async () => {
    const [registryName, { workspace }] = [await seedRegistry(), await seedFraud()];
    await json('model', 'share', '-n', 'fraud', '-v', '1', '--registry-name', registryName, '-w', workspace);
    const ids = async (base: string) =>
      JSON.parse((await runCommand(model, ['list', '--query', '[].id', '--server', server.url + base])).stdout);
    expect(await ids(`/registries/${registryName}`)).toEqual([`azureml://registries/${registryName}/models/fraud`]);
    expect(await ids(`/workspaces/${workspace}/`)).toEqual([`azureml://workspaces/${workspace}/models/fraud`]);
  });

  it('that is not there is told in one sentence', async () => {
    const { code, stderr } = await runCommand(model, ['create', '-n', 'x', '--path', 'models:/x/1', '--server', 'http://127.0.0.1:1']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^The server at http:\/\/127\.0\.0\.1:1 cannot be reached \(.*\)\.$/)]);
  });
});

describe('--help', () => {
  it.each(['model', 'registry'] as const)('of %s lists its commands, and each has its own', async (group) => {
    const { code, stdout } = await runCommand(GROUPS[group], ['--help']);
    const names = [...stdout.matchAll(/^ {2}([a-z]+) +[A-Z]/gm)].map((match) => match[1] ?? '');
    expect([code, names.length]).toEqual([0, group === 'model' ? 9 : 5]);
    for (const name of names) {
      const own = await runCommand(GROUPS[group], [name, '--help']);
      expect([own.code, own.stdout]).toEqual([0, expect.stringContaining(`Usage: model-commons ${group} ${name} `)]);
      expect(own.stdout).toContain('--query JMESPATH');
    }
    expect(await runCommand(GROUPS[group], ['wat'])).toMatchObject({ code: 2, stderr: expect.stringContaining('not a known command') });
    expect((await runCommand(GROUPS[group], [])).code).toBe(2);
  });
});
