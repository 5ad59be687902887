import { type BinaryLike, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { invalidParameter, MlflowError } from '../platform/errors.ts';

const MIN_LENGTH = 12;
const MAX_BYTES = 1024;
// OWASP's second choice of parameters for scrypt: 32 MiB of memory, about 0.1 s.
const COST = { N: 2 ** 15, r: 8, p: 3 };
const KEY_BYTES = 32;
// Each takes a thread and 32 MiB.
const MOST_AT_ONCE = 2;
const MOST_WAITING = 64;

const derive = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt);

let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MOST_AT_ONCE) {
    if (waiting.length >= MOST_WAITING)
      throw new MlflowError('REQUEST_LIMIT_EXCEEDED', 'Too many people are signing in at this moment. Try again in a few seconds.');
    await new Promise<void>((resolve) => waiting.push(resolve));
  }
  running++;
  try {
    return await work();
  } finally {
    running--;
    waiting.shift()?.();
  }
}

const hashWith = (password: string, salt: Buffer, { N, r, p }: typeof COST): Promise<Buffer> =>
  inTurn(() => derive(password, salt, KEY_BYTES, { N, r, p, maxmem: 256 * N * r }));

/** Throws INVALID_PARAMETER_VALUE for a password that is too short or too long. */
export function checkNewPassword(password: string): void {
  if ([...password].length < MIN_LENGTH) throw invalidParameter(`The password is too short: it needs at least ${MIN_LENGTH} characters.`);
  if (Buffer.byteLength(password) > MAX_BYTES) throw invalidParameter(`The password is longer than ${MAX_BYTES} bytes.`);
  if (password.includes('\0')) throw invalidParameter('The password must not contain NUL characters.');
}

/** A hash to store: `scrypt$N$r$p$salt$hash`, the last two in base64. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await hashWith(password, salt, COST);
  return ['scrypt', COST.N, COST.r, COST.p, salt.toString('base64'), hash.toString('base64')].join('$');
}

// Of nobody: to check a password against it takes as long as against a real one.
const NOBODY = `scrypt$${COST.N}$${COST.r}$${COST.p}$${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(KEY_BYTES).toString('base64')}`;

/** Whether it is the password of the hash; for null, which is no hash, it takes the same time and is false. */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const [, N, r, p, salt = '', expected = ''] = (stored ?? NOBODY).split('$');
  if (Buffer.byteLength(password) > MAX_BYTES) return false;
  const hash = await hashWith(password, Buffer.from(salt, 'base64'), { N: Number(N), r: Number(r), p: Number(p) });
  return timingSafeEqual(hash, Buffer.from(expected, 'base64')) && stored !== null;
}
