import path from 'node:path';
import { downloadFiles } from '../client/download-files.ts';
import { findVersion } from '../client/find-files.ts';
import type { ServerAddress } from '../client/mlflow-server.ts';
import { ConfigError, readClientConfig } from '../config.ts';
import { digestOf } from '../registry/model-versions/manifest.ts';
import { type ModelUri, parseModelUri } from '../registry/model-versions/source-uri.ts';
import { type Options, readFlags } from './flags.ts';
import { untilStopped } from './open.ts';
import { formatBytes, openProgress, plural } from './progress.ts';

const HELP = `Downloads the files of a registered model version from a running server, and checks them.

Usage: model-commons download models:/NAME/VERSION | models:/NAME@ALIAS | models:/NAME/latest [options]

Each file is compared with the SHA-256 it was registered with, and all with the version's digest; of a stock MLflow server, which has neither, sizes are
compared. A download that broke off goes on where it was when it is run again. Files that are in the folder already are replaced.

  --to FOLDER
      Default: NAME-VERSION in this folder.
  --tracking-uri URL, MLFLOW_TRACKING_URI [http://127.0.0.1:5000]
      The server. MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, sign in.
  --workspace NAME, MLFLOW_WORKSPACE
      The model's workspace.
  --help
      Prints this.

Exit codes: 0 all files are there and right, 1 something failed or it was stopped, 2 bad usage.
`;

const OPTIONS = {
  help: 'switch',
  h: 'switch',
  to: 'value',
  workspace: 'value',
  'tracking-uri': 'value',
} as const satisfies Options<string>;

/** `model-commons download`: gives the exit code. */
export async function download(arguments_: string[]): Promise<number> {
  const { options, settings, rest } = readFlags(arguments_, OPTIONS);
  if ('help' in options || 'h' in options) {
    process.stdout.write(HELP);
    return 0;
  }
  if (settings[0]) throw new ConfigError(`${settings[0].split('=')[0]}: not a known option. See model-commons download --help.`);
  const [uri] = rest;
  if (uri === undefined || rest.length > 1)
    throw new ConfigError('Name one version, such as models:/name/3. See model-commons download --help.');
  const model = readUri(uri);
  const client = readClientConfig();
  const url = (options['tracking-uri'] ?? client.trackingUri).replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(url) || !URL.canParse(url))
    throw new ConfigError(
      `--tracking-uri, MLFLOW_TRACKING_URI: must be the http:// or https:// address of a server (it is ${JSON.stringify(url)}).`,
    );
  const address = {
    ...addressOf(url),
    ...(client.authorization !== null && { authorization: client.authorization }),
    workspace: options.workspace ?? client.workspace,
  };
  return untilStopped((signal) => downloadVersion({ ...address, signal }, model, options.to));
}

function readUri(uri: string): Exclude<ModelUri, { kind: 'logged_model' }> {
  const wrong = new ConfigError(
    `${uri}: must be models:/name/version, models:/name@alias or models:/name/latest. See model-commons download --help.`,
  );
  if (!/^models:\/[^/]/.test(uri)) throw wrong;
  try {
    const model = parseModelUri(uri);
    if (model.kind !== 'logged_model') return model;
  } catch {
    // Told in our own words.
  }
  throw wrong;
}

/** A user and password in the address go into a header: `fetch` takes none. */
function addressOf(text: string): { url: string; authorization: string | null } {
  const url = new URL(text);
  if (url.username === '') return { url: text, authorization: null };
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  [url.username, url.password] = ['', ''];
  return { url: url.href.replace(/\/+$/, ''), authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

async function downloadVersion(
  server: ServerAddress,
  model: Exclude<ModelUri, { kind: 'logged_model' }>,
  to: string | undefined,
): Promise<number> {
  const found = await findVersion(server, model);
  const { name, version, digest, files } = found;
  const bytes = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const folder = path.resolve(to ?? defaultFolder(name, version));
  const progress = openProgress('download');
  progress.setTotal(bytes, files.length);
  const downloaded = await downloadFiles(server, found, folder, {
    onBytes: (length) => progress.add(length),
    onDone: () => progress.add(0, 1),
  });
  progress.end();
  const checked = files.flatMap((file) => (file.sha256 === null ? [] : [{ path: file.path, sha256: file.sha256 }]));
  if (digest !== null && digestOf(checked) !== digest)
    throw new Error(`The files are not those of the version: their digest is ${digestOf(checked)}, not ${digest}.`);
  const present = downloaded.present > 0 ? `, ${downloaded.present} of them here already` : '';
  process.stdout.write(
    `models:/${name}/${version} is in ${folder}: ${plural(downloaded.files, 'file')} (${formatBytes(downloaded.bytes)})${present}.\n` +
      (digest === null
        ? 'The server has no checksums of this version: only sizes were compared.\n'
        : `Checked against the digest ${digest}.\n`),
  );
  return 0;
}

function defaultFolder(name: string, version: string): string {
  if (/^[\w .-]+$/.test(name) && !name.startsWith('.')) return `${name}-${version}`;
  throw new ConfigError(`The name ${JSON.stringify(name)} makes no good folder: name one with --to.`);
}
