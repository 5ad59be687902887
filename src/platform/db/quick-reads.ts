import type { Socket } from 'node:net';
import pg from 'pg';

/** A statement to be sent; `isQuick`: together with others. */
export type Asked = pg.QueryConfig & { isQuick?: boolean };

// One would do for a server with few requests at once; with two, one that is being replaced does not keep all waiting.
const LANES = 2;

/**
 * Makes a pool send quick reads over two connections of their own, on which a statement does not wait for the answers of those before it (pg's pipeline mode),
 * and those of one turn of the event loop leave in one packet. What a small read costs is mostly such packets, here and in PostgreSQL (docs/decisions/0013).
 */
export function sendQuickReadsTogether(pool: pg.Pool, config: pg.PoolConfig): pg.Pool {
  const lanes = Array.from({ length: LANES }, () => openLane(config, (error) => pool.emit('error', error)));
  const [query, end] = [pool.query.bind(pool), pool.end.bind(pool)] as [(...asked: unknown[]) => unknown, () => Promise<void>];
  const emptiest = () => lanes.reduce((best, lane) => (lane.underWay() < best.underWay() ? lane : best));
  return Object.assign(pool, {
    query: (...asked: unknown[]) => ((asked[0] as Asked).isQuick ? emptiest().query(asked[0] as Asked) : query(...asked)),
    async end() {
      await Promise.all(lanes.map((lane) => lane.end()));
      await end();
    },
  });
}

function openLane(config: pg.PoolConfig, lost: (error: Error) => void) {
  let client: pg.Client | null = null;
  let connecting: Promise<pg.Client> | null = null;
  let underWay = 0;

  async function connect(): Promise<pg.Client> {
    const made = new pg.Client({ ...config, pipeline: true } as pg.ClientConfig);
    const forget = () => {
      if (client === made) client = null;
    };
    made.on('end', forget);
    made.on('error', (error) => {
      forget();
      lost(error);
    });
    await made.connect();
    client = made;
    return made;
  }

  const opened = (): pg.Client | Promise<pg.Client> => {
    if (client) return client;
    connecting ??= connect().finally(() => {
      connecting = null;
    });
    return connecting;
  };

  const ask = (open: pg.Client, asked: Asked): Promise<pg.QueryResult> => {
    holdUntilTurnEnds((open as unknown as { connection: { stream: Socket } }).connection.stream);
    return open.query(asked);
  };

  return {
    underWay: () => underWay,
    async query(asked: Asked): Promise<pg.QueryResult> {
      underWay++;
      try {
        const open = await opened();
        return await ask(open, asked).catch(async (error) => {
          if (client === open && endsSession(error)) client = null;
          if (client === open) throw error;
          // The connection was lost, with all that were under way on it. They only read, so they may be asked again.
          return ask(await opened(), asked);
        });
      } finally {
        underWay--;
      }
    },
    async end(): Promise<void> {
      await (client ?? (await connecting?.catch(() => null)))?.end();
    },
  };
}

const endsSession = (error: unknown): boolean => error instanceof pg.DatabaseError && error.severity === 'FATAL';

const held = new WeakSet<Socket>();

/** Keeps what is written to a socket until all that came in this turn of the event loop was looked at. */
function holdUntilTurnEnds(socket: Socket): void {
  if (held.has(socket)) return;
  held.add(socket);
  socket.cork();
  setImmediate(() => {
    held.delete(socket);
    socket.uncork();
  });
}
