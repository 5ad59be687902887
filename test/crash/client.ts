const API = '/api/2.0/mlflow';
const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';

export type Reply = { status: number; body: Record<string, unknown> };

/** Sends JSON to an endpoint of the registry. Rejects when the server goes away before it has answered. */
export async function post(url: string, endpoint: string, body: Record<string, unknown>): Promise<Reply> {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${url}${API}/${endpoint}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

/** Asks an endpoint of the registry. */
export async function get(url: string, endpoint: string, query: Record<string, string>): Promise<Reply> {
  const reply = await fetch(`${url}${API}/${endpoint}?${new URLSearchParams(query)}`);
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

/** Uploads a file; gives the status. */
export async function upload(url: string, path: string, content: Buffer): Promise<number> {
  const reply = await fetch(`${url}${ARTIFACTS}/${path}`, { method: 'PUT', body: new Uint8Array(content) });
  await reply.arrayBuffer();
  return reply.status;
}

/** Uploads a file in `count` parts, all at once; gives the reply to the first step that was refused, or to the last. */
export async function uploadInParts(url: string, path: string, content: Buffer, count: number): Promise<Reply> {
  const step = async (name: 'create' | 'complete', body: Record<string, unknown>): Promise<Reply> => {
    const folder = path.slice(0, path.lastIndexOf('/'));
    const file = path.slice(path.lastIndexOf('/') + 1);
    const reply = await fetch(`${url}/api/2.0/mlflow-artifacts/mpu/${name}/${folder}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ path: file, ...body }),
    });
    return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
  };
  const begun = await step('create', { num_parts: count });
  if (begun.status !== 200) return begun;
  const { upload_id, credentials } = begun.body as { upload_id: string; credentials: { url: string; part_number: number }[] };
  const size = Math.ceil(content.length / count);
  const parts = await Promise.all(
    credentials.map(async (part) => {
      const from = (part.part_number - 1) * size;
      const reply = await fetch(part.url, { method: 'PUT', body: new Uint8Array(content.subarray(from, from + size)) });
      const body = await reply.text();
      return { status: reply.status, body: { message: body }, part_number: part.part_number, etag: reply.headers.get('etag') };
    }),
  );
  const refused = parts.find(({ status }) => status !== 200);
  return refused ?? step('complete', { upload_id, parts: parts.map(({ part_number, etag }) => ({ part_number, etag })) });
}

/** The bytes of a file, none of them when they break off; null when there is no such file. Rejects for any other answer. */
export async function download(url: string, path: string): Promise<Buffer | null> {
  const reply = await fetch(`${url}${ARTIFACTS}/${path}`);
  const bytes = Buffer.from(await reply.arrayBuffer().catch(() => new ArrayBuffer(0)));
  if (reply.status === 200) return bytes;
  if (reply.status === 404) return null;
  throw new Error(`GET ${path} answered ${reply.status}: ${bytes.toString().slice(0, 200)}`);
}

/** Paths of all files below a folder. */
export async function filesBelow(url: string, folder: string): Promise<string[]> {
  const reply = await fetch(`${url}${ARTIFACTS}?${new URLSearchParams({ path: folder })}`);
  const { files = [] } = (await reply.json()) as { files?: { path: string; is_dir: boolean }[] };
  const found = await Promise.all(
    files.map(({ path, is_dir: isFolder }) => (isFolder ? filesBelow(url, `${folder}/${path}`) : [`${folder}/${path}`])),
  );
  return found.flat();
}

/** All results of a search, page after page. `list` is the reply's field that holds them. */
export async function searchAll<T>(url: string, endpoint: string, list: string, filter: string): Promise<T[]> {
  const found: T[] = [];
  let token: string | undefined;
  do {
    const { status, body } = await get(url, endpoint, { filter, max_results: '1000', ...(token && { page_token: token }) });
    if (status !== 200) throw new Error(`${endpoint} answered ${status}: ${JSON.stringify(body)}`);
    found.push(...((body[list] ?? []) as T[]));
    token = body.next_page_token as string | undefined;
  } while (token);
  return found;
}
