import { readFileSync } from 'node:fs';

/** The MLflow release whose API this server speaks; clients compare it with their own. */
export const MLFLOW_VERSION = '3.17.2';

/** The release of this server. */
export const VERSION: string = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version;
