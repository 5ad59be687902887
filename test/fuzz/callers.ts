type Json = Record<string, unknown>;

/**
 * Authorization headers for a server with login on: of an administrator, of accounts with each level in the default workspace, of one with nothing, of none, and
 * of a wrong one. `part` makes the accounts other ones than before.
 */
export async function makeCallers(url: string, adminPassword: string, part = 0): Promise<(string | undefined)[]> {
  const admin = `Basic ${Buffer.from(`admin:${adminPassword}`).toString('base64')}`;
  const post = async (path: string, body: Json): Promise<Json> => {
    const headers = { 'Content-Type': 'application/json', Authorization: admin };
    const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${await reply.text()}`);
    return (await reply.json()) as Json;
  };
  const tokenOf = async (username: string) => `Bearer ${(await post('/api/1.0/tokens', { name: 'fuzz', username })).token}`;
  const headers = [await tokenOf('admin')];
  for (const level of [null, 'READ', 'EDIT', 'MANAGE']) {
    const username = `fuzz-${part}-${level ?? 'nothing'}`;
    await post('/api/1.0/service-accounts', { username });
    for (const resource_type of level === null ? [] : ['experiment', 'registered_model']) {
      await post('/api/3.0/mlflow/users/permissions/grant', { username, resource_type, resource_id: '*', permission: level });
    }
    headers.push(await tokenOf(username));
  }
  return [...headers, ...headers.slice(0, 1), undefined, 'Bearer mct_wrong'];
}
