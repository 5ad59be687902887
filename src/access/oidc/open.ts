import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  randomPKCECodeVerifier,
} from 'openid-client';
import { type Db, transaction } from '../../platform/db/database.ts';
import { MlflowError } from '../../platform/errors.ts';
import { unauthenticated } from '../unauthenticated.ts';
import { ensureOidcUser, setGroupsOf } from './store.ts';

export type OidcSettings = {
  /** Issuers whose tokens are taken; people sign in at the first. Empty: none. */
  issuers: string[];
  clientId: string;
  clientSecret: string | undefined;
  /** What tokens must be made for. */
  audience: string;
  usernameClaim: string;
  groupsClaim: string;
};

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];
const SIGN_IN_SECONDS = 600;
const TOLERANCE_SECONDS = 30;

export type Oidc = {
  /** The id of the user whose token it is; made here when it is a new one. Rejects with UNAUTHENTICATED. */
  verifyToken(token: string): Promise<number>;
  /** Where to send a browser to sign in, and what it must bring back in a cookie. */
  begin(callback: string, next: string): Promise<{ url: string; state: string }>;
  /** Who came back, and where to go on. Rejects with UNAUTHENTICATED. */
  finish(url: URL, state: string): Promise<{ user: number; next: string }>;
};

type Pending = { verifier: string; nonce: string; state: string; next: string; expires: number; callback: string };

/**
 * Takes JWTs of the configured issuers, and signs people in by the authorization code flow with PKCE. Users are known by issuer and subject; their names
 * come from a claim and are theirs once taken. `key` seals what a browser keeps between leaving and coming back, on any server.
 */
export function openOidc(db: Db, settings: OidcSettings, key: Buffer): Oidc | null {
  const { issuers, clientId, clientSecret, audience, usernameClaim, groupsClaim } = settings;
  const [signInIssuer] = issuers;
  if (signInIssuer === undefined) return null;
  const configurations = new Map<string, Promise<Configuration>>();
  const keySets = new Map<string, ReturnType<typeof createRemoteJWKSet>>();

  function configurationOf(issuer: string): Promise<Configuration> {
    const known = configurations.get(issuer);
    if (known) return known;
    const insecure = new URL(issuer).protocol === 'http:' ? { execute: [allowInsecureRequests] } : {};
    const found = discovery(new URL(issuer), clientId, clientSecret, undefined, insecure).catch((error: Error) => {
      configurations.delete(issuer);
      throw Object.assign(
        new MlflowError('TEMPORARILY_UNAVAILABLE', 'The identity provider does not answer at the moment. Try again shortly.'),
        { cause: error },
      );
    });
    configurations.set(issuer, found);
    return found;
  }

  async function keysOf(issuer: string) {
    const known = keySets.get(issuer);
    if (known) return known;
    const uri = (await configurationOf(issuer)).serverMetadata().jwks_uri ?? '';
    const keys = createRemoteJWKSet(new URL(uri), { timeoutDuration: 5000 });
    keySets.set(issuer, keys);
    return keys;
  }

  async function userOf(issuer: string, claims: JWTPayload): Promise<number> {
    const username = claims[usernameClaim];
    if (typeof username !== 'string' || username === '' || typeof claims.sub !== 'string')
      throw unauthenticated(`The identity provider's token has no claim '${usernameClaim}', from which user names are taken.`);
    const subject = claims.sub;
    const groups = claims[groupsClaim];
    return transaction(db, async (tx) => {
      const user = await ensureOidcUser(tx, { issuer, subject, username });
      if (Array.isArray(groups))
        await setGroupsOf(
          tx,
          user,
          groups.filter((name) => typeof name === 'string'),
        );
      return user;
    });
  }

  const signatureOf = (text: string) => createHmac('sha256', key).update(text).digest('base64url');

  function seal(pending: Pending): string {
    const text = Buffer.from(JSON.stringify(pending)).toString('base64url');
    return `${text}.${signatureOf(text)}`;
  }

  function unseal(sealed: string): Pending {
    const [text = '', signature = ''] = sealed.split('.');
    const [expected, actual] = [Buffer.from(signatureOf(text)), Buffer.from(signature)];
    const pending =
      expected.length === actual.length && timingSafeEqual(expected, actual)
        ? (JSON.parse(Buffer.from(text, 'base64url').toString()) as Pending)
        : null;
    if (!pending || pending.expires < Date.now())
      throw unauthenticated('Signing in took too long, or began in another browser. Try again.');
    return pending;
  }

  return {
    async verifyToken(token) {
      const issuer = issuers.find((known) => known === issuerOf(token));
      if (issuer === undefined) throw unauthenticated('The token is of no identity provider that this server knows.');
      const keys = await keysOf(issuer);
      const checks = { issuer, audience, algorithms: ALGORITHMS, clockTolerance: TOLERANCE_SECONDS, requiredClaims: ['exp', 'sub'] };
      try {
        const { payload } = await jwtVerify(token, keys, checks);
        return await userOf(issuer, payload);
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw unauthenticated('The token has expired. Get a new one.');
        if (error instanceof errors.JOSEError)
          throw unauthenticated('The token is not valid here: its signature, audience or time is wrong.');
        throw error;
      }
    },
    async begin(callback, next) {
      const verifier = randomPKCECodeVerifier();
      const [state, nonce] = [randomBytes(16).toString('base64url'), randomBytes(16).toString('base64url')];
      const url = buildAuthorizationUrl(await configurationOf(signInIssuer), {
        redirect_uri: callback,
        scope: 'openid profile email',
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      });
      return { url: url.href, state: seal({ verifier, nonce, state, next, callback, expires: Date.now() + SIGN_IN_SECONDS * 1000 }) };
    },
    async finish(url, sealed) {
      const { verifier, nonce, state, next, callback } = unseal(sealed);
      const configuration = await configurationOf(signInIssuer);
      const came = new URL(callback);
      came.search = url.search;
      const tokens = await authorizationCodeGrant(configuration, came, {
        pkceCodeVerifier: verifier,
        expectedNonce: nonce,
        expectedState: state,
        idTokenExpected: true,
      }).catch((error: Error) => {
        throw Object.assign(unauthenticated('The identity provider did not confirm who you are. Try again.'), { cause: error });
      });
      return { user: await userOf(signInIssuer, tokens.claims() as JWTPayload), next };
    },
  };
}

/** The issuer that a JWT claims to be of; nothing is checked yet. */
function issuerOf(token: string): unknown {
  try {
    return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as JWTPayload).iss;
  } catch {
    return undefined;
  }
}
