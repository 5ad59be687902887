import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { AuthSettings } from './access/open.ts';
import type { StoreSettings } from './artifacts/blobs/open.ts';
import { type AdoptionSettings, isFolderIn } from './artifacts/external-location.ts';
import type { LinkSettings } from './artifacts/signed-urls.ts';
import type { ObserveSettings } from './observe.ts';
import type { Pooler } from './platform/db/pooler.ts';
import type { SecuritySettings } from './platform/http/security.ts';
import { pythonPattern } from './platform/python-pattern.ts';
import type { LocationRules } from './platform/uri.ts';
import type { WebhookSettings } from './registry/webhooks/open.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const list = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean),
  );

const wholeNumber = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .refine((number) => number >= least && number <= most, `must be a whole number from ${least} to ${most}`);

const flag = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['true', '1', 'false', '0'], 'must be true or false'))
  .transform((text) => text === 'true' || text === '1');

const S3_UPLOAD_ARGUMENTS = z.enum([
  'ACL',
  'ServerSideEncryption',
  'SSEKMSKeyId',
  'SSEKMSEncryptionContext',
  'StorageClass',
  'Tagging',
  'RequestPayer',
]);

const NO_UPLOAD_ARGUMENTS = `must be a JSON object of texts with names of ${S3_UPLOAD_ARGUMENTS.options.join(', ')}`;

