import { parseArgs } from 'node:util';
import { artifactRows } from './artifacts.ts';
import { operations } from './operations.ts';

const operationNames = operations.map(({ name }) => name);
const PARTS = [
  ...['startup', 'memory', 'throughput', ...operationNames],
  ...['resolve-shared', 'login', 'large-promotion', 'artifacts', ...artifactRows, 'artifact-memory'],
];

const HELP = `Measures our server against the stock mlflow server, side by side. Needs a build (npm run build) and Linux.

Usage: npm run bench -- [options]

  --only LIST        startup, memory, throughput (all operations), or operations by name:
                     ${operationNames.join(', ')};
                     resolve-shared, login (AUTH on against off), large-promotion (2 GiB);
                     artifacts (all rows), or rows by name: ${artifactRows.join(', ')};
                     artifact-memory
                     [everything]
  --rounds N         starts and slices per server, in alternation [5]
  --seconds N        length of a slice of an operation [2]
  --connections N    connections that ask at once for an operation [16]
  --postgres URL     a PostgreSQL to make two databases in, dropped at the end [a cluster of its own]
  --mlflow PATH      the stock server's command, with psycopg2 beside it [installed once, in the user's cache]
  --help             prints this
`;

export type Options = {
  startup: boolean;
  memory: boolean;
  operations: string[];
  resolveShared: boolean;
  login: boolean;
  largePromotion: boolean;
  artifacts: string[];
  artifactMemory: boolean;
  rounds: number;
  seconds: number;
  connections: number;
  postgres: string | undefined;
  mlflow: string | undefined;
};

/** What the command line asks for. Prints the help and exits for --help; throws for what it does not know. */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: 'startup,memory,throughput,resolve-shared,login,large-promotion,artifacts,artifact-memory' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: '16' },
      postgres: { type: 'string' },
      mlflow: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const parts = values.only.split(',');
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: not one of ${PARTS.join(', ')}`);
  const positive = (name: 'rounds' | 'seconds' | 'connections') => {
    const value = Number(values[name]);
    if (!(value > 0) || (name !== 'seconds' && !Number.isInteger(value)))
      throw new Error(`--${name} ${values[name]}: must be a number above 0`);
    return value;
  };
  return {
    startup: parts.includes('startup'),
    memory: parts.includes('memory'),
    operations: parts.includes('throughput') ? operationNames : operationNames.filter((name) => parts.includes(name)),
    resolveShared: parts.includes('resolve-shared'),
    login: parts.includes('login'),
    largePromotion: parts.includes('large-promotion'),
    artifacts: parts.includes('artifacts') ? artifactRows : artifactRows.filter((name) => parts.includes(name)),
    artifactMemory: parts.includes('artifact-memory'),
    rounds: positive('rounds'),
    seconds: positive('seconds'),
    connections: positive('connections'),
    postgres: values.postgres,
    mlflow: values.mlflow,
  };
}
