import type { startServerWithLogin } from './login.ts';

type Server = Awaited<ReturnType<typeof startServerWithLogin>>;

/** A workspace and a registry of its own with one of everything, for the calls of test/helpers/endpoint-samples.ts. */
export type World = {
  workspace: string;
  registry: string;
  experimentId: string;
  runId: string;
  loggedModelId: string;
  webhookId: string;
  promotionId: string;
  uploadId: string;
  /** A service account, in a group, that has a role of the workspace. */
  member: string;
  group: string;
  roleId: number;
  rolePermissionId: number;
};

/** `hasLogin`: false for a server without accounts, whose world has none. */
export async function makeWorld({ admin }: Server, name: string, hasLogin = true): Promise<World> {
  const [workspace, registry] = [`${name}-dev`, `${name}-shared`];
  const ok = async <Body>(reply: PromiseLike<{ status: number; text: string; body: Body }>): Promise<Body> => {
    const { status, text, body } = await reply;
    if (status >= 300) throw new Error(`${status} ${text}`);
    return body;
  };
  await ok(admin.post('/api/3.0/mlflow/workspaces', { name: workspace }));
  await ok(admin.post('/api/1.0/registries', { name: registry, visibility: 'PRIVATE' }));
  const post = (path: string, body: Record<string, unknown>) => ok(admin.post(path, body, workspace));
  const { experiment_id: experimentId } = await post('experiments/create', { name: 'experiment' });
  const { run } = await post('runs/create', { experiment_id: experimentId });
  const runId = run.info.run_id as string;
  await post('runs/log-metric', { run_id: runId, key: 'loss', value: 1, timestamp: 1 });
  const { model } = await post('logged-models', { experiment_id: experimentId, name: 'logged', source_run_id: runId });
  const artifacts = `/api/2.0/mlflow-artifacts/artifacts/workspaces/${workspace}/${experimentId}/${runId}/artifacts`;
  await ok(admin.put(`${artifacts}/model/MLmodel`, 'flavors: {}', workspace));
  await post('registered-models/create', { name: 'model' });
  for (let i = 0; i < 2; i++) await post('model-versions/create', { name: 'model', source: `runs:/${runId}/model`, run_id: runId });
  for (const version of ['1', '2']) await post('registered-models/alias', { name: 'model', alias: 'champion', version });
  const { webhook } = await post('webhooks', {
    name: 'hook',
    url: 'https://8.8.8.8/hook',
    events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
  });
  const promote = () =>
    ok(
      admin.post('/api/1.0/promotions', {
        source: { workspace, name: 'model', version: '1' },
        target: { registry },
        set_aliases: ['champion'],
      }),
    );
  await promote();
  const { promotion_id: promotionId } = await promote();
  const { upload_id: uploadId } = await ok(
    admin.post(
      `/api/2.0/mlflow-artifacts/mpu/create/workspaces/${workspace}/${experimentId}/${runId}/artifacts`,
      { path: 'large.bin', num_parts: 1 },
      workspace,
    ),
  );
  await ok(admin.put(`/api/1.0/workspaces/${workspace}/mounts/mounted`, { registry, name: 'model' }));
  const makeAccounts = async () => {
    const [member, group] = [`${name}-member`, `${name}-group`];
    await ok(admin.post('/api/1.0/service-accounts', { username: member }));
    await ok(admin.post('/api/1.0/groups', { name: group }));
    const { role } = await ok(admin.post('/api/3.0/mlflow/roles/create', { workspace, name: 'role' }));
    const given = { role_id: role.id, resource_type: 'registered_model', resource_pattern: '*', permission: 'READ' };
    const { role_permission: permission } = await ok(admin.post('/api/3.0/mlflow/roles/permissions/add', given));
    return { member, group, roleId: role.id as number, rolePermissionId: permission.id as number };
  };
  const accounts = hasLogin ? await makeAccounts() : { member: '', group: '', roleId: 0, rolePermissionId: 0 };
  return {
    ...accounts,
    workspace,
    registry,
    experimentId,
    runId,
    loggedModelId: model.info.model_id as string,
    webhookId: webhook.webhook_id as string,
    promotionId,
    uploadId,
  };
}

// What it takes to call at all, and what is recorded of it.
const OF_CALLERS = [
  'model_version_consumers',
  'access_tokens',
  'failed_logins',
  'request_counts',
  'users',
  'roles',
  'role_permissions',
  'role_assignments',
];

/** A checksum of each table but those that making callers changes, and the records that are kept of calls. */
export async function contentsOf({ db }: Server): Promise<Record<string, string>> {
  const { rows } = await db.query<{ name: string }>("select tablename as name from pg_tables where schemaname = 'public' order by 1");
  const names = rows.map(({ name }) => name).filter((name) => !OF_CALLERS.includes(name) && !name.startsWith('audit_'));
  const sums = await db.query(
    `select ${names.map((name) => `(select md5(coalesce(string_agg(t::text, '' order by t::text), '')) from ${name} t) as ${name}`).join(', ')}`,
  );
  return sums.rows[0];
}
