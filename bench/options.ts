import { parseArgs } from 'node:util';
import { artifactRows } from './artifacts.ts';
import { operations } from './operations.ts';
import { GATE_CONNECTIONS } from './throughput-report.ts';

const operationNames = operations.map(({ name }) => name);
const WHOLE = [
  'startup',
  'memory',
  'cost',
  'throughput',
  'processes',
  'resolve-shared',
  'login',
  'large-promotion',
  'artifacts',
  'artifact-memory',
];
const PARTS = [...WHOLE, ...operationNames, ...artifactRows];

const HELP = `Measures our server against the stock mlflow server, side by side. Needs a build (npm run build) and Linux.

Usage: npm run bench -- [options]

  --only LIST        startup, memory (idle), cost (memory after load, database connections);
                     throughput (all operations), or operations by name:
                     ${operationNames.slice(0, 8).join(', ')},
                     ${operationNames.slice(8, 13).join(', ')},
                     ${operationNames.slice(13).join(', ')};
                     processes (ours with WORKERS 1, 2 and 4);
                     resolve-shared, login (AUTH on against off), large-promotion (2 GiB);
                     artifacts (all rows), or rows by name: ${artifactRows.join(', ')};
                     artifact-memory
                     [everything]
  --rounds N         starts and slices per server, in alternation [5]
  --seconds N        length of a slice of an operation [2]
  --connections LIST connections that ask at once for an operation, such as 1,16,64; gates are those of 16 [16]
  --baseline COMMIT  operations only: ours beside that commit of ours, which is built first, instead of the stock server
  --write FILE       puts what was measured between its marks in a Markdown page, and a picture beside it
  --from FILE        measures nothing: writes the page from the JSON of an earlier run
  --postgres URL     a PostgreSQL to make two databases in, dropped at the end [a cluster of its own]
  --mlflow PATH      the stock server's command, with psycopg2 beside it [installed once, in the user's cache]
  --help             prints this
`;

export type Options = {
  startup: boolean;
  memory: boolean;
  cost: boolean;
  operations: string[];
  processes: boolean;
  resolveShared: boolean;
  login: boolean;
  largePromotion: boolean;
  artifacts: string[];
  artifactMemory: boolean;
  rounds: number;
  seconds: number;
  connections: number[];
  baseline: string | undefined;
  write: string | undefined;
  from: string | undefined;
  postgres: string | undefined;
  mlflow: string | undefined;
};

/** Of the numbers asked for, the one that look-ups of aliases are measured with. */
export const lookUpConnections = ({ connections }: Pick<Options, 'connections'>): number =>
  connections.includes(GATE_CONNECTIONS) ? GATE_CONNECTIONS : (connections[0] ?? GATE_CONNECTIONS);

/** What the command line asks for. Prints the help and exits for --help; throws for what it does not know. */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      connections: { type: 'string', default: String(GATE_CONNECTIONS) },
      baseline: { type: 'string' },
      write: { type: 'string' },
      from: { type: 'string' },
      postgres: { type: 'string' },
      mlflow: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const parts = values.only?.split(',') ?? (values.baseline === undefined ? WHOLE : ['throughput']);
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: not one of ${PARTS.join(', ')}`);
  const other = parts.find((part) => part !== 'throughput' && !operationNames.includes(part));
  if (values.baseline !== undefined && other !== undefined) throw new Error(`--baseline does not measure ${other}, only operations`);
  const positive = (name: string, text: string, isWhole: boolean) => {
    const value = Number(text);
    if (!(value > 0) || (isWhole && !Number.isInteger(value))) throw new Error(`--${name} ${text}: must be a number above 0`);
    return value;
  };
  return {
    startup: parts.includes('startup'),
    memory: parts.includes('memory'),
    cost: parts.includes('cost'),
    operations: parts.includes('throughput') ? operationNames : operationNames.filter((name) => parts.includes(name)),
    processes: parts.includes('processes'),
    resolveShared: parts.includes('resolve-shared'),
    login: parts.includes('login'),
    largePromotion: parts.includes('large-promotion'),
    artifacts: parts.includes('artifacts') ? artifactRows : artifactRows.filter((name) => parts.includes(name)),
    artifactMemory: parts.includes('artifact-memory'),
    rounds: positive('rounds', values.rounds, true),
    seconds: positive('seconds', values.seconds, false),
    connections: values.connections.split(',').map((text) => positive('connections', text, true)),
    baseline: values.baseline,
    write: values.write,
    from: values.from,
    postgres: values.postgres,
    mlflow: values.mlflow,
  };
}
