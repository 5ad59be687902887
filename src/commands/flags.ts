import { ConfigError } from '../config.ts';

/**
 * What a command takes: the names of its options, in kebab-case without dashes, and whether each has a value, is a switch, or a list: all that follows up
 * to the next option, as often as it is given.
 */
export type Options<Name extends string> = Record<Name, 'value' | 'switch' | 'list'>;

/** `options` has those given (a switch's value is ''), `lists` what lists were given; `settings` is for `readConfig`. */
export type Flags<Name extends string> = {
  options: Partial<Record<Name, string>>;
  lists: Partial<Record<Name, string[]>>;
  settings: string[];
  rest: string[];
};

/** Tells a command's own options (`--to x`, `--to=x`, `-o json`, `--set a=1 b=2`) from settings and from the rest. Throws ConfigError for a bad use. */
export function readFlags<Name extends string>(arguments_: string[], known: Options<Name>): Flags<Name> {
  const flags: Flags<Name> = { options: {}, lists: {}, settings: [], rest: [] };
  for (let i = 0; i < arguments_.length; i++) {
    const argument = arguments_[i] ?? '';
    const [flag = '', inline] = argument.split(/=(.*)/s);
    const name = flag.replace(/^--?/, '') as Name;
    if (!argument.startsWith('-') || argument === '-') flags.rest.push(argument);
    else if (known[name] === 'switch') {
      if (inline !== undefined) throw new ConfigError(`${flag}: takes no value. See --help.`);
      flags.options[name] = '';
    } else {
      const value = inline ?? arguments_[++i];
      if (value === undefined || (inline === undefined && value.startsWith('--'))) throw new ConfigError(missing(flag, name in known));
      if (known[name] === 'list') {
        const items = [value];
        while (inline === undefined && arguments_[i + 1]?.startsWith('-') === false) items.push(arguments_[++i] ?? '');
        flags.lists[name] = [...(flags.lists[name] ?? []), ...items];
      } else if (known[name] === 'value') flags.options[name] = value;
      else flags.settings.push(`${flag}=${value}`);
    }
  }
  return flags;
}

const missing = (flag: string, isKnown: boolean) =>
  `${flag}: ${isKnown ? 'needs a value' : 'not a known option, or its value is missing'}. See --help.`;

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 };

/** Milliseconds of `30d`, `1d2h3m4s` (as `mlflow gc --older-than`). Throws ConfigError. */
export function readDuration(flag: string, text: string): number {
  const parts = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?$/.exec(text)?.slice(1) ?? [];
  const ms = Object.values(UNITS).reduce((sum, unit, i) => sum + Number(parts[i] ?? 0) * unit, 0);
  if (text === '' || parts.length === 0 || !Number.isFinite(ms))
    throw new ConfigError(`${flag}: must be a time such as 30d, 12h or 1d2h3m (it is ${JSON.stringify(text)}). See --help.`);
  return Math.round(ms);
}

/** The items of a comma-separated list; none for an option that was not given. */
export const readList = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
