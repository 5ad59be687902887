import { ANYBODY } from '../access/caller.ts';
import type { BlobState } from '../artifacts/verify-blob.ts';
import { findReferences, isEmptyByMistake, type Reference, verifyBlobs } from '../artifacts/verify-blobs.ts';
import { ConfigError } from '../config.ts';
import { checkDigests, chooseModel } from '../registry/model-versions/check-digests.ts';
import { DEFAULT_SCOPE } from '../scopes/entity.ts';
import { getNamedScope } from '../scopes/store.ts';
import { type Options, readFlags } from './flags.ts';
import { type Opened, SETTINGS_HELP, withServerData } from './open.ts';
import { formatBytes, openProgress, plural } from './progress.ts';

const HELP = `Reads stored files and compares them with the checksums they were stored with.

Usage: model-commons verify [--model NAME [--version N] [--workspace NAME]] [options]

Reads all files, or those of a registered model or version, and recomputes the digest of each version. A file whose bytes are missing or changed is
listed with the versions and paths that have it, and the server gives it to nobody. One that is found whole again (restore it from a backup, then run
this) is given out again.

  --model NAME
      Only the files of this registered model.
  --version N
      Only those of this version of it.
  --workspace NAME [default]
      The model's workspace.
  --help
      Prints this.

${SETTINGS_HELP}
Exit codes: 0 all is well, 1 something is damaged, failed or was stopped, 2 bad usage.
`;

const OPTIONS = { help: 'switch', h: 'switch', model: 'value', version: 'value', workspace: 'value' } as const satisfies Options<string>;

/** `model-commons verify`: gives the exit code. */
export async function verify(arguments_: string[]): Promise<number> {
  const { options, settings, rest } = readFlags(arguments_, OPTIONS);
  if ('help' in options || 'h' in options) {
    process.stdout.write(HELP);
    return 0;
  }
  if (rest.length > 0) throw new ConfigError(`${rest[0]}: verify takes options only: --model ${rest[0]}? See model-commons verify --help.`);
  const { model, version, workspace } = options;
  if (version !== undefined && !/^[1-9]\d{0,8}$/.test(version))
    throw new ConfigError(`--version: must be a version's number (it is ${version}).`);
  if (model === undefined && (version !== undefined || workspace !== undefined))
    throw new ConfigError('--version and --workspace go with --model. See model-commons verify --help.');
  const choice = model === undefined ? null : { name: model, version: version === undefined ? null : Number(version), workspace };
  return withServerData(settings, (opened) => verifyChosen(opened, choice));
}

type Choice = { name: string; version: number | null; workspace: string | undefined };

async function verifyChosen({ db, blobs, signal, config }: Opened, choice: Choice | null): Promise<number> {
  const scope =
    choice?.workspace === undefined ? DEFAULT_SCOPE : await getNamedScope({ db, caller: ANYBODY }, choice.workspace, 'workspace');
  const model = choice && (await chooseModel(db, { scope: scope.id, name: choice.name }, choice.version));
  if (await isEmptyByMistake(db, blobs))
    throw new Error(`The artifact store ${config.artifactsUrl} holds nothing at all. Is ARTIFACTS_URL right, the disk mounted?`);
  const progress = openProgress('verify');
  let [read, bytes, damaged, whole] = [0, 0, 0, 0];
  await verifyBlobs(db, blobs, model, {
    signal,
    onTotals: (totals) => progress.setTotal(totals.bytes, totals.count),
    onBytes(length) {
      bytes += length;
      progress.add(length);
    },
    async onDone(blob, state) {
      read += 1;
      progress.add(0, 1);
      if (state === 'ok') {
        if (blob.damaged_timestamp === null) return;
        whole += 1;
        progress.print(`whole again: SHA-256 ${blob.sha256} (${formatBytes(blob.size)})`);
        return;
      }
      damaged += 1;
      const references = (await findReferences(db, blob.blob_id)).map((reference) => `\n    ${describe(reference)}`);
      progress.print(`${word(state)}: SHA-256 ${blob.sha256} (${formatBytes(blob.size)}, key ${blob.key})${references.join('')}`);
    },
  });
  let wrong = 0;
  const versions = await checkDigests(db, model, signal, ({ workspace, name, version, digest, computed }) => {
    wrong += 1;
    progress.print(`changed: version ${version} of ${name} (workspace ${workspace}) has the digest ${digest}, its files have ${computed}`);
  });
  progress.end();
  const findings = [
    damaged > 0 ? `${plural(damaged, 'damaged file')}` : 'no damage found',
    ...(whole > 0 ? [`${plural(whole, 'file')} whole again`] : []),
    ...(wrong > 0 ? [plural(wrong, 'wrong digest')] : []),
  ];
  process.stdout.write(
    `Read ${plural(read, 'file')} (${formatBytes(bytes)}) of ${config.artifactsUrl} and compared ${plural(versions, 'version')}: ${findings.join(', ')}.\n`,
  );
  return damaged + wrong > 0 ? 1 : 0;
}

const word = (state: Exclude<BlobState, 'ok'> | Error) => (state instanceof Error ? `unreadable (${state.message})` : state);

function describe({ workspace, name, version, path, is_deleted }: Reference): string {
  if (is_deleted) return `version ${version} of ${name}, deleted: ${path}`;
  return name === null ? `workspace ${workspace}: ${path}` : `version ${version} of ${name} (workspace ${workspace}): ${path}`;
}
