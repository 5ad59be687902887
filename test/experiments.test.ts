import { describe, expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();

async function createExperiment(name: string, more: Record<string, unknown> = {}): Promise<string> {
  const reply = await server.post('experiments/create', { name, ...more });
  expect(reply.status, reply.text).toBe(200);
  return reply.body.experiment_id;
}

describe('experiments/create', () => {
  it('answers an id, and the experiment lies in the artifacts of this server', async () => {
    const id = await createExperiment('first', { tags: [{ key: 'team', value: 'risk' }, { key: 'empty' }] });
    const { creation_time: created, ...experiment } = (await server.get('experiments/get', { experiment_id: id })).body.experiment;
    expect(created).toBeTypeOf('number');
    expect(experiment).toEqual({
      experiment_id: id,
      name: 'first',
      artifact_location: `mlflow-artifacts:/${id}`,
      lifecycle_stage: 'active',
      last_update_time: created,
      tags: [
        { key: 'empty', value: '' },
        { key: 'team', value: 'risk' },
      ],
      workspace: 'default',
    });
  });

  it('names an id beyond all numbers as it was given', async () => {
    const reply = await server.get('experiments/get', { experiment_id: '99999999999999999999' });
    expect(reply.status).toBe(404);
    expect(reply.body.message).toBe('No Experiment with id=99999999999999999999 exists');
  });

  it('finds the experiment 0 that every server has, by id and by name', async () => {
    const byId = await server.get('experiments/get', { experiment_id: ' 0' });
    const byName = await server.get('experiments/get-by-name', { experiment_name: 'Default' });
    expect(byId.body.experiment).toEqual(byName.body.experiment);
    expect(byId.body.experiment.artifact_location).toBe('mlflow-artifacts:/0');
  });

  it('makes one experiment of sixteen requests for the same name at once', async () => {
    const replies = await Promise.all(Array.from({ length: 16 }, () => server.post('experiments/create', { name: 'race' })));
    expect(replies.filter((reply) => reply.status === 200)).toHaveLength(1);
    const refused = replies.filter((reply) => reply.status !== 200);
    expect(new Set(refused.map((reply) => reply.body.message))).toEqual(new Set(['Experiment(name=race) already exists.']));
    expect(refused[0]?.body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
  });

  it.each(['s3://bucket/folder', 'gs://bucket', 'wasbs://c@a.blob.core.windows.net/x', 'dbfs:/x', 'mlflow-artifacts:/shared'])(
    'keeps the artifact location %s as it is',
    async (location) => {
      const id = await createExperiment(`at ${location}`, { artifact_location: location });
      const reply = await server.get('experiments/get', { experiment_id: id });
      expect(reply.body.experiment.artifact_location).toBe(location);
    },
  );

  it.each([
    ['/etc', /own disk/],
    ['relative/path', /own disk/],
    ['file:///etc', /own disk/],
    ['FILE:/etc', /own disk/],
    ['C:/models', /its scheme is none of/],
    ['javascript:alert(1)', /its scheme is none of/],
    ['http://169.254.169.254/x', /cannot use the 'http' scheme/],
    ['hdfs://namenode/x', /cannot use the 'hdfs' scheme/],
    ['mlflow-artifacts://host/x', /cannot use the 'mlflow-artifacts' scheme/],
    ['mlflow-artifacts:/a/%252e%252e/b', /Invalid path/],
    ['runs:/abc', /cannot be a runs:\/ URI/],
    ['s3://bucket/p#fragment', /can't include fragments/],
    ['s3://bucket/p?x=%252e%252e/', /Invalid query string/],
  ])('refuses the artifact location %s', async (location, message) => {
    const reply = await server.post('experiments/create', { name: `bad ${location}`, artifact_location: location });
    expect(reply.status).toBe(400);
    expect(reply.body.error_code).toBe('INVALID_PARAMETER_VALUE');
    expect(reply.body.message).toMatch(message);
  });
});

describe('experiments/delete and restore', () => {
  it('takes all runs along, and back', async () => {
    const id = await createExperiment('comes back');
    const { run } = (await server.post('runs/create', { experiment_id: id })).body;
    const stageOfRun = async () => (await server.get('runs/get', { run_id: run.info.run_id })).body.run.info.lifecycle_stage;

    expect((await server.post('experiments/delete', { experiment_id: id })).body).toEqual({});
    expect((await server.get('experiments/get', { experiment_id: id })).body.experiment.lifecycle_stage).toBe('deleted');
    expect(await stageOfRun()).toBe('deleted');
    expect((await server.post('experiments/delete', { experiment_id: id })).status).toBe(404);

    expect((await server.post('experiments/restore', { experiment_id: id })).body).toEqual({});
    expect(await stageOfRun()).toBe('active');
    expect((await server.post('experiments/restore', { experiment_id: id })).status).toBe(404);
  });

  it('lets nothing be written to a deleted experiment, whose name stays taken', async () => {
    const id = await createExperiment('gone');
    await server.post('experiments/delete', { experiment_id: id });
    const inactive = `The experiment ${id} must be in the 'active' state. Current state is deleted.`;
    expect((await server.post('runs/create', { experiment_id: id })).body.message).toBe(inactive);
    expect((await server.post('experiments/set-experiment-tag', { experiment_id: id, key: 'k', value: 'v' })).body.message).toBe(inactive);
    expect((await server.post('experiments/delete-experiment-tag', { experiment_id: id, key: 'k' })).body.message).toBe(inactive);
    expect((await server.post('experiments/update', { experiment_id: id, new_name: 'x' })).body.error_code).toBe('INVALID_STATE');
    expect((await server.post('experiments/create', { name: 'gone' })).body.error_code).toBe('RESOURCE_ALREADY_EXISTS');
  });
});

describe('experiments/update and tags', () => {
  it('renames, but not to a name that is taken', async () => {
    const id = await createExperiment('old name');
    await createExperiment('taken name');
    expect((await server.post('experiments/update', { experiment_id: id, newName: 'new name' })).body).toEqual({});
    expect((await server.get('experiments/get', { experiment_id: id })).body.experiment.name).toBe('new name');
    const refused = await server.post('experiments/update', { experiment_id: id, new_name: 'taken name' });
    expect([refused.status, refused.body.error_code]).toEqual([400, 'BAD_REQUEST']);
  });

  it('sets, changes and deletes a tag', async () => {
    const id = await createExperiment('tagged');
    await server.post('experiments/set-experiment-tag', { experiment_id: id, key: 'k', value: 'a' });
    await server.post('experiments/set-experiment-tag', { experiment_id: id, key: 'k', value: 'b' });
    expect((await server.get('experiments/get', { experiment_id: id })).body.experiment.tags).toEqual([{ key: 'k', value: 'b' }]);
    expect((await server.post('experiments/delete-experiment-tag', { experiment_id: id, key: 'k' })).status).toBe(200);
    const again = await server.post('experiments/delete-experiment-tag', { experiment_id: id, key: 'k' });
    expect([again.status, again.body.message]).toEqual([404, `No tag with name: k in experiment with id ${id}`]);
  });
});

describe('experiments/search', () => {
  const searchNames = async (body: Record<string, unknown>) => {
    const reply = await server.post('experiments/search', { max_results: 100, ...body });
    expect(reply.status, reply.text).toBe(200);
    return (reply.body.experiments ?? []).map((experiment: { name: string }) => experiment.name);
  };

  it('filters by name, id, time and tags', async () => {
    const a = await createExperiment('s-apple', { tags: [{ key: 'fruit', value: 'apple' }] });
    const b = await createExperiment('s-pear', { tags: [{ key: 'fruit', value: 'pear' }] });
    await createExperiment('s-nut');
    expect(await searchNames({ filter: "name LIKE 's-%'" })).toEqual(['s-nut', 's-pear', 's-apple']);
    expect(await searchNames({ filter: "name ILIKE 'S-P%'" })).toEqual(['s-pear']);
    expect(await searchNames({ filter: `experiment_id IN ('${a}', '${b}')`, order_by: ['name DESC'] })).toEqual(['s-pear', 's-apple']);
    expect(await searchNames({ filter: "tags.fruit != 'pear' AND tag.fruit IS NOT NULL" })).toEqual(['s-apple']);
    expect(await searchNames({ filter: "name LIKE 's-%' and tags.fruit IS NULL and creation_time > 0" })).toEqual(['s-nut']);
    expect(await searchNames({ filter: "name = 'nobody'" })).toEqual([]);
  });

  it('visits every experiment once, page by page', async () => {
    const made = await Promise.all(Array.from({ length: 7 }, (_, i) => createExperiment(`page-${i}`)));
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const query = { max_results: 3, filter: "name LIKE 'page-%'", order_by: ['creation_time'], ...(token && { page_token: token }) };
      const { body } = await server.get('experiments/search', query);
      seen.push(...body.experiments.map((experiment: { experiment_id: string }) => experiment.experiment_id));
      token = body.next_page_token;
    } while (token);
    expect(seen.toSorted()).toEqual(made.toSorted());
  });

  it('shows deleted ones when asked to, by name or number of the view', async () => {
    await server.post('experiments/delete', { experiment_id: await createExperiment('hidden') });
    expect(await searchNames({ filter: "name = 'hidden'" })).toEqual([]);
    expect(await searchNames({ filter: "name = 'hidden'", view_type: 'DELETED_ONLY' })).toEqual(['hidden']);
    expect(await searchNames({ filter: "name = 'hidden'", view_type: 3 })).toEqual(['hidden']);
  });

  it('lists all of them for clients of MLflow 1.x', async () => {
    const { body } = await server.get('experiments/list', { view_type: 'ALL' });
    expect(body.experiments[0].name).toBe('Default');
    expect(body.next_page_token).toBeUndefined();
    expect((await server.get('experiments/list', { max_results: 1 })).body.next_page_token).toBeTypeOf('string');
  });

  it.each([
    [{ max_results: undefined }, "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer"],
    [{ max_results: 50001 }, "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000"],
    [{ filter: "name > 'a'" }, "Invalid comparator '>' not one of"],
    [{ filter: "experiment_id = 'x'" }, "Invalid experiment ID 'x'. Experiment ID must be a valid integer."],
    [{ filter: "experiment_id < '1'" }, 'Invalid comparator for experiment_id: <'],
    [{ filter: 'creation_time > 1.5' }, "Invalid value for numeric attribute 'creation_time': '1.5'"],
    [{ filter: "name IN ('a')" }, "Only ['experiment_id'] attributes support comparison with a list of quoted string values."],
    [{ filter: 'name IS NULL' }, "IS NULL / IS NOT NULL is only supported for tags, not for attribute 'name'"],
    [{ filter: "colour = 'red'" }, "Invalid attribute key 'colour' specified."],
    [{ filter: "name = 'a' OR name = 'b'" }, 'Invalid clause(s) in filter string: OR'],
    [{ order_by: ['tags.fruit'] }, 'Invalid order_by entity: tag'],
    [{ view_type: 'NOPE' }, 'Invalid value "NOPE" for parameter \'view_type\''],
    [{ page_token: 'bm90IG91cnM' }, 'Invalid page token'],
  ])('refuses %j', async (body, message) => {
    const reply = await server.post('experiments/search', { max_results: 100, ...body });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(message);
  });
});

describe('what an experiment cannot be asked', () => {
  it.each([
    ['experiments/create', {}, 400, "Missing value for required parameter 'name'."],
    ['experiments/create', { name: 5 }, 400, "Invalid value 5 for parameter 'name' supplied:"],
    ['experiments/create', { name: 'x', tags: [{ key: 'a%b' }] }, 400, 'Invalid value "a%b" for parameter \'key\' supplied'],
    ['experiments/create', { name: 'x', tags: [{ value: 'v' }] }, 400, 'Invalid value "" for parameter \'key\' supplied'],
    ['experiments/delete', { experiment_id: '999999' }, 404, 'No Experiment with id=999999 exists'],
    ['experiments/delete', { experiment_id: 'x' }, 400, "Invalid experiment ID 'x'. Experiment ID must be a valid integer."],
    ['experiments/delete', { experiment_id: '99999999999999999999' }, 404, 'No Experiment with id='],
    ['experiments/update', { experiment_id: '0' }, 400, "Missing value for required parameter 'new_name'."],
    ['experiments/set-experiment-tag', { experiment_id: '0' }, 400, "Missing value for required parameter 'key'."],
    ['experiments/search-datasets', {}, 400, 'SearchDatasets request must specify at least one experiment_id.'],
    ['experiments/search-datasets', { experiment_ids: [...'012345678901234567890'] }, 400, 'cannot specify more than 20 experiment_ids'],
    ['experiments/search-datasets', { experiment_ids: Array(21).fill('x') }, 400, 'cannot specify more than 20 experiment_ids'],
  ])('%s %j', async (path, body, status, message) => {
    const reply = await server.post(path, body);
    expect(reply.status).toBe(status);
    expect(reply.body.message).toContain(message);
  });
});

describe('custom views of an experiment', () => {
  const view = (i: number) => ({ key: `mlflow.customView.view.v1.${i}`, value: '{}' });
  const views = (count: number) => Array.from({ length: count }, (_, i) => view(i));

  it('are 50 at most, and each of them can still be changed', async () => {
    const id = await createExperiment('viewed', { tags: views(50) });
    expect((await server.post('experiments/set-experiment-tag', { experiment_id: id, ...view(49) })).status).toBe(200);
    const reply = await server.post('experiments/set-experiment-tag', { experiment_id: id, ...view(50) });
    expect([reply.status, reply.body.error_code]).toEqual([400, 'INVALID_PARAMETER_VALUE']);
    expect(reply.body.message).toContain(`Unable to create another custom view for experiment ${id};`);
    expect((await server.post('experiments/set-experiment-tag', { experiment_id: id, key: 'other', value: 'v' })).status).toBe(200);
  });

  it('cannot be more than that from the start', async () => {
    const reply = await server.post('experiments/create', { name: 'overviewed', tags: views(51) });
    expect(reply.body.message).toContain('Unable to create another custom view;');
  });
});

it('says which text of an experiment is too long', async () => {
  for (const [message, body] of [
    ["'name' exceeds the maximum length of 256 characters", { name: 'n'.repeat(257) }],
    ["'key' exceeds the maximum length of 250 characters", { name: 'x', tags: [{ key: 'k'.repeat(251) }] }],
    ["'value' exceeds the maximum length of 20000 characters", { name: 'x', tags: [{ key: 'k', value: 'v'.repeat(20_001) }] }],
    [/^Invalid artifact path length/, { name: 'x', artifact_location: `s3://${'b'.repeat(2050)}` }],
  ] as const) {
    const reply = await server.post('experiments/create', body);
    expect(reply.status).toBe(400);
    expect(reply.body.message).toMatch(message);
  }
});

describe('an experiment of another scope', () => {
  it('is not found, and its name is free here', async () => {
    const { rows } = await server.db.query(`
      with other as (insert into scopes (kind, name) values ('workspace', 'team-b') returning id)
      insert into experiments (scope_id, name, artifact_location) select id, 'theirs', 's3://b/x' from other returning experiment_id`);
    const id = String(rows[0].experiment_id);
    expect((await server.get('experiments/get', { experiment_id: id })).status).toBe(404);
    expect((await server.get('experiments/get-by-name', { experiment_name: 'theirs' })).status).toBe(404);
    expect((await server.post('experiments/delete', { experiment_id: id })).status).toBe(404);
    expect((await server.post('runs/create', { experiment_id: id })).status).toBe(404);
    expect((await server.post('experiments/search', { max_results: 9, filter: "name = 'theirs'" })).body).toEqual({});
    await createExperiment('theirs');
    const there = await server.get('experiments/get', { experiment_id: id }).set('X-MLFLOW-WORKSPACE', 'team-b');
    expect(there.body.experiment).toMatchObject({ name: 'theirs', workspace: 'team-b' });
  });
});

it('answers an artifact_location that is encoded over and over with a 400, soon', async () => {
  const reply = await server.post('experiments/create', { name: 'encoded', artifact_location: `s3://b/x?%${'25'.repeat(300_000)}2e` });
  expect([reply.status, reply.body.message]).toEqual([400, 'Invalid query string']);
});
