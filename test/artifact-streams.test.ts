import { randomBytes } from 'node:crypto';
import { readdir, readlink } from 'node:fs/promises';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { startTestServer } from './helpers/server.ts';

const server = await startTestServer();
const urlOf = (target: string) => `${server.url}/api/2.0/mlflow-artifacts/artifacts/${target}`;
const MIB = 1024 * 1024;

const upload = (target: string, bytes: Buffer) => fetch(urlOf(target), { method: 'PUT', body: new Uint8Array(bytes) });

/** Reads a reply in small steps, so that the server's buffers wait. */
async function downloadSlowly(target: string): Promise<Buffer> {
  const reply = await fetch(urlOf(target));
  const chunks: Uint8Array[] = [];
  for await (const chunk of reply.body ?? []) {
    chunks.push(chunk);
    if (chunks.length % 20 === 0) await sleep(1);
  }
  return Buffer.concat(chunks);
}

async function openFilesOfStore(): Promise<string[]> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return links.filter((file) => file.startsWith(server.artifactDir));
}

it('gives each of many slow clients its own file, also after others went away in the middle', async () => {
  const files = await Promise.all(
    [0.2, 1, 1.5, 3, 4, 5.5].map(async (size, i) => {
      const bytes = randomBytes(Math.round(size * MIB));
      const target = `slow/${i}`;
      expect((await upload(target, bytes)).status).toBe(200);
      return { target, bytes };
    }),
  );
  for (let round = 0; round < 3; round++) {
    const leave = files.map(
      ({ target }) =>
        new Promise<void>((resolve) => {
          const leaving = http.get(urlOf(target), (reply) => reply.once('data', () => leaving.destroy()));
          leaving.on('close', () => resolve()).on('error', () => {});
        }),
    );
    const got = await Promise.all(files.map(({ target }) => downloadSlowly(target)));
    await Promise.all(leave);
    expect(got.map((bytes, i) => files[i]?.bytes.equals(bytes))).toEqual(files.map(() => true));
  }
});

it.runIf(process.platform === 'linux')('closes each file that it has read or written', async () => {
  const sizes = [0, 10, MIB, 2 * MIB, 2 * MIB + 1];
  for (const [i, size] of sizes.entries()) {
    await upload(`closed/${i}`, randomBytes(size));
    await (await fetch(urlOf(`closed/${i}`))).arrayBuffer();
    await (await fetch(urlOf(`closed/${i}`), { headers: { Range: 'bytes=1-3' } })).arrayBuffer();
    await fetch(urlOf(`closed/${i}`), { method: 'HEAD' });
  }
  await expect.poll(openFilesOfStore).toEqual([]);
});