const S3_FOLDER = /^s3:\/\/[^/?#]+(\/(?!\.{0,2}(\/|$))[^/?#]+)*\/?$/;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' });

/** Every setting there is: the environment variable's name, what it means, and its default. A flag is the same name in kebab-case: PORT is --port. */
const schema = z.object({
  HOST: z.string().min(1, 'must not be empty').default('127.0.0.1').describe('Address to listen on. 0.0.0.0 lets other machines in.'),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, 'must be a whole number from 0 to 65535')
    .transform(Number)
    .refine((port) => port <= 65535, 'must be a whole number from 0 to 65535')
    .default(5000)
    .describe('Port to listen on; 0 takes a free one.'),
  WORKERS: wholeNumber(1, 64)
    .default(1)
    .describe('How many processes answer requests, on one port. More than one use more than one processor.'),
  DATA_DIR: z.string().min(1, 'must not be empty').default('./data').describe('Folder of the embedded PostgreSQL and of artifacts.'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must start with postgresql://')
    .refine(URL.canParse, 'must be a URL: write special characters of the password percent-encoded, # as %23 and / as %2F')
    .optional()
    .describe('An existing PostgreSQL 14 or newer (postgresql://user:password@host:5432/name), instead of the embedded one.'),
  DATABASE_POOLER: z
    .enum(['none', 'transaction'], 'must be none or transaction')
    .default('none')
    .describe('transaction when DATABASE_URL is that of PgBouncer, or another pooler, in transaction mode.'),
  DATABASE_REPLICA_URLS: list
    .pipe(
      z.array(
        z
          .string()
          .regex(/^postgres(ql)?:\/\//, 'must be URLs that start with postgresql://, with commas between them')
          .refine(URL.canParse, 'must be URLs: write special characters of the passwords percent-encoded, a comma as %2C'),
      ),
    )
    .describe(
      'Streaming replicas of the database that reads use, comma-separated (docs/scale.md); the same on all servers. Default: none.',
    ),
  ARTIFACTS_URL: z
    .string()
    .regex(
      /^(file:\/\/\/|(s3|gs):\/\/[^/?#]+(\/[^?#]*)?$|wasbs:\/\/[^@/?#]+@[^./?#]+\.blob\.core\.[^/?#]+(\/[^?#]*)?$)/,
      'must be file:///folder, s3://bucket/prefix, wasbs://container@account.blob.core.windows.net/prefix or gs://bucket/prefix',
    )
    .refine(URL.canParse, 'must be a URL')
    .optional()
    .describe(
      'Where artifacts lie: file:///folder, s3://bucket/prefix, wasbs://container@account.blob.core.windows.net/prefix or gs://bucket/prefix. ' +
        'Default: artifacts/ in DATA_DIR. Credentials come from the standard variables of each store.',
    ),
  ARTIFACTS_DIRECT_ACCESS: flag
    .default(true)
    .describe('false keeps clients away from the store itself, which they may not reach: large files then go through this server, too.'),
  ADOPT_LOCATIONS: list
    .pipe(z.array(z.string().regex(S3_FOLDER, 'must be s3://bucket/prefix, or several with commas between them')))
    .transform((urls) => urls.map((url) => url.replace(/\/+$/, '')))
    .describe(
      "Folders in S3, such as s3://bucket/models, that the server reads with its own credentials for whoever adopts a version's files. Default: none.",
    ),
  S3_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' })
    .optional()
    .describe('Address of an S3-compatible store (MinIO, SeaweedFS, Ceph); implies path-style requests.'),
  MLFLOW_S3_ENDPOINT_URL: z
    .url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' })
    .optional()
    .describe("MLflow's name for S3_ENDPOINT."),
  MLFLOW_S3_IGNORE_TLS: flag.default(false).describe('true trusts any certificate of the S3 store.'),
  MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE: z
    .enum(['auto', 'path', 'virtual'], 'must be auto, path or virtual')
    .default('auto')
    .describe('How S3 requests name the bucket; auto is path with S3_ENDPOINT, else virtual.'),
  MLFLOW_S3_UPLOAD_EXTRA_ARGS: z
    .string()
    .transform(parseJson)
    .pipe(z.partialRecord(S3_UPLOAD_ARGUMENTS, z.string(NO_UPLOAD_ARGUMENTS), NO_UPLOAD_ARGUMENTS))
    .default({})
    .describe(`Parameters of S3 uploads as a JSON object: ${S3_UPLOAD_ARGUMENTS.options.join(', ')}.`),
  AWS_CA_BUNDLE: z
    .string()
    .optional()
    .describe('File of the certificates (PEM) that the S3 store is trusted by, instead of the usual ones.'),
  AWS_DEFAULT_REGION: z.string().optional().describe('Region of S3 when AWS_REGION and the profile name none.'),
  AZURE_STORAGE_CONNECTION_STRING: z
    .string()
    .regex(/=/, 'must be a connection string as the Azure portal shows it')
    .optional()
    .describe('How to reach and sign in to the Azure storage account.'),
  AZURE_STORAGE_ACCESS_KEY: z
    .string()
    .regex(/^[\w+/]+=*$/, 'must be a key in base64 as the Azure portal shows it')
    .optional()
    .describe('Key of the Azure storage account. With neither, DefaultAzureCredential of the Azure SDK finds credentials.'),
  PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be a URL that starts with http:// or https://' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional()
    .describe('Address clients reach the server at, for the links it hands out. Needed behind a proxy that sends no X-Forwarded-Host.'),
  MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS: wholeNumber(1, 604_800)
    .default(300)
    .describe('Seconds for which the address of a download in parts works.'),
  MLFLOW_SERVER_ALLOWED_HOSTS: list.describe('Host headers to answer, with * as a wildcard. Default: this machine and private addresses.'),
  MLFLOW_SERVER_CORS_ALLOWED_ORIGINS: list.describe('Origins whose pages may write, with * as a wildcard. Default: pages of this machine.'),
  MLFLOW_SERVER_X_FRAME_OPTIONS: z
    .string()
    .toUpperCase()
    .pipe(z.enum(['DENY', 'SAMEORIGIN', 'NONE'], 'must be DENY, SAMEORIGIN or NONE'))
    .default('SAMEORIGIN')
    .describe('Who may show answers in a frame: DENY, SAMEORIGIN, or NONE for no limit.'),
  MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE: z
    .enum(['true', 'false'], 'must be true or false')
    .default('false')
    .describe('true switches the checks of Host and Origin off.'),
  MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX: z
    .string()
    .transform((text, context) => {
      try {
        return pythonPattern(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: `must be a regular expression that can be read here: ${(error as Error).message}` });
        return z.NEVER;
      }
    })
    .optional()
    .describe('Regular expression that must match somewhere in the source of every new model version.'),
  MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES: list.describe(
    'Schemes by which artifact locations may name a host, such as hdfs,http,https. Default: none.',
  ),
  MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH: wholeNumber(1, 100_000).default(2048).describe('Longest artifact location, in characters.'),
  MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY: z
    .string()
    .regex(/^[\w+/-]{43}=?$/, 'must be 32 bytes in base64, as `openssl rand -base64 32` prints them')
    .optional()
    .describe(
      'Key for the secrets of webhooks, 32 bytes in base64. Default: one that is made and kept in DATA_DIR; several servers on one database need the same.',
    ),
  MLFLOW_WEBHOOK_ALLOWED_SCHEMES: z
    .string()
    .regex(/^\s*https?\s*(,\s*https?\s*)*$/, 'must be https or http,https')
    .transform((text) => text.split(',').map((scheme) => scheme.trim()))
    .default(['https'])
    .describe('Schemes that the URL of a webhook may have: https or http,https.'),
  MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['true', '1', 'false', '0'], 'must be true or false'))
    .default('false')
    .describe('true lets webhooks point at addresses that are not public.'),
  MLFLOW_WEBHOOK_REQUEST_TIMEOUT: wholeNumber(1, 600).default(30).describe('Seconds in which a webhook must have answered.'),
  MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES: wholeNumber(0, 1000)
    .optional()
    .describe('How often a webhook delivery is tried again. Default: for 24 hours, with growing pauses.'),
  MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS: wholeNumber(1, 1000).default(10).describe('How many webhook deliveries run at once.'),
  WEBHOOK_LOG_DAYS: wholeNumber(0, 365).default(7).describe('Days for which the log of webhook deliveries shows those that have ended.'),
  AUTH: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['on', 'off'], 'must be on or off'))
    .default('off')
    .describe('on: who calls must sign in, and may do only what was granted. off: everybody may do everything.'),
  ADMIN_USERNAME: z
    .string()
    .regex(/^[^\s:]{1,255}$/, 'must not be empty or have spaces or colons in it')
    .default('admin')
    .describe('Name of the first administrator, who is made when AUTH is on and there is none.'),
  ADMIN_PASSWORD: z
    .string()
    .min(12, 'must have at least 12 characters')
    .optional()
    .describe('Password of the first administrator. Default: the server prints a link by which it can be chosen, once.'),
  AUDIT: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['on', 'off'], 'must be on or off'))
    .optional()
    .describe('on: every write, and who was refused what, is kept in an audit that can be proved (docs/audit.md). Default: as AUTH.'),
  REQUESTS_PER_MINUTE: wholeNumber(0, 10_000_000)
    .default(0)
    .describe('Most requests of one caller in a minute, over all servers on the database, with AUTH on; 0 for any number.'),
  OIDC_ISSUERS: list
    .pipe(z.array(z.url({ protocol: /^https?$/, error: 'must be addresses that start with https://, with commas between them' })))
    .describe(
      'Addresses of OpenID Connect providers whose tokens (JWT) are taken, with AUTH on; people sign in at the first. Default: none.',
    ),
  OIDC_CLIENT_ID: z.string().default('model-commons').describe('What the OpenID Connect provider knows this server by.'),
  OIDC_CLIENT_SECRET: z.string().optional().describe('Secret of OIDC_CLIENT_ID. Default: none, as for a public client.'),
  OIDC_AUDIENCE: z.string().optional().describe('Audience that tokens must be for. Default: OIDC_CLIENT_ID.'),
  OIDC_USERNAME_CLAIM: z.string().min(1).default('email').describe('Claim of a token that user names are taken from.'),
  OIDC_GROUPS_CLAIM: z.string().min(1).default('groups').describe('Claim of a token that names the groups of its user.'),
  METRICS_TOKEN: z
    .string()
    .regex(/^[\w.~+/=-]{16,}$/, 'must have at least 16 letters, digits or any of -._~+/=')
    .optional()
    .describe('What a scraper sends as its bearer token to read GET /metrics, with AUTH on. Default: only administrators may.'),
  SLOW_QUERY_MS: wholeNumber(0, 600_000)
    .default(500)
    .describe('SQL statements that take longer, in milliseconds, are logged as a warning; 0 for none.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl
    .optional()
    .describe('Address of an OpenTelemetry collector (http://host:4318) that traces are sent to. Default: there are none.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: httpUrl
    .optional()
    .describe('The same, with the path that traces go to (http://host:4318/v1/traces).'),
  OTEL_EXPORTER_OTLP_PROTOCOL: z
    .enum(['http/protobuf', 'http/json'], 'must be http/protobuf or http/json')
    .default('http/protobuf')
    .describe('How traces are written. Other OTEL_ variables, such as OTEL_TRACES_SAMPLER, mean what OpenTelemetry says.'),
  OTEL_SERVICE_NAME: z.string().default('model-commons').describe('What this server is called in traces.'),
  LOG_LEVEL: z
    .enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`)
    .default('info')
    .describe(`How much to log: ${LOG_LEVELS.join(', ')}.`),
});

export type Config = Readonly<{
  host: string;
  port: number;
  workers: number;
  /** Absolute path. */
  dataDir: string;
  databaseUrl: string | undefined;
  databasePooler: Pooler;
  replicaUrls: string[];
  artifactsUrl: string;
  artifactStores: StoreSettings;
  links: LinkSettings;
  security: SecuritySettings;
  locations: LocationRules;
  adoption: AdoptionSettings;
  webhooks: WebhookSettings;
  auth: AuthSettings;
  /** Whether writes are kept in the audit. */
  audit: boolean;
  observe: ObserveSettings;
  logLevel: (typeof LOG_LEVELS)[number];
}>;

/** A setting that cannot be used: one sentence that names it. */
export class ConfigError extends Error {}

/**
 * Reads the settings from flags (`--port 5001`, `--port=5001`), then from the environment. This file is the only one that reads either.
 * Throws ConfigError for the first bad one.
 */
export function readConfig(flags: string[], env: NodeJS.ProcessEnv = process.env): Config {
  const values = { ...pickSettings(env), ...parseFlags(flags) };
  const result = schema.safeParse(values);
  if (!result.success) {
    const issue = result.error.issues[0];
    const name = String(issue?.path[0]);
    const shown = /_KEY$|_CONNECTION_STRING$|_PASSWORD$|_SECRET$|_TOKEN$/.test(name)
      ? ''
      : ` (it is ${JSON.stringify(withoutPassword(values[name] ?? ''))})`;
    throw new ConfigError(`${name}: ${issue?.message}${shown}. See --help.`);
  }
  const settings = result.data;
  const dataDir = path.resolve(settings.DATA_DIR);
  const collector = settings.OTEL_EXPORTER_OTLP_ENDPOINT;
  const tracesUrl = settings.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? (collector && `${collector.replace(/\/+$/, '')}/v1/traces`);
  const s3 = {
    endpoint: settings.S3_ENDPOINT ?? settings.MLFLOW_S3_ENDPOINT_URL,
    addressing: settings.MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE,
    ignoreTls: settings.MLFLOW_S3_IGNORE_TLS,
    caFile: settings.AWS_CA_BUNDLE,
    region: settings.AWS_DEFAULT_REGION,
    uploadArguments: settings.MLFLOW_S3_UPLOAD_EXTRA_ARGS,
  };
  refuseOwnStore(settings.ADOPT_LOCATIONS, settings.ARTIFACTS_URL);
  return Object.freeze({
    host: settings.HOST,
    port: settings.PORT,
    workers: settings.WORKERS,
    dataDir,
    databaseUrl: settings.DATABASE_URL,
    databasePooler: settings.DATABASE_POOLER,
    replicaUrls: settings.DATABASE_REPLICA_URLS,
    artifactsUrl: settings.ARTIFACTS_URL ?? pathToFileURL(path.join(dataDir, 'artifacts')).href,
    artifactStores: {
      directAccess: settings.ARTIFACTS_DIRECT_ACCESS,
      s3,
      azure: { connectionString: settings.AZURE_STORAGE_CONNECTION_STRING, accessKey: settings.AZURE_STORAGE_ACCESS_KEY },
    },
    links: { publicUrl: settings.PUBLIC_URL, downloadSeconds: settings.MLFLOW_PRESIGNED_DOWNLOAD_URL_TTL_SECONDS },
    security: {
      allowedHosts: settings.MLFLOW_SERVER_ALLOWED_HOSTS,
      allowedOrigins: settings.MLFLOW_SERVER_CORS_ALLOWED_ORIGINS,
      frameOptions: settings.MLFLOW_SERVER_X_FRAME_OPTIONS,
      disabled: settings.MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE === 'true',
    },
    locations: {
      allowedHostSchemes: settings.MLFLOW_ALLOWED_HOST_ADDRESSED_ARTIFACT_SCHEMES.map((scheme) => scheme.toLowerCase()),
      maxLength: settings.MLFLOW_ARTIFACT_LOCATION_MAX_LENGTH,
      versionSource: settings.MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX,
    },
    adoption: { locations: settings.ADOPT_LOCATIONS, s3 },
    webhooks: {
      encryptionKey: settings.MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY,
      keyFile: path.join(dataDir, 'webhook-secrets.key'),
      allowedSchemes: settings.MLFLOW_WEBHOOK_ALLOWED_SCHEMES,
      allowPrivateIps: ['true', '1'].includes(settings.MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS),
      timeoutSeconds: settings.MLFLOW_WEBHOOK_REQUEST_TIMEOUT,
      maxRetries: settings.MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES,
      maxWorkers: settings.MLFLOW_WEBHOOK_DELIVERY_MAX_WORKERS,
      logDays: settings.WEBHOOK_LOG_DAYS,
    },
    auth: {
      on: settings.AUTH === 'on',
      adminUsername: settings.ADMIN_USERNAME,
      adminPassword: settings.ADMIN_PASSWORD,
      requestsPerMinute: settings.REQUESTS_PER_MINUTE,
      metricsToken: settings.METRICS_TOKEN,
      oidc: {
        issuers: settings.OIDC_ISSUERS,
        clientId: settings.OIDC_CLIENT_ID,
        clientSecret: settings.OIDC_CLIENT_SECRET,
        audience: settings.OIDC_AUDIENCE ?? settings.OIDC_CLIENT_ID,
        usernameClaim: settings.OIDC_USERNAME_CLAIM,
        groupsClaim: settings.OIDC_GROUPS_CLAIM,
      },
    },
    audit: (settings.AUDIT ?? settings.AUTH) === 'on',
    observe: {
      slowQueryMs: settings.SLOW_QUERY_MS,
      tracing: tracesUrl ? { url: tracesUrl, format: settings.OTEL_EXPORTER_OTLP_PROTOCOL, serviceName: settings.OTEL_SERVICE_NAME } : null,
    },
    logLevel: settings.LOG_LEVEL,
  });
}

/** The files of all workspaces are there, and nobody may read them but by their paths. */
function refuseOwnStore(locations: string[], artifactsUrl: string | undefined): void {
  const own = `${artifactsUrl?.replace(/\/+$/, '')}/blobs`;
  const clash = locations.find((url) => isFolderIn(url, own) || isFolderIn(own, url));
  if (clash)
    throw new ConfigError(`ADOPT_LOCATIONS: ${clash} has in it what ARTIFACTS_URL keeps there. Name folders beside it. See --help.`);
}

/** An empty variable counts as unset: compose files and unit files leave them so. */
function pickSettings(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.keys(schema.shape).flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}

/** Messages end up in logs. */
const withoutPassword = (value: string) => value.replace(/^(\w+:\/\/[^:/]*):.*@/s, '$1:***@');

function parseFlags(flags: string[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (let i = 0; i < flags.length; i++) {
    const [flag = '', inline] = (flags[i] ?? '').split(/=(.*)/s);
    const name = flag.replace(/^--/, '').replaceAll('-', '_').toUpperCase();
    if (!flag.startsWith('--') || !(name in schema.shape)) throw new ConfigError(`${flag}: not a known option. See --help.`);
    const value = inline ?? flags[++i];
    if (value === undefined || (inline === undefined && value.startsWith('--')))
      throw new ConfigError(`${flag}: needs a value. See --help.`);
    found[name] = value;
  }
  return found;
}

/** What commands that talk to a server read from the environment, as stock MLflow clients do. */
export function readClientConfig(env: NodeJS.ProcessEnv = process.env): {
  trackingUri: string;
  workspace: string | null;
  /** The Authorization header, or null. */
  authorization: string | null;
} {
  const { MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password, MLFLOW_TRACKING_TOKEN: token } = env;
  const basic = user && password ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` : null;
  return {
    trackingUri: env.MLFLOW_TRACKING_URI || 'http://127.0.0.1:5000',
    workspace: env.MLFLOW_WORKSPACE || null,
    authorization: basic ?? (token ? `Bearer ${token}` : null),
  };
}

/** The table of settings that `--help` prints, one line each. */
export function settingsHelp(): string {
  return Object.entries(schema.shape)
    .map(([name, field]) => {
      const fallback = field instanceof z.ZodDefault ? ` [${String(field.def.defaultValue)}]` : '';
      return `  --${name.toLowerCase().replaceAll('_', '-')}, ${name}${fallback}\n      ${field.description}`;
    })
    .join('\n');
}
