import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto';
import fs from 'node:fs/promises';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypts webhooks' secrets for the database (AES-256-GCM). Each is bound to its webhook's id: in another row it cannot be read. */
export type Secrets = {
  seal(webhookId: string, secret: string): Promise<Buffer>;
  /** Rejects with a sentence for the log when the key is not the one it was sealed with. */
  unseal(webhookId: string, sealed: Buffer): Promise<string>;
};

/** `key` is 32 bytes in base64; without one it is read from `keyFile`, which the first secret makes. */
export function openSecrets(key: string | undefined, keyFile: string): Secrets {
  let known: Promise<Buffer> | undefined;
  const getKey = () => {
    known ??= key === undefined ? readOrMakeKey(keyFile) : Promise.resolve(Buffer.from(key, 'base64'));
    known.catch(() => {
      known = undefined;
    });
    return known;
  };
  return {
    async seal(webhookId, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', await getKey(), nonce).setAAD(Buffer.from(webhookId));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]);
    },
    async unseal(webhookId, sealed) {
      const decipher = createDecipheriv('aes-256-gcm', await getKey(), sealed.subarray(0, NONCE_BYTES))
        .setAAD(Buffer.from(webhookId))
        .setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      try {
        return decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
      } catch {
        throw new Error(
          'Its secret was encrypted with another key: set MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY as it was, or give a new secret.',
        );
      }
    },
  };
}

async function readOrMakeKey(file: string): Promise<Buffer> {
  const found = await readKey(file);
  if (found) return found;
  // Whole or not at all, and the same for servers that make it at the same moment.
  const unfinished = `${file}.${randomUUID()}`;
  await fs.writeFile(unfinished, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flush: true });
  await fs.link(unfinished, file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await fs.rm(unfinished);
  return (await readKey(file)) ?? Promise.reject(new Error(`${file} is gone again.`));
}

async function readKey(file: string): Promise<Buffer | undefined> {
  try {
    return Buffer.from(await fs.readFile(file, 'utf8'), 'base64');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
