import net from 'node:net';

const REPLY_WITHIN_MS = 120_000;
const READ_BYTES = 256 * 1024;
const MAX_HEAD_BYTES = 64 * 1024;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** What came back: the length is of the body, which is kept when that was asked for. */
type Received = { status: number; length: number; body: Buffer | undefined };

type Waiting = { keepBody: boolean; head: Buffer; parts: Buffer[]; status: number; expected: number; length: number };

/** One keep-alive HTTP/1.1 connection for large bodies, one request at a time: it reads into one buffer over and over, and counts what it does not keep. */
type ByteConnection = {
  send(method: 'GET' | 'PUT', path: string, body?: Buffer, keepBody?: boolean): Promise<Received>;
  close(): void;
};

/** Connects at once. A request rejects when the connection breaks, when nothing moves for two minutes, or when the reply has no Content-Length. */
function connectForBytes(port: number): ByteConnection {
  let waiting: Waiting | undefined;
  let settle: { resolve(received: Received): void; reject(error: Error): void } | undefined;
  const read = (count: number, buffer: Uint8Array) => {
    if (!waiting) return true;
    const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, count);
    if (waiting.expected < 0) takeHead(waiting, chunk);
    else takeBody(waiting, chunk);
    if (waiting.expected < 0 || waiting.length < waiting.expected) return true;
    const { status, length, keepBody, parts } = waiting;
    waiting = undefined;
    settle?.resolve({ status, length, body: keepBody ? Buffer.concat(parts) : undefined });
    return true;
  };
  const socket = net.connect({
    ...{ host: '127.0.0.1', port, noDelay: true },
    onread: {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback(count, buffer) {
        try {
          return read(count, buffer);
        } catch (error) {
          socket.destroy(error as Error);
          return false;
        }
      },
    },
  });
  let failure = new Error('the server closed the connection');
  socket.setTimeout(REPLY_WITHIN_MS, () => socket.destroy(new Error(`nothing moved for ${REPLY_WITHIN_MS / 1000} s`)));
  socket.on('error', (error) => (failure = error));
  socket.on('close', () => settle?.reject(failure));

  return {
    send(method, path, body = Buffer.alloc(0), keepBody = false) {
      return new Promise((resolve, reject) => {
        settle = { resolve, reject };
        if (socket.destroyed) return reject(failure);
        waiting = { keepBody, head: Buffer.alloc(0), parts: [], status: 0, expected: -1, length: 0 };
        const type = method === 'PUT' ? `Content-Type: application/octet-stream\r\nContent-Length: ${body.length}\r\n` : '';
        socket.cork();
        socket.write(`${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\n${type}\r\n`);
        socket.write(body);
        socket.uncork();
      });
    },
    close: () => socket.destroy(),
  };
}

function takeHead(waiting: Waiting, chunk: Buffer): void {
  waiting.head = Buffer.concat([waiting.head, chunk]);
  const end = waiting.head.indexOf(END_OF_HEAD);
  if (end < 0 && waiting.head.length < MAX_HEAD_BYTES) return;
  const head = waiting.head.toString('latin1', 0, end);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error(`a reply without Content-Length: ${head.slice(0, 200)}`);
  waiting.status = Number(head.slice(9, 12));
  waiting.expected = Number(length);
  takeBody(waiting, waiting.head.subarray(end + END_OF_HEAD.length));
}

function takeBody(waiting: Waiting, chunk: Buffer): void {
  waiting.length += chunk.length;
  if (waiting.keepBody) waiting.parts.push(Buffer.from(chunk));
}

const FILES = '/api/2.0/mlflow-artifacts/artifacts';
const pathOf = (file: string): string => `${FILES}/${file}`;
const listingOf = (folder: string): string => `${FILES}?path=${folder}`;

/** Something to do on a connection; throws unless the reply is right. */
export type Job = (connection: ByteConnection) => Promise<void>;

async function expect200(sent: Promise<Received>, what: string): Promise<Received> {
  const received = await sent;
  if (received.status !== 200) throw new Error(`${what}: status ${received.status}`);
  return received;
}

export const put =
  (file: string, bytes: Buffer): Job =>
  async (connection) => {
    await expect200(connection.send('PUT', pathOf(file), bytes), `PUT ${file}`);
  };

/** Reads a file and checks its length; with `bytes`, also that it has these. */
export const getFile =
  (file: string, size: number, bytes?: Buffer): Job =>
  async (connection) => {
    const { length, body } = await expect200(connection.send('GET', pathOf(file), undefined, bytes !== undefined), `GET ${file}`);
    if (length !== size) throw new Error(`GET ${file}: ${length} bytes instead of ${size}`);
    if (bytes && !body?.equals(bytes)) throw new Error(`GET ${file}: other bytes than were put there`);
  };

export const list =
  (folder: string, count: number): Job =>
  async (connection) => {
    const { body } = await expect200(connection.send('GET', listingOf(folder), undefined, true), `list ${folder}`);
    const { files } = JSON.parse(String(body)) as { files: unknown[] };
    if (files.length !== count) throw new Error(`list ${folder}: ${files.length} entries instead of ${count}`);
  };

/** Does the jobs in order, each on the first connection that is free, and gives the milliseconds. Rejects with the first failure. */
export async function runJobs(port: number, connections: number, jobs: Job[]): Promise<number> {
  const opened = Array.from({ length: connections }, () => connectForBytes(port));
  const left = jobs.values();
  const startedAt = performance.now();
  try {
    await Promise.all(
      opened.map(async (connection) => {
        for (const job of left) await job(connection);
      }),
    );
    return performance.now() - startedAt;
  } finally {
    for (const connection of opened) connection.close();
  }
}
