import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { ConfigError, readConfig } from '../src/config.ts';
import { migrate } from '../src/platform/db/migrate.ts';
import { databaseUrl } from './helpers/global-setup.ts';
import { runCli } from './helpers/process.ts';

const SETTINGS = ['HOST', 'PORT', 'DATA_DIR', 'DATABASE_URL', 'ARTIFACTS_URL', 'S3_ENDPOINT', 'LOG_LEVEL'];

const STORES = 'must be file:///folder, s3://bucket/prefix, wasbs://container@account.blob.core.windows.net/prefix or gs://bucket/prefix';

async function run(arguments_: string[], env?: Record<string, string>) {
  const cli = runCli(arguments_, env);
  return { code: await cli.exited, stdout: cli.stdout(), stderr: cli.stderr() };
}

function complaintAbout(flags: string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    readConfig(flags, env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('The settings were accepted.');
}

describe('settings', () => {
  it('have defaults that need no set-up', () => {
    const config = readConfig([], {});
    expect(config).toMatchObject({ host: '127.0.0.1', port: 5000, databaseUrl: undefined, logLevel: 'info' });
    expect(config.artifactsUrl).toMatch(/^file:\/\/\/.*\/data\/artifacts$/);
  });

  it('come from flags before they come from the environment, and an empty variable counts as unset', () => {
    const env = { PORT: '1', LOG_LEVEL: 'debug', HOST: '', DATABASE_URL: '' };
    expect(readConfig(['--port', '2'], env)).toMatchObject({ port: 2, logLevel: 'debug', host: '127.0.0.1', databaseUrl: undefined });
    expect(readConfig(['--port=3', '--data-dir=/a=b'], env)).toMatchObject({ port: 3, dataDir: '/a=b' });
  });

  it.each([
    ['PORT', 'abc', 'PORT: must be a whole number from 0 to 65535 (it is "abc"). See --help.'],
    ['PORT', '70000', 'PORT: must be a whole number from 0 to 65535 (it is "70000"). See --help.'],
    ['PORT', '-1', 'PORT: must be a whole number from 0 to 65535 (it is "-1"). See --help.'],
    ['PORT', '80.5', 'PORT: must be a whole number from 0 to 65535 (it is "80.5"). See --help.'],
    ['DATABASE_URL', 'mysql://x', 'DATABASE_URL: must start with postgresql:// (it is "mysql://x"). See --help.'],
    [
      'DATABASE_REPLICA_URLS',
      'postgresql://a:secret@b/c,mysql://d:secret@e/f',
      'DATABASE_REPLICA_URLS: must be URLs that start with postgresql://, with commas between them (it is "postgresql://a:***@e/f"). See --help.',
    ],
    ['ARTIFACTS_URL', 'foo', `ARTIFACTS_URL: ${STORES} (it is "foo"). See --help.`],
    ['ARTIFACTS_URL', 's3:///x', `ARTIFACTS_URL: ${STORES} (it is "s3:///x"). See --help.`],
    ['ARTIFACTS_URL', 'wasbs://container/x', `ARTIFACTS_URL: ${STORES} (it is "wasbs://container/x"). See --help.`],
    ['S3_ENDPOINT', 'minio', 'S3_ENDPOINT: must be a URL that starts with http:// or https:// (it is "minio"). See --help.'],
    [
      'MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE',
      'host',
      'MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE: must be auto, path or virtual (it is "host"). See --help.',
    ],
    ['MLFLOW_S3_IGNORE_TLS', 'yes', 'MLFLOW_S3_IGNORE_TLS: must be true or false (it is "yes"). See --help.'],
    ['AZURE_STORAGE_ACCESS_KEY', 'se cret', 'AZURE_STORAGE_ACCESS_KEY: must be a key in base64 as the Azure portal shows it. See --help.'],
    ['LOG_LEVEL', 'loud', 'LOG_LEVEL: must be one of trace, debug, info, warn, error, silent (it is "loud"). See --help.'],
    [
      'MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX',
      '(team',
      'MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX: must be a regular expression that can be read here: Invalid regular expression: /(team/u: Unterminated' +
        ' group (it is "(team"). See --help.',
    ],
    [
      'MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH',
      '0',
      'MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH: must be a whole number from 1 to 100000 (it is "0"). See --help.',
    ],
  ])('refuse %s=%s in one sentence', (name, value, sentence) => {
    expect(complaintAbout([], { [name]: value })).toBe(sentence);
    expect(complaintAbout([`--${name.toLowerCase().replaceAll('_', '-')}`, value])).toBe(sentence);
  });

  it.each([
    [['--prot', '1'], '--prot: not a known option. See --help.'],
    [['5001'], '5001: not a known option. See --help.'],
    [['--port'], '--port: needs a value. See --help.'],
    [['--data-dir', '--port', '1'], '--data-dir: needs a value. See --help.'],
    [['--port='], 'PORT: must be a whole number from 0 to 65535 (it is ""). See --help.'],
    [['--host='], 'HOST: must not be empty (it is ""). See --help.'],
  ])('refuse the flags %j in one sentence', (flags, sentence) => {
    expect(complaintAbout(flags)).toBe(sentence);
  });

  it.each(['{"StorageClass"', '[]', '{"Body": "x"}', '{"ACL": 1}'])('refuse %s as arguments of S3 uploads', (text) => {
    expect(complaintAbout([], { MLFLOW_S3_UPLOAD_EXTRA_ARGS: text })).toContain(
      'MLFLOW_S3_UPLOAD_EXTRA_ARGS: must be a JSON object of texts with names of ACL, ',
    );
  });

  it('of stores have the names that MLflow has for them', () => {
    const env = {
      MLFLOW_S3_ENDPOINT_URL: 'https://minio',
      MLFLOW_S3_IGNORE_TLS: 'True',
      MLFLOW_S3_UPLOAD_EXTRA_ARGS: '{"ACL": "private"}',
    };
    const { s3, directAccess } = readConfig([], env).artifactStores;
    expect(s3).toMatchObject({ endpoint: 'https://minio', ignoreTls: true, uploadArguments: { ACL: 'private' }, addressing: 'auto' });
    expect(directAccess).toBe(true);
    expect(readConfig([], { ...env, S3_ENDPOINT: 'https://ceph' }).artifactStores.s3.endpoint).toBe('https://ceph');
  });

  it('refuse a DATABASE_URL that is no URL, and never repeat its password', () => {
    for (const url of ['postgresql://user:se#cret/@host/db', 'mysql://user:se#cret/@host/db']) {
      const complaint = complaintAbout([], { DATABASE_URL: url });
      expect(complaint).toContain('DATABASE_URL: must');
      expect(complaint).not.toContain('cret');
    }
  });
});

describe('the command line', () => {
  it('prints every setting for --help', async () => {
    const { code, stdout } = await run(['--help']);
    expect(code).toBe(0);
    for (const name of SETTINGS) expect(stdout).toContain(`--${name.toLowerCase().replaceAll('_', '-')}, ${name}`);
  });

  it.each([
    [['serve', '--port', '70000'], 'PORT: must be a whole number from 0 to 65535 (it is "70000"). See --help.'],
    [['sevre'], 'sevre: not a known command. See --help.'],
  ])('%j ends with exit code 2 and one sentence', async (arguments_, sentence) => {
    expect(await run(arguments_)).toEqual({ code: 2, stdout: '', stderr: `model-commons: ${sentence}\n` });
  });

  it('ends with exit code 1 and one sentence when DATABASE_URL cannot be reached', async () => {
    expect(await run(['serve', '--port', '0'], { DATABASE_URL: 'postgresql://user:secret@localhost:1/db' })).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^model-commons: DATABASE_URL: the PostgreSQL at localhost:1 cannot be used: .*ECONNREFUSED.*\.\n$/),
    });
  });
});

