import { type Logger, pino } from 'pino';

/** JSON lines on stdout, or readable ones when a person looks on. Written in batches off the request's path; `flush` empties the batch. */
export async function openLogger(level: string): Promise<{ log: Logger; flush: () => void }> {
  if (process.stdout.isTTY) {
    // Loaded only here: it takes a tenth of the start.
    const { default: pretty } = await import('pino-pretty');
    const stream = pretty({
      sync: true,
      singleLine: true,
      ignore: 'pid,hostname,op,method,path,status,ms,requestId',
      messageFormat: (line, key) => (line.op ? `${line.method} ${line.path} ${line.status} ${line.ms} ms` : String(line[key])),
    });
    return { log: pino({ level, base: null }, stream), flush: () => {} };
  }
  const destination = pino.destination({ sync: false, minLength: 4096 });
  const timer = setInterval(() => destination.flush(), 1000);
  timer.unref();
  return { log: pino({ level, base: null }, destination), flush: () => destination.flushSync() };
}
