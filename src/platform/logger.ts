import { type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

/** JSON lines on stdout, or readable ones when a person looks on. Written in batches off the request's path; `flush` empties the batch. */
export function openLogger(level: string): { log: Logger; flush: () => void } {
  if (process.stdout.isTTY) {
    return { log: pino({ level, base: null }, pretty({ ignore: 'pid,hostname', sync: true })), flush: () => {} };
  }
  const destination = pino.destination({ sync: false, minLength: 4096 });
  const timer = setInterval(() => destination.flush(), 1000);
  timer.unref();
  return { log: pino({ level, base: null }, destination), flush: () => destination.flushSync() };
}
