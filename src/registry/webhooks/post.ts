import { createHmac } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { literalOf, parseWebhookUrl, type UrlRules } from './check-url.ts';
import { isPublicAddress } from './public-address.ts';
import { resolveHost } from './resolve-host.ts';

const MAX_ANSWER_BYTES = 2048;

export type PostSettings = UrlRules & { timeoutSeconds: number };

/** What a receiver answered: the body is cut after 2 kB. `retryAfterSeconds` when it asked for a pause in seconds. */
export type Answer = { status: number; body: string; retryAfterSeconds: number | undefined };

/** Where a request goes; `secret` is null for one that is not signed. */
export type Receiver = { url: string; secret: string | null };

/**
 * Posts a JSON body with MLflow's headers: X-MLflow-Delivery-Id, X-MLflow-Timestamp (epoch seconds of this attempt) and, with a secret,
 * X-MLflow-Signature (`v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`). Follows no redirect. The address that is connected to has been
 * checked itself, so a name that resolves to another one now than when the webhook was made gains nothing.
 * Rejects with an Error whose message may be shown: no answer within the time limit, no connection, a URL or address that is not allowed.
 */
export async function postEvent(
  receiver: Receiver,
  { id, body }: { id: string; body: string },
  settings: PostSettings,
  stop?: AbortSignal,
): Promise<Answer> {
  const { url } = parseWebhookUrl(receiver.url, settings);
  const literal = literalOf(url);
  if (literal && !settings.allowPrivateIps && !isPublicAddress(literal)) throw new Error(REASONS.ENOTPUBLIC);
  const request = (url.protocol === 'https:' ? https : http).request(url, {
    method: 'POST',
    agent: false,
    headers: headersOf(receiver.secret, id, body),
    ...(!settings.allowPrivateIps && { lookup: lookUpPublic }),
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    request.destroy();
  }, settings.timeoutSeconds * 1000);
  const breakOff = () => request.destroy();
  stop?.addEventListener('abort', breakOff);
  try {
    return await answerOf(request, body);
  } catch (error) {
    throw new Error(late ? `No answer came within ${settings.timeoutSeconds} s.` : reasonOf(error));
  } finally {
    clearTimeout(timer);
    stop?.removeEventListener('abort', breakOff);
  }
}

function headersOf(secret: string | null, id: string, body: string): http.OutgoingHttpHeaders {
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = secret && createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64');
  return {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'User-Agent': 'model-commons',
    'X-MLflow-Delivery-Id': id,
    'X-MLflow-Timestamp': String(timestamp),
    ...(signature && { 'X-MLflow-Signature': `v1,${signature}` }),
  };
}

function answerOf(request: http.ClientRequest, body: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (reply) => {
      const chunks: Buffer[] = [];
      let size = 0;
      // The status is what counts: a body that breaks off is as good as a whole one.
      const finish = () => {
        const text = new TextDecoder().decode(Buffer.concat(chunks).subarray(0, MAX_ANSWER_BYTES), { stream: true });
        const pause = /^\d{1,9}$/.exec(reply.headers['retry-after'] ?? '')?.[0];
        resolve({ status: reply.statusCode ?? 0, body: text, retryAfterSeconds: pause === undefined ? undefined : Number(pause) });
        request.destroy();
      };
      reply.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size >= MAX_ANSWER_BYTES) finish();
      });
      reply.on('end', finish);
      reply.on('error', finish);
      reply.on('close', finish);
    });
    request.end(body);
  });
}

function refuseNonPublic(addresses: string[]): void {
  if (!addresses.every(isPublicAddress)) throw Object.assign(new Error('not a public address'), { code: 'ENOTPUBLIC' });
}

/** What the socket is connected by: gives addresses only when all of the name's are public. */
const lookUpPublic: LookupFunction = (hostname, options, callback) => {
  resolveHost(hostname)
    .then((found) => {
      refuseNonPublic(found.map(({ address }) => address));
      const [first] = found;
      if (options.all) callback(null, found);
      else callback(null, first?.address ?? '', first?.family);
    })
    .catch((error: NodeJS.ErrnoException) => callback(error, ''));
};

const UNTRUSTED = "The receiver's certificate is not signed by an authority this server trusts (NODE_EXTRA_CA_CERTS names a file of more).";

const REASONS: Record<string, string> = {
  ENOTPUBLIC: "The URL's host resolves to an IP address that is not public.",
  ECONNREFUSED: 'The connection was refused.',
  ECONNRESET: 'The connection was closed without an answer.',
  ENOTFOUND: 'The host name is not known.',
  EAI_AGAIN: 'The host name cannot be resolved at the moment.',
  ETIMEOUT: 'The host name was not resolved in time.',
  ERR_TLS_CERT_ALTNAME_INVALID: "The receiver's certificate is for another host.",
  CERT_HAS_EXPIRED: "The receiver's certificate has expired.",
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED,
};

/** In words of ours: Node's texts name addresses of the network we are in. */
function reasonOf(error: unknown): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? `The request failed (${code || 'unknown reason'}).`;
}
