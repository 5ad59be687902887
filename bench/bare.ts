import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';

// What node:http does at best: bodies streamed to and from files, or without a folder from memory and to nowhere, which is the generator's ceiling.
const [port, folder] = process.argv.slice(2);
const made = new Set<string>();
const lengths = new Map<string, number>();
const zeros = Buffer.alloc(64 * 1024 * 1024);

async function withFiles(req: IncomingMessage, res: ServerResponse, root: string): Promise<void> {
  const url = new URL(req.url ?? '', 'http://localhost');
  const listed = url.searchParams.get('path');
  const file = path.join(root, listed ?? url.pathname.replace('/api/2.0/mlflow-artifacts/artifacts/', ''));
  if (req.method === 'PUT') {
    if (!made.has(path.dirname(file))) await mkdir(path.dirname(file), { recursive: true });
    made.add(path.dirname(file));
    await pipeline(req, createWriteStream(file));
    res.end();
  } else if (listed !== null) {
    const files = await Promise.all((await readdir(file)).map(async (name) => ({ name, size: (await stat(path.join(file, name))).size })));
    const body = JSON.stringify({ files });
    res.setHeader('Content-Length', body.length);
    res.end(body);
  } else {
    res.setHeader('Content-Length', (await stat(file)).size);
    await pipeline(createReadStream(file), res);
  }
}

function withoutFiles(req: IncomingMessage, res: ServerResponse): void {
  const key = req.url ?? '';
  if (req.method === 'GET') {
    res.setHeader('Content-Length', lengths.get(key) ?? 0);
    res.end(zeros.subarray(0, lengths.get(key) ?? 0));
    return;
  }
  lengths.set(key, Number(req.headers['content-length'] ?? 0));
  req.resume().on('end', () => res.end());
}

http
  .createServer((req, res) => {
    if (req.url === '/health') res.end('OK');
    else if (folder === undefined) withoutFiles(req, res);
    else
      withFiles(req, res, folder).catch((error) => {
        console.error(error);
        res.destroy();
      });
  })
  .listen(Number(port), '127.0.0.1');
