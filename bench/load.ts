import net from 'node:net';
import { percentile } from './statistics.ts';

const REPLY_WITHIN_MS = 60_000;
const CHECK_ONE_IN = 50;
const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** `bytes` are those on the wire: head and body. */
export type Reply = { status: number; body: Buffer; bytes: number };

/** One keep-alive HTTP/1.1 connection, one request at a time. Cheaper than node:http, since the generator shares the cores with the servers. */
export class Connection {
  readonly #port: number;
  #socket: net.Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void } | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a whole request; rejects when the connection breaks, or when no reply comes within a minute. Reconnects by itself. */
  send(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket ??= this.#connect();
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #connect(): net.Socket {
    const socket = net.connect({ host: '127.0.0.1', port: this.#port, noDelay: true });
    socket.setTimeout(REPLY_WITHIN_MS, () => socket.destroy(new Error(`no reply within ${REPLY_WITHIN_MS / 1000} s`)));
    socket.on('data', (chunk) => this.#read(chunk));
    let failure = new Error('the server closed the connection');
    socket.on('error', (error) => (failure = error));
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#received = Buffer.alloc(0);
      this.#waiting?.reject(failure);
      this.#waiting = undefined;
    });
    return socket;
  }

  #read(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    const endOfHead = this.#received.indexOf(END_OF_HEAD);
    if (endOfHead < 0) return;
    const head = this.#received.toString('latin1', 0, endOfHead);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#socket?.destroy(new Error(`a reply without Content-Length: ${head.slice(0, 200)}`));
      return;
    }
    const start = endOfHead + END_OF_HEAD.length;
    const end = start + Number(length);
    if (this.#received.length < end) return;
    const body = this.#received.subarray(start, end);
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), body, bytes: end });
  }
}

export type Load = {
  port: number;
  next: () => Buffer;
  /** Throws when a reply is not what the operation promises. */
  check: (reply: Reply) => void;
  connections: number;
  seconds: number;
};

export type Slice = {
  /** Good replies per second. */
  perSecond: number;
  p50: number;
  p99: number;
  replies: number;
  /** On the wire, head and body, of one good reply in the mean. */
  bytes: number;
  /** What went wrong, and how often: statuses other than 200, bad bodies, broken connections. */
  failures: Record<string, number>;
};

/** The beginning of an error page or body, in one line. */
const textOf = (body: Buffer): string =>
  body
    .toString()
    .replace(/(<[^>]*>|\s)+/g, ' ')
    .trim()
    .slice(0, 120);

/** Asks on each connection again as soon as the reply is there; requests under way at the end are waited for and count. */
export async function applyLoad({ port, next, check, connections, seconds }: Load): Promise<Slice> {
  const latencies: number[] = [];
  const failures: Record<string, number> = {};
  const startedAt = performance.now();
  const stopAt = startedAt + seconds * 1000;
  let lastReplyAt = startedAt;
  let asked = 0;
  let bytes = 0;
  const askAgainAndAgain = async () => {
    const connection = new Connection(port);
    for (let sentAt = performance.now(); sentAt < stopAt; sentAt = performance.now()) {
      try {
        const reply = await connection.send(next());
        lastReplyAt = performance.now();
        if (reply.status !== 200) throw new Error(`status ${reply.status}: ${textOf(reply.body)}`);
        if (asked++ % CHECK_ONE_IN === 0) check(reply);
        bytes += reply.bytes;
        latencies.push(lastReplyAt - sentAt);
      } catch (error) {
        const { message } = error as Error;
        failures[message] = (failures[message] ?? 0) + 1;
      }
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: connections }, askAgainAndAgain));
  return {
    perSecond: latencies.length / ((lastReplyAt - startedAt) / 1000),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    replies: latencies.length,
    bytes: bytes / latencies.length,
    failures,
  };
}
