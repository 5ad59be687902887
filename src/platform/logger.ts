import { type Logger, pino } from 'pino';

/** JSON lines on stdout, or readable ones when a person looks on. Written in batches off the request's path; `flush` empties the batch. */
export async function openLogger(level: string): Promise<{ log: Logger; flush: () => void }> {
  if (process.stdout.isTTY) {
    // Loaded only here: it takes a tenth of the start.
    const { default: pretty } = await import('pino-pretty');
    const stream = pretty({
      sync: true,
      singleLine: true,
      ignore: 'pid,hostname,op,method,path,status,ms,requestId,user,traceId',
      messageFormat: (line, key) => {
        if (line.method) return `${line.method} ${line.path} ${line.status} ${line.ms} ms`;
        return line.statement ? `${line[key]} of ${line.op}: ${line.ms} ms` : String(line[key]);
      },
    });
    return { log: pino({ level, base: null }, stream), flush: () => {} };
  }
  const destination = pino.destination({ sync: false, minLength: 16_000 });
  const timer = setInterval(() => destination.flush(), 1000);
  timer.unref();
  return { log: pino({ level, base: null }, destination), flush: () => destination.flushSync() };
}
