import { isIP } from 'node:net';
import { invalidParameter } from '../../platform/errors.ts';
import { checkLength } from '../../platform/names.ts';
import { pythonRepr } from '../../platform/python.ts';
import { isPublicAddress } from './public-address.ts';
import { resolveHost } from './resolve-host.ts';

const MAX_URL_LENGTH = 500;

export type UrlRules = { allowedSchemes: readonly string[]; allowPrivateIps: boolean };

/**
 * Reads a webhook's URL. Throws INVALID_PARAMETER_VALUE with the stock server's sentences (mlflow/utils/validation.py, _validate_webhook_url), and for
 * what that lets pass: white space, control characters, backslashes, credentials, ports that no web server has.
 */
export function parseWebhookUrl(text: string, { allowedSchemes }: UrlRules): { url: URL; hostname: string } {
  if (text.trim() === '') throw invalidParameter(`Webhook URL cannot be empty or just whitespace: ${pythonRepr(text)}`);
  checkLength('url', MAX_URL_LENGTH, text);
  // What programs that read URLs disagree about.
  if (/[\s\p{Cc}\\]/u.test(text)) {
    throw invalidParameter(`Webhook URL must not contain white space, control characters or backslashes: ${pythonRepr(text)}`);
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase() ?? '';
  if (!allowedSchemes.includes(scheme)) {
    throw invalidParameter(`Invalid webhook URL scheme: '${scheme}'. Allowed schemes are: ${allowedSchemes.join(', ')}.`);
  }
  const authority = /^[^:]*:\/\/([^/?#]*)/.exec(text)?.[1] ?? '';
  if (authority.includes('@'))
    throw invalidParameter('Webhook URL must not include credentials. Set a secret: requests are signed with it.');
  const parts = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(authority);
  if (parts?.[1] === '') throw invalidParameter(`Webhook URL must include a hostname: ${pythonRepr(text)}`);
  if (parts?.[2]) checkPort(parts[2]);
  const host = parts?.[1];
  if (!host || !URL.canParse(text)) throw invalidParameter(`Invalid webhook URL ${pythonRepr(text)}: its host cannot be read.`);
  return { url: new URL(text), hostname: host.replace(/^\[|\]$/g, '').toLowerCase() };
}

/** 80, 443 and what is not reserved: nobody may have us write to a mail server. */
function checkPort(text: string): void {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port === 80 || port === 443 || (port >= 1024 && port <= 65535)) return;
  throw invalidParameter(`Invalid webhook URL port: '${text}'. Allowed ports are: 80, 443 and 1024 to 65535.`);
}

/** Checks a URL that a webhook is to have: as `parseWebhookUrl`, and that its host is one of the public internet unless private ones are allowed. */
export async function checkWebhookUrl(text: string, rules: UrlRules): Promise<void> {
  const { url, hostname } = parseWebhookUrl(text, rules);
  if (rules.allowPrivateIps) return;
  const literal = literalOf(url);
  const addresses = literal ? [literal] : await resolve(hostname);
  if (addresses.every(isPublicAddress)) return;
  // What a name resolves to is not told: it would make us a guide to the network we are in.
  const which = literal ? `${pythonRepr(hostname)} resolves to ${literal}.` : `${pythonRepr(hostname)} does.`;
  throw invalidParameter(`Webhook URL must not resolve to a non-public IP address. ${which}`);
}

/** The address that a URL names in figures, in whatever notation (`0x7f000001`), else undefined. */
export function literalOf({ hostname }: URL): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return isIP(bare) ? bare : undefined;
}

// The texts of getaddrinfo, which the stock server passes on.
const RESOLVER_TEXTS: Record<string, string> = {
  ENOTFOUND: '[Errno -2] Name or service not known',
  EAI_AGAIN: '[Errno -3] Temporary failure in name resolution',
};

async function resolve(hostname: string): Promise<string[]> {
  try {
    return (await resolveHost(hostname)).map(({ address }) => address);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw invalidParameter(`Cannot resolve Webhook URL hostname ${pythonRepr(hostname)}: ${RESOLVER_TEXTS[code] ?? code}`);
  }
}
