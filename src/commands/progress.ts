const LINE_EVERY_MS = 5000;
const REDRAW_EVERY_MS = 100;
const BAR = 24;
/** A file takes as long as so many bytes, however small it is. */
const FILE_COST = 100_000;
const SIZES = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** `1.2 GB`: powers of 1000, as disks are sold. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), SIZES.length - 1);
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 9.95 ? 1 : 0)} ${SIZES[power]}`;
}

/** `1 file`, `2 files`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

export type Progress = {
  /** More work was done; `bytes` is what of the total. */
  add(bytes: number, files?: number): void;
  setTotal(bytes: number, files: number): void;
  /** Prints a line on stdout without tearing the bar. */
  print(line: string): void;
  /** Ends the bar. */
  end(): void;
};

/** Shows progress on stderr: a bar on a terminal, else a line every five seconds. */
export function openProgress(label: string): Progress {
  const isTerminal = process.stderr.isTTY === true;
  const began = Date.now();
  let [done, files, total, totalFiles, shown] = [0, 0, 0, 0, Date.now()];
  const status = () => {
    const seconds = Math.max((Date.now() - began) / 1000, 0.001);
    const cost = total + totalFiles * FILE_COST;
    const share = cost > 0 ? Math.min((done + files * FILE_COST) / cost, 1) : 0;
    const full = Math.floor(share * BAR);
    const rate = `${formatBytes(Math.round(done / seconds))}/s`;
    const left = share > 0 && share < 1 ? `, ${formatSeconds((seconds / share) * (1 - share))} left` : '';
    if (cost === 0) return `${label}: ${plural(files, 'file')}, ${formatBytes(done)}`;
    const count = `${files} of ${plural(totalFiles, 'file')}, `;
    const bar = isTerminal ? `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ` : '';
    return `${label}: ${bar}${Math.floor(share * 100)}% of ${formatBytes(total)}, ${count}${rate}${left}`;
  };
  const clear = () => {
    if (isTerminal) process.stderr.write('\r\x1b[K');
  };
  const show = () => {
    if (Date.now() - shown < (isTerminal ? REDRAW_EVERY_MS : LINE_EVERY_MS)) return;
    shown = Date.now();
    process.stderr.write(isTerminal ? `\r${status().slice(0, (process.stderr.columns ?? 80) - 1)}\x1b[K` : `${status()}\n`);
  };
  return {
    add(bytes, more = 0) {
      done += bytes;
      files += more;
      show();
    },
    setTotal(bytes, count) {
      total = bytes;
      totalFiles = count;
    },
    print(line) {
      clear();
      process.stdout.write(`${line}\n`);
    },
    end: clear,
  };
}

function formatSeconds(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
