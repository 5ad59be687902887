import path from 'node:path';
import { downloadFiles } from '../client/download-files.ts';
import { findVersion, type NamedVersion } from '../client/find-files.ts';
import type { ServerAddress } from '../client/mlflow-server.ts';
import type { NamedScope } from '../client/scope.ts';
import { ConfigError } from '../config.ts';
import { digestOf } from '../registry/model-versions/manifest.ts';
import { isAssetUri, parseModelUri, versionOfAsset } from '../registry/model-versions/source-uri.ts';
import { readAssetUri, readConnection, serverOf } from './connect.ts';
import { type Options, readFlags } from './flags.ts';
import { untilStopped } from './open.ts';
import { formatBytes, openProgress, plural } from './progress.ts';

const HELP = `Downloads the files of a registered model version from a running server, and checks them.

Usage: model-commons download models:/NAME/VERSION | models:/NAME@ALIAS | models:/NAME/latest | azureml://registries/... [options]

Each file is compared with the SHA-256 it was registered with, and all with the version's digest; of a stock MLflow server, which has neither, sizes are
compared. A download that broke off goes on where it was when it is run again. Files that are in the folder already are replaced.

  --to FOLDER
      Default: NAME-VERSION in this folder.
  --server URL, --tracking-uri URL, MLFLOW_TRACKING_URI [http://127.0.0.1:5000]
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
  server: 'value',
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
  const named = readUri(uri);
  const { server, scope } = readConnection('--server', options.server ?? options['tracking-uri'], options.workspace);
  return untilStopped(async (signal) => {
    const found = await downloadVersion({ ...server, signal }, named.scope ?? scope, named.model, options.to);
    const present = found.present > 0 ? `, ${found.present} of them here already` : '';
    process.stdout.write(
      `models:/${found.name}/${found.version} is in ${found.path}: ${plural(found.files, 'file')} (${formatBytes(found.bytes)})${present}.\n` +
        (found.digest === null
          ? 'The server has no checksums of this version: only sizes were compared.\n'
          : `Checked against the digest ${found.digest}.\n`),
    );
    return 0;
  });
}

function readUri(uri: string): { scope: NamedScope | null; model: NamedVersion } {
  const wrong = new ConfigError(
    `${uri}: must be models:/name/version, models:/name@alias or models:/name/latest. See model-commons download --help.`,
  );
  if (isAssetUri(uri)) {
    const asset = readAssetUri(uri);
    if (asset.kind !== 'model') throw wrong;
    return { scope: asset.scope, model: versionOfAsset(asset) };
  }
  if (!/^models:\/[^/]/.test(uri)) throw wrong;
  try {
    const model = parseModelUri(uri);
    if (model.kind !== 'logged_model') return { scope: null, model };
  } catch {
    // Told in our own words.
  }
  throw wrong;
}

export type DownloadedVersion = {
  name: string;
  version: string;
  path: string;
  files: number;
  bytes: number;
  present: number;
  digest: string | null;
};

/** Downloads a version with a progress bar to a folder (default NAME-VERSION), and compares it with its digest. Throws one sentence when it differs. */
export async function downloadVersion(
  server: ServerAddress,
  scope: NamedScope | null,
  model: NamedVersion,
  to: string | undefined,
): Promise<DownloadedVersion> {
  const there = serverOf(server, scope);
  const found = await findVersion(there, scope, model);
  const { name, version, digest, files } = found;
  const bytes = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
  const folder = path.resolve(to ?? defaultFolder(name, version));
  const progress = openProgress('download');
  progress.setTotal(bytes, files.length);
  const downloaded = await downloadFiles(there, found, folder, {
    onBytes: (length) => progress.add(length),
    onDone: () => progress.add(0, 1),
  });
  progress.end();
  const checked = files.flatMap((file) => (file.sha256 === null ? [] : [{ path: file.path, sha256: file.sha256 }]));
  if (digest !== null && digestOf(checked) !== digest)
    throw new Error(`The files are not those of the version: their digest is ${digestOf(checked)}, not ${digest}.`);
  return { name, version, path: folder, ...downloaded, digest };
}

function defaultFolder(name: string, version: string): string {
  if (/^[\w .-]+$/.test(name) && !name.startsWith('.')) return `${name}-${version}`;
  throw new ConfigError(`The name ${JSON.stringify(name)} makes no good folder: name one.`);
}