describe('a database that cannot be used', () => {
  it.each([
    [{ password: 'wrong' }, 'password authentication failed for user "model_commons".'],
    [{ pathname: '/missing' }, 'database "missing" does not exist.'],
  ])('by %j is told in one sentence', async (change, sentence) => {
    const url = Object.assign(new URL(inject('postgresUrl')), change);
    await expect(migrate(url.href)).rejects.toThrow(`DATABASE_URL: the PostgreSQL at ${url.host} cannot be used: ${sentence}`);
  });

  it('because it is older than PostgreSQL 14 is told in one sentence', async () => {
    await expect(migrate(await databaseThatSaysItIs13())).rejects.toThrow(
      'DATABASE_URL: PostgreSQL 13 is too old, version 14 or newer is needed.',
    );
  });
});

/** There is no old PostgreSQL at hand: a function of this database takes the place of the one that tells the version. */
async function databaseThatSaysItIs13(): Promise<string> {
  const name = `old_${randomUUID().replaceAll('-', '')}`;
  const url = databaseUrl(inject('postgresUrl'), name);
  for (const [at, statements] of [
    [inject('postgresUrl'), [`create database ${name}`, `alter database ${name} set search_path = public, pg_catalog`]],
    [url, [`create function public.current_setting(text) returns text language sql as 'select ''130012'''`]],
  ] as const) {
    const client = new pg.Client({ connectionString: at });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }
  return url;
}
