import type { IncomingMessage } from 'node:http';
import type { Caller } from '../caller.ts';
import type { Origin } from './event.ts';

const LONGEST_CLIENT = 200;
const PLAIN_NAME = /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/;

/**
 * Who asks, and from where. In whose name a program acts, it says in X-On-Behalf-Of: believed of administrators and service accounts, else not looked at. With
 * login off that is everybody, and nobody is known by any other name.
 */
export function originOf({ headers }: IncomingMessage, { username, id, via, tokenId, isAdmin, isServiceAccount }: Caller): Origin {
  const behalf = headers['x-on-behalf-of'];
  const isBelieved = (isAdmin || isServiceAccount === true) && typeof behalf === 'string' && PLAIN_NAME.test(behalf);
  return {
    actor: username,
    actor_id: id,
    via,
    token_id: tokenId ?? null,
    on_behalf_of: isBelieved ? behalf : '',
    client: (headers['user-agent'] ?? '').slice(0, LONGEST_CLIENT),
    request_id: String(headers['x-request-id'] ?? ''),
  };
}

/** A name that somebody gave, as far as it can be kept; else ''. */
export const keptName = (name: string): string => (name.includes('\0') ? '' : name.slice(0, 255).toWellFormed());

/** The name of who tries to sign in by the Authorization header; '' for none. */
export function triedName({ headers }: IncomingMessage): string {
  const [, encoded] = /^basic +([\w+/-]{1,4096}=*) *$/i.exec(headers.authorization ?? '') ?? [];
  const text = Buffer.from(encoded ?? '', 'base64').toString();
  return text.slice(0, Math.max(text.indexOf(':'), 0));
}
