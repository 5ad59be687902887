import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { invalidParameter } from '../../platform/errors.ts';
import type { PartsStore, UploadedPart } from './blob-store.ts';
import { checksumsOf } from './checksums.ts';
import { moveDurably, nullIfMissing, toStoreError } from './durable-files.ts';

// Without O_TRUNC: parts are written to one file at once.
const OPEN_OR_CREATE = fs.constants.O_RDWR | fs.constants.O_CREAT;

/**
 * Uploads in parts on a disk, one folder `<key>/` each: parts go to their place in the file `data` as they come, so that putting them together
 * copies nothing but the last one, which waits in `last`: its place is known when the size of the others is. An empty file
 * `part-<number>-<length>` says that a part is whole.
 */
export function openLocalParts(folder: string, blobFileOf: (key: string) => string): PartsStore {
  const folderOf = (key: string) => path.join(folder, key);

  return {
    direct: false,
    async begin() {
      const key = randomUUID();
      await fs.mkdir(folderOf(key)).catch(throwStoreError);
      return { key, uploadId: key };
    },
    async writePart({ key }, { number, count, length }, body) {
      const isLast = number === count;
      const file = path.join(folderOf(key), isLast ? 'last' : 'data');
      try {
        if (!isLast) await agreeOnSize(folderOf(key), length);
        for (const { name } of (await readMarkers(folderOf(key))).filter((part) => part.number === number)) {
          await fs.rm(path.join(folderOf(key), name), { force: true });
        }
        const handle = await fs.open(file, OPEN_OR_CREATE, 0o640);
        if (isLast) await handle.truncate(0);
        // Synced before the marker says that it is whole.
        await pipeline(body, handle.createWriteStream({ start: isLast ? 0 : (number - 1) * length, flush: true }));
        await fs.writeFile(path.join(folderOf(key), `part-${number}-${length}`), '');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT')
          throw invalidParameter('This upload is finished or was given up: begin a new one.');
        throw toStoreError(error);
      }
      return etagOf(number, length);
    },
    async finish({ key }, count, parts) {
      const blob = blobFileOf(key);
      const markers = await readMarkers(folderOf(key)).catch(nullIfMissing);
      if (markers) {
        const data = path.join(folderOf(key), 'data');
        checkParts(markers, count, parts);
        try {
          await joinLast(folderOf(key), markers, count);
          await syncFile(data);
          await moveDurably(data, blob);
        } catch (error) {
          throw toStoreError(error);
        }
        await fs.rm(folderOf(key), { recursive: true, force: true });
      }
      return { key, ...(await checksumsOf(createReadStream(blob, { highWaterMark: 1024 * 1024 }))) };
    },
    async abandon({ key }) {
      await fs.rm(folderOf(key), { recursive: true, force: true });
    },
  };
}

function throwStoreError(error: unknown): never {
  throw toStoreError(error);
}

type Marker = { number: number; length: number; name: string };

async function readMarkers(folder: string): Promise<Marker[]> {
  const markers: Marker[] = [];
  for (const name of await fs.readdir(folder)) {
    const [, number, length] = /^part-(\d+)-(\d+)$/.exec(name) ?? [];
    if (number && length) markers.push({ number: Number(number), length: Number(length), name });
  }
  return markers.sort((a, b) => a.number - b.number);
}

/** The first part to come settles the size of all but the last: one of another size would be written over its neighbours. */
async function agreeOnSize(folder: string, length: number): Promise<void> {
  const file = path.join(folder, 'part-size');
  try {
    // A symbolic link is there with its text at once, or not at all.
    await fs.symlink(String(length), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const size = await fs.readlink(file);
    if (size !== String(length))
      throw invalidParameter(`The parts of this upload have ${size} bytes, but for the last one; this one has ${length}.`);
  }
}

const etagOf = (number: number, length: number) => `"${number}-${length}"`;

function checkParts(markers: Marker[], count: number, parts: UploadedPart[]): void {
  const missing = Array.from({ length: count }, (_, i) => i + 1).find((number, i) => markers[i]?.number !== number);
  if (missing !== undefined)
    throw invalidParameter(`Part ${missing} of ${count} was not uploaded: send it, then complete the upload again.`);
  const named = new Map(parts.map(({ number, etag }) => [number, etag]));
  const wrong = markers.find(({ number, length }) => named.get(number) !== etagOf(number, length));
  if (wrong || named.size !== count)
    throw invalidParameter(`The list of parts does not name part ${wrong?.number ?? count + 1} as it was uploaded.`);
}

/** Puts the last part behind the others, and cuts off what a part that was sent again had been longer; when this broke off it can be done again. */
async function joinLast(folder: string, markers: Marker[], count: number): Promise<void> {
  const [data, last] = [path.join(folder, 'data'), path.join(folder, 'last')];
  const start = (count - 1) * (markers[0] as Marker).length;
  const handle = await fs.open(data, OPEN_OR_CREATE, 0o640);
  await handle.truncate(start);
  await pipeline(createReadStream(last), handle.createWriteStream({ start }));
}

async function syncFile(file: string): Promise<void> {
  const handle = await fs.open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
