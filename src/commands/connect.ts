import type { ServerAddress } from '../client/mlflow-server.ts';
import type { NamedScope } from '../client/scope.ts';
import { ConfigError, readClientConfig } from '../config.ts';
import { type AssetUri, parseAssetUri } from '../registry/model-versions/source-uri.ts';

/** `scope` is what the base path of the address names, or null. */
export type Connection = { server: Omit<ServerAddress, 'signal'>; scope: NamedScope | null };

/** The server that a command is for: `url` if it was given (as `flag`), else MLFLOW_TRACKING_URI. Throws ConfigError. */
export function readConnection(flag: string, url: string | undefined, workspace: string | undefined): Connection {
  const client = readClientConfig();
  const given = url ?? client.trackingUri;
  if (!/^https?:\/\/[^/]/.test(given) || !URL.canParse(given))
    throw new ConfigError(
      `${flag}, MLFLOW_TRACKING_URI: must be the http:// or https:// address of a server (it is ${JSON.stringify(given)}).`,
    );
  const { root, authorization } = splitCredentials(given.replace(/\/+$/, ''));
  const [, base = root, home, name] = /^(.*)\/(registries|workspaces)\/([^/]+)$/.exec(root) ?? [];
  return {
    server: { url: base, workspace: workspace ?? client.workspace, authorization: client.authorization ?? authorization },
    scope: name === undefined ? null : { kind: home === 'registries' ? 'registry' : 'workspace', name },
  };
}

/** Reads an azureml:// URI that a user wrote. Throws ConfigError. */
export function readAssetUri(uri: string): AssetUri {
  try {
    return parseAssetUri(uri);
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
}

/** The server as a request about a scope goes to it: a workspace finds its own files only. */
export const serverOf = (server: ServerAddress, scope: NamedScope | null): ServerAddress =>
  scope?.kind === 'workspace' && scope.name !== (server.workspace ?? 'default') ? { ...server, workspace: scope.name } : server;

/** A user and password in the address go into a header: `fetch` takes none. */
function splitCredentials(text: string): { root: string; authorization: string | null } {
  const url = new URL(text);
  if (url.username === '') return { root: text, authorization: null };
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  [url.username, url.password] = ['', ''];
  return { root: url.href.replace(/\/+$/, ''), authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}
