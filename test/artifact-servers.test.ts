import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import type { ServerProcess } from './helpers/process.ts';
import { makeSite } from './helpers/site.ts';

const ARTIFACTS = '/api/2.0/mlflow-artifacts/artifacts';
const MPU = '/api/2.0/mlflow-artifacts/mpu';

const put = async ({ url }: ServerProcess, path: string, body: Buffer) =>
  (await fetch(`${url}${ARTIFACTS}/${path}`, { method: 'PUT', body: new Uint8Array(body) })).status;
const etagOf = async ({ url }: ServerProcess, path: string) => {
  const reply = await fetch(`${url}${ARTIFACTS}/${path}`);
  const sha256 = createHash('sha256')
    .update(Buffer.from(await reply.arrayBuffer()))
    .digest('hex');
  expect(reply.headers.get('etag')).toBe(`"${sha256}"`);
  return sha256;
};
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function post({ url }: ServerProcess, path: string, body: object): Promise<{ status: number; body: Record<string, never> }> {
  const headers = { 'Content-Type': 'application/json' };
  const reply = await fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: reply.status, body: (await reply.json()) as Record<string, never> };
}

it('two servers on one store and database take parts of one upload, agree on equal bytes, and see what the other wrote', async () => {
  const { start } = await makeSite();
  const one = await start();
  const two = await start();

  const bytes = randomBytes(900_000);
  const begun = (await post(one, `${MPU}/create/shared`, { path: 'large.bin', num_parts: 3 })).body as unknown as {
    upload_id: string;
    credentials: { url: string; part_number: number }[];
  };
  const parts = await Promise.all(
    begun.credentials.map(async ({ url, part_number }, i) => {
      const address = i % 2 === 0 ? url : url.replace(one.url, two.url);
      const reply = await fetch(address, { method: 'PUT', body: new Uint8Array(bytes.subarray(i * 300_000, (i + 1) * 300_000)) });
      return { part_number, etag: reply.headers.get('etag') };
    }),
  );
  const complete = (server: ServerProcess) =>
    post(server, `${MPU}/complete/shared`, { path: 'large.bin', upload_id: begun.upload_id, parts });
  const replies = await Promise.all([complete(one), complete(two), complete(one)]);
  expect(replies.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(await etagOf(two, 'shared/large.bin')).toBe(sha256(bytes));

  const equal = Array.from({ length: 5 }, () => randomBytes(50_000));
  const uploads = equal.flatMap((body, i) => [one, two, one, two].map((server, n) => put(server, `equal/${i}-${n}`, body)));
  expect(new Set(await Promise.all(uploads))).toEqual(new Set([200]));
  for (const [i, body] of equal.entries()) {
    for (const n of [0, 1, 2, 3]) expect(await etagOf(n % 2 ? one : two, `equal/${i}-${n}`)).toBe(sha256(body));
  }

  const rewrites = Array.from({ length: 10 }, () => randomBytes(20_000));
  await Promise.all(rewrites.map((body, i) => put(i % 2 ? one : two, 'race/file', body)));
  expect(rewrites.map(sha256)).toContain(await etagOf(one, 'race/file'));
  expect(await etagOf(two, 'race/file')).toBe(await etagOf(one, 'race/file'));
}, 60_000);
