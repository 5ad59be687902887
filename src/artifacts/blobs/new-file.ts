import fs from 'node:fs';
import path from 'node:path';

/** A file that is written once, from its start to its end. What it does blocks its thread until the disk has answered, and throws what the system says. */
export type NewFile = {
  /** Adds whole blocks. Their memory begins at a block, too. */
  append(blocks: Uint8Array): void;
  /** Adds the last bytes. After this all bytes and the file's name are on the disk even if the machine loses power. */
  finish(bytes: Uint8Array): void;
  /** Removes what there is of it. */
  remove(): void;
};

/** Any disk takes blocks of so many bytes: its own, logical ones have 512 or 4096. */
export const BLOCK_BYTES = 4096;
// What is smaller costs the page cache nothing to speak of.
const DIRECT_FROM_BYTES = 256 * 1024;

// Only Linux has O_DIRECT.
const { O_WRONLY, O_CREAT, O_EXCL, O_DIRECT = 0 } = fs.constants;

/**
 * Begins a file. One whose first bytes are its last is created as `file` at once; one that grows is `upload` until all of it is there.
 *
 * A large one is written past the system's page cache, as databases do: the cache would drop for it what is read often, and new memory for
 * it can cost a virtual machine more than all else that is done with an upload.
 */
export function startFile(upload: string, file: string): NewFile {
  let output: Output | undefined;

  return {
    append(blocks) {
      output ??= create(upload, O_DIRECT);
      add(blocks, output);
    },
    finish(bytes) {
      output ??= create(file, bytes.length < DIRECT_FROM_BYTES ? 0 : O_DIRECT);
      const size = output.size + bytes.length;
      add(wholeBlocks(bytes), output);
      if (output.size > size) fs.ftruncateSync(output.fd, size);
      // Renamed before it is synced, so that both go to the disk in one commit of the file system's journal instead of two; after a loss of power a file that
      // is not whole may lie there.
      if (output.file !== file) fs.renameSync(output.file, file);
      fs.fdatasyncSync(output.fd);
      syncFolder(path.dirname(file));
      fs.closeSync(output.fd);
    },
    remove() {
      if (output) fs.closeSync(output.fd);
      for (const name of [upload, file]) fs.rmSync(name, { force: true });
    },
  };
}

/** An open file that bytes are added to; `size` of them are there. */
type Output = { file: string; fd: number; size: number };

function create(file: string, direct: number): Output {
  const open = (flags: number) => fs.openSync(file, O_WRONLY | O_CREAT | flags, 0o640);
  // Linux has made the file when it refuses O_DIRECT.
  const fd = unlessRefused(
    () => open(O_EXCL | direct),
    () => open(0),
  );
  return { file, fd, size: 0 };
}

/** Bytes that begin at a block, with zeros after them up to the next one. The memory behind them must be theirs. */
function wholeBlocks(bytes: Uint8Array): Uint8Array {
  const length = Math.ceil(bytes.length / BLOCK_BYTES) * BLOCK_BYTES;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, length).fill(0, bytes.length);
}

function add(bytes: Uint8Array, output: Output): void {
  // A disk that fills up takes a part: the next try says why.
  for (let left = bytes; left.length > 0; ) {
    const write = () => fs.writeSync(output.fd, left, 0, left.length, output.size);
    const written = unlessRefused(write, () => {
      // A file system that takes the flag and then not the writes, or a limit in the middle of a block.
      const fd = fs.openSync(output.file, O_WRONLY);
      fs.closeSync(output.fd);
      output.fd = fd;
      return write();
    });
    output.size += written;
    left = left.subarray(written);
  }
}

/** What `direct` gives, or where the system cannot do it past the page cache, what `cached` does. */
function unlessRefused<Result>(direct: () => Result, cached: () => Result): Result {
  try {
    return direct();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    return cached();
  }
}

function syncFolder(folder: string): void {
  const fd = fs.openSync(folder, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
