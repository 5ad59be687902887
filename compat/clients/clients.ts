import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runClient } from '../run-python.ts';
import { openDatabases } from '../servers/postgres.ts';
import { startServer, stock } from '../servers/servers.ts';

/** The environments of requirements/ that the clients below run in. */
export const ENVIRONMENTS = [
  'mlflow-3.17.2',
  'mlflow-2.22',
  'mlflow-1.30',
  'mlflow-2.9',
  'mlflow-3.0',
  'mlflow-3.5',
  'mlflow-3.10',
] as const;
type Environment = (typeof ENVIRONMENTS)[number];

/** The python of each environment. */
export type Installed = Record<Environment, string>;

export type Site = {
  pythons: Installed;
  /** Base URL of the server under test. */
  trackingUri: string;
  /** A server with login on, as clients are told of it and of an account there. */
  signedIn: { MLFLOW_TRACKING_URI: string; MLFLOW_TRACKING_USERNAME: string; MLFLOW_TRACKING_PASSWORD: string };
  /** What is written while the clients run goes here. */
  folder: string;
};

export type Client = {
  name: string;
  /** Read from where it is pinned. */
  version(): Promise<string>;
  /** Commands that end well where what it needs is installed. */
  needs?: { command: [string, ...string[]]; label: string }[];
  /** Resolves to its output, in which each statement that held is a line `ok <word> <sentence>`. Throws when it fails. */
  run(site: Site): Promise<string>;
};

const LIMIT_MS = 600_000;

const script = (name: string) => join(import.meta.dirname, name);

async function pinned(path: string, pattern: RegExp): Promise<string> {
  const version = pattern.exec(await readFile(join(import.meta.dirname, path), 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${path} pins no ${pattern.source}`);
  return version;
}

const versionIn = (environment: Environment, name = 'mlflow(?:-skinny)?') =>
  pinned(`../requirements/${environment}.txt`, new RegExp(`^${name}==(.*)$`, 'm'));

const python = (environment: Environment): Client => ({
  name: 'mlflow (Python)',
  version: () => versionIn(environment),
  run: ({ pythons, trackingUri }) =>
    runClient(pythons[environment], ['-W', 'ignore', script('life_of_a_model.py')], { MLFLOW_TRACKING_URI: trackingUri }, LIMIT_MS),
});

const commandLine: Client = {
  name: 'mlflow command line',
  version: () => versionIn('mlflow-3.17.2'),
  async run({ pythons, trackingUri }) {
    const runScript = (name: string) =>
      runClient(pythons['mlflow-3.17.2'], ['-W', 'ignore', script(name)], { MLFLOW_TRACKING_URI: trackingUri }, LIMIT_MS);
    return (await runScript('command_line.py')) + (await runScript('command_line_sharing.py'));
  },
};

const java: Client = {
  name: 'mlflow-client (Java)',
  version: () => pinned('java/pom.xml', /<artifactId>mlflow-client<\/artifactId>\s*<version>(.*)<\/version>/),
  needs: [
    { command: ['javac', '--release', '17', '--version'], label: 'a JDK, 17 or newer' },
    { command: ['mvn', '--version'], label: 'Maven' },
  ],
  async run({ pythons, trackingUri, signedIn, folder }) {
    const quiet = ['--batch-mode', '--quiet', '-Dstyle.color=never'];
    const project = ['-f', script('java/pom.xml'), `-Dbuild.folder=${join(folder, 'java')}`];
    // It takes artifacts through a Python client: one of its own time.
    const live = (settings: Record<string, string>) =>
      runClient(
        'mvn',
        [...quiet, ...project, 'compiler:compile', 'exec:java'],
        { ...settings, MLFLOW_PYTHON_EXECUTABLE: pythons['mlflow-2.22'] },
        LIMIT_MS,
      );
    const output = await live({ MLFLOW_TRACKING_URI: trackingUri });
    await live(signedIn);
    return output;
  },
};

const exportImport: Client = {
  name: 'mlflow-export-import',
  version: () => versionIn('mlflow-2.22', 'mlflow-export-import'),
  async run({ pythons, trackingUri, folder }) {
    const mlflow = join(dirname(pythons['mlflow-3.17.2']), 'mlflow');
    const databases = await openDatabases(undefined, folder);
    const { port } = await startServer(stock('stock', { workers: 1, jobs: false }), { databases, mlflow, folder });
    const settings = { MLFLOW_TRACKING_URI: trackingUri, STOCK_TRACKING_URI: `http://127.0.0.1:${port}` };
    return runClient(pythons['mlflow-2.22'], ['-W', 'ignore', script('export_import.py')], settings, LIMIT_MS);
  },
};

export const CLIENTS: Client[] = [
  ...(['mlflow-1.30', 'mlflow-2.9', 'mlflow-2.22', 'mlflow-3.0', 'mlflow-3.5', 'mlflow-3.10', 'mlflow-3.17.2'] as const).map(python),
  commandLine,
  java,
  exportImport,
];
