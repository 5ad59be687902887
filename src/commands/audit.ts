import { verifyChain } from '../access/audit/verify.ts';
import { ConfigError } from '../config.ts';
import { type Options, readFlags } from './flags.ts';
import { type Opened, SETTINGS_HELP, withDatabase } from './open.ts';
import { plural } from './progress.ts';

const HELP = `Proves that the audit is as it was written.

Usage: model-commons audit verify [--head HASH] [options]

Recomputes the chain of hashes over all events, and names each that was changed, removed or put in. Prints the last hash, the head: note it somewhere
else, since only that shows later that the end of the chain was not cut off or all of it made again.

  --head HASH
      A head that was noted before: it must be in the chain.
  --help
      Prints this.

${SETTINGS_HELP}
Exit codes: 0 all is well, 1 something was tampered with or the check was stopped, 2 bad usage.
`;

const OPTIONS = { help: 'switch', h: 'switch', head: 'value' } as const satisfies Options<string>;
const MOST_SHOWN = 20;

/** `model-commons audit`: gives the exit code. */
export async function audit(arguments_: string[]): Promise<number> {
  const { options, settings, rest } = readFlags(arguments_, OPTIONS);
  if ('help' in options || 'h' in options) {
    process.stdout.write(HELP);
    return 0;
  }
  if (rest.length !== 1 || rest[0] !== 'verify') throw new ConfigError('audit: say `audit verify`. See model-commons audit --help.');
  const { head } = options;
  if (head !== undefined && !/^[\da-f]{64}$/i.test(head))
    throw new ConfigError('--head: must be 64 hexadecimal digits, as `audit verify` prints them.');
  return withDatabase(settings, (opened) => verify(opened, head?.toLowerCase() ?? null));
}

async function verify({ db }: Pick<Opened, 'db'>, noted: string | null): Promise<number> {
  const { links, waiting, damage, head, knowsHash } = await verifyChain(db, noted);
  for (const line of damage.slice(0, MOST_SHOWN)) process.stdout.write(`${line}\n`);
  if (damage.length > MOST_SHOWN) process.stdout.write(`and ${damage.length - MOST_SHOWN} more\n`);
  if (!knowsHash) process.stdout.write('the noted head is not in the chain: its end was cut off, or it was made again\n');
  process.stdout.write(
    `Checked ${plural(links, 'event')}${waiting > 0 ? `, and ${waiting} not in the chain yet` : ''}: ${damage.length === 0 && knowsHash ? 'all is as it was written' : 'NOT as it was written'}.\n` +
      `Head: sequence ${head.sequence}, hash ${head.hash.toString('hex')}\n`,
  );
  return damage.length === 0 && knowsHash ? 0 : 1;
}
