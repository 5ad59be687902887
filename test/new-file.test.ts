import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { startFile } from '../src/artifacts/blobs/new-file.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const { O_DIRECT } = fs.constants;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'model-commons-new-file-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

let files = 0;
const newNames = (): [upload: string, file: string] => {
  const name = path.join(folder, String(files++));
  return [`${name}.upload`, name];
};
const { openSync } = fs;
// Of its ways to be called, the one that is used.
const writeSync = fs.writeSync as (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => number;
const onWrite = (write: typeof writeSync) => vi.spyOn(fs, 'writeSync').mockImplementation(write as typeof fs.writeSync);
const notSupported = () => Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
const isDirect = (flags: unknown) => (Number(flags) & O_DIRECT) !== 0;

/** What file systems do with O_DIRECT, and how many bytes a write takes. */
const systems: [name: string, set: () => void][] = [
  ['that can do without its cache', () => {}],
  [
    'that refuses to open a file past its cache, which it has made by then',
    () => {
      vi.spyOn(fs, 'openSync').mockImplementation((file, flags, mode) => {
        if (!isDirect(flags)) return openSync(file, flags, mode);
        fs.closeSync(openSync(file, Number(flags) & ~O_DIRECT, mode));
        throw notSupported();
      });
    },
  ],
  [
    'that refuses the first write past its cache',
    () => {
      const direct = new Set<number>();
      vi.spyOn(fs, 'openSync').mockImplementation((file, flags, mode) => {
        const fd = openSync(file, flags, mode);
        direct.delete(fd);
        if (isDirect(flags)) direct.add(fd);
        return fd;
      });
      onWrite((fd, ...args) => {
        if (direct.has(fd)) throw notSupported();
        return writeSync(fd, ...args);
      });
    },
  ],
  [
    'that takes a part of each write',
    () => {
      onWrite((fd, bytes, offset, length, position) => writeSync(fd, bytes, offset, Math.min(length, 100_000), position));
    },
  ],
];

/** Random bytes at the beginning of a page, the last of which is theirs. */
function inPages(length: number): Uint8Array {
  const pages = Math.ceil(length / 4096) * 4096;
  const bytes = new Uint8Array(new ArrayBuffer(pages, { maxByteLength: pages }), 0, length);
  bytes.set(randomBytes(length));
  return bytes;
}

describe.each(systems)('a new file on a system %s', (_, set) => {
  const LAST = [0, 1, 4096, 256 * KIB - 1, 256 * KIB, 300_001, MIB];

  it.each(LAST)('has its bytes when it is finished at once by %d', (length) => {
    set();
    const bytes = inPages(length);
    const [upload, file] = newNames();
    startFile(upload, file).finish(bytes);
    expect(fs.readFileSync(file).equals(bytes)).toBe(true);
    expect(fs.existsSync(upload)).toBe(false);
    expect(fs.statSync(file).mode & 0o777).toBe(0o640);
  });

  it.each(LAST)('has its bytes, and its name once there are all, when it grows and is finished by %d', (length) => {
    set();
    const parts = [MIB, 4096, 3 * 4096, MIB, length].map(inPages);
    const [upload, file] = newNames();
    const growing = startFile(upload, file);
    for (const blocks of parts.slice(0, -1)) {
      growing.append(blocks);
      expect(fs.existsSync(file)).toBe(false);
    }
    growing.finish(parts.at(-1) as Uint8Array);
    expect(fs.readFileSync(file).equals(Buffer.concat(parts))).toBe(true);
    expect(fs.existsSync(upload)).toBe(false);
    expect(fs.statSync(file).mode & 0o777).toBe(0o640);
  });
});

it('leaves nothing of a file that is given up, at any time', () => {
  const begun = startFile(...newNames());
  begun.remove();
  const growing = startFile(...newNames());
  growing.append(inPages(MIB));
  growing.remove();
  vi.spyOn(fs, 'fdatasyncSync').mockImplementationOnce(() => {
    throw Object.assign(new Error('EIO'), { code: 'EIO' });
  });
  const failed = startFile(...newNames());
  expect(() => failed.finish(inPages(MIB))).toThrow('EIO');
  failed.remove();
  expect(fs.readdirSync(folder).filter((name) => Number(name.split('.')[0]) >= files - 3)).toEqual([]);
});

it('keeps a large file out of the page cache', () => {
  const open = vi.spyOn(fs, 'openSync');
  startFile(...newNames()).finish(inPages(MIB));
  startFile(...newNames()).finish(inPages(10 * KIB));
  const created = open.mock.calls.filter(([, flags]) => typeof flags === 'number' && (flags & fs.constants.O_CREAT) !== 0);
  expect([created.at(0), created.at(-1)].map((call) => isDirect(call?.[1]))).toEqual([true, false]);
});
