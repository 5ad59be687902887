import { parentPort } from 'node:worker_threads';
import { type Checksums, checksummer } from './checksums.ts';
import { startFile } from './new-file.ts';

/** A step of an upload, which has a number in this process: its next bytes, or without any, that it is given up. The names are those of `startFile`. */
export type Step = { upload: number; names: [upload: string, file: string]; bytes?: Uint8Array; isLast: boolean };
/** What became of a step: the checksums of the whole upload when it was the last, or how it failed. */
export type Outcome = { upload: number; checksums?: Checksums | undefined; failure?: { message: string; code: string | undefined } };

const uploads = new Map<number, ReturnType<typeof begin>>();
const begin = (names: Step['names']) => ({ file: startFile(...names), checksums: checksummer() });

parentPort?.on('message', (step: Step) => {
  let outcome: Outcome;
  try {
    outcome = { upload: step.upload, checksums: take(step) };
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    outcome = { upload: step.upload, failure: { message, code } };
  }
  parentPort?.postMessage(outcome);
});

function take({ upload, names, bytes, isLast }: Step): Checksums | undefined {
  const { file, checksums } = uploads.get(upload) ?? begin(names);
  if (!bytes) {
    uploads.delete(upload);
    file.remove();
    return;
  }
  uploads.set(upload, { file, checksums });
  checksums.add(bytes);
  if (!isLast) {
    file.append(bytes);
    return;
  }
  file.finish(bytes);
  uploads.delete(upload);
  return checksums.result();
}
