import { invalidParameter } from './errors.ts';

/** The parts of a URI as Python's urllib.parse.urlparse gives them: nothing is decoded, the scheme is in lower case. */
type UriParts = { scheme: string; authority: string; path: string };

export function splitUri(uri: string): UriParts {
  const [, scheme = '', afterScheme = uri] = /^([a-zA-Z][a-zA-Z0-9+.-]*):(.*)$/s.exec(uri) ?? [];
  const beforeQuery = afterScheme.replace(/[?#].*$/s, '');
  const [, authority = '', path = beforeQuery] = /^\/\/([^/]*)(.*)$/s.exec(beforeQuery) ?? [];
  return { scheme: scheme.toLowerCase(), authority, path };
}

/** What places of artifacts callers may name: settings of the stock server. */
export type LocationRules = {
  /** MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES, in lower case. */
  allowedHostSchemes: readonly string[];
  /** MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH, in characters. */
  maxLength: number;
  /** MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX: what every source of a model version must have in it; undefined: anything. */
  versionSource: RegExp | undefined;
};

// Schemes whose URI names a host that the stock server itself would connect to (mlflow/store/artifact/host_policy.py).
const HOST_SCHEMES = ['http', 'https', 'ftp', 'sftp', 'hdfs', 'viewfs', 'r2', 'b2', 'abfss'];

/** True for a URI that names the host its artifacts are on. */
export function namesHost(uri: string): boolean {
  const { scheme, authority } = splitUri(uri);
  return HOST_SCHEMES.includes(scheme) || (scheme === 'mlflow-artifacts' && authority !== '');
}

/** Throws for a URI that names a host by a scheme that is not allowed to. `field` is the argument's name. */
export function refuseHostScheme(field: string, uri: string, { allowedHostSchemes }: LocationRules): void {
  const { scheme } = splitUri(uri);
  if (!namesHost(uri) || allowedHostSchemes.includes(scheme)) return;
  throw invalidParameter(
    `'${field}' cannot use the '${scheme}' scheme: the '${scheme}' scheme addresses a host other than the tracking server's configured artifact storage, so the ` +
      'server would connect to the host named in the URI. Set the MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES environment variable on the server to allow it.',
  );
}

/**
 * Undoes percent-encoding and `+` until nothing changes, or `most` times; sequences that are not UTF-8 become U+FFFD. `done` is false when it would go on:
 * a long text may be encoded as often as it has characters, so whoever takes long ones sets a limit.
 */
export function decodeFully(text: string, most = Number.POSITIVE_INFINITY): { text: string; done: boolean } {
  let decoded = text;
  for (let i = 0; i < most; i++) {
    const next = decoded
      .replaceAll('+', ' ')
      .replace(/(%[0-9a-f]{2})+/gi, (encoded) => Buffer.from(encoded.replaceAll('%', ''), 'hex').toString('utf8'));
    if (next === decoded) return { text: decoded, done: true };
    decoded = next;
  }
  return { text: decoded, done: false };
}
