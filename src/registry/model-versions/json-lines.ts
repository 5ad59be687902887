import type { ServerResponse } from 'node:http';

const PROGRESS_MS = 1000;

/** A reply in lines of JSON: how far something is, and at last what came of it. */
export type JsonLines = {
  /** Tells how far it is, if nothing was told for a second. */
  progress(line: () => object): void;
  end(line: object): void;
};

/** Answers in lines of JSON. The status, 200, is sent with the first line; before it anything can still be refused. */
export function jsonLines(res: ServerResponse): JsonLines {
  let told = performance.now();
  const text = (line: object) => {
    if (!res.headersSent) res.setHeader('Content-Type', 'application/x-ndjson');
    return `${JSON.stringify(line)}\n`;
  };
  return {
    progress(line) {
      if (performance.now() - told < PROGRESS_MS) return;
      told = performance.now();
      res.write(text(line()));
    },
    end: (line) => void res.end(text(line)),
  };
}
