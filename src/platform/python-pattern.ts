import vm from 'node:vm';

const SEARCH_WITHIN_MS = 100;

// Parts of Python's syntax that have other signs here. Escaped punctuation may stay escaped only where it means something, hence the code.
const TRANSLATIONS: [RegExp, (...found: string[]) => string][] = [
  [/^\\A$/, () => '(?<![\\s\\S])'],
  [/^\\Z$/, () => '(?![\\s\\S])'],
  [/^\\([^a-zA-Z0-9])$/u, (_, character = '') => `\\u{${character.codePointAt(0)?.toString(16)}}`],
  [/^\(\?P<$/, () => '(?<'],
  [/^\(\?P=(\w+)\)$/, (_, name) => `\\k<${name}>`],
];

/**
 * Compiles a regular expression of Python's `re` module: flags `(?ims)` at its start, `(?P<name>…)`, `(?P=name)`, `\A`, `\Z`. Letters and digits (`\w`, `\d`)
 * are those of ASCII, and `$` is the very end. Throws an Error for what only Python can read.
 */
export function pythonPattern(text: string): RegExp {
  const [, flags = '', pattern = text] = /^\(\?([ims]+)\)(.*)$/s.exec(text) ?? [];
  const translated = pattern.replace(/\\[\s\S]|\(\?P<|\(\?P=\w+\)/gu, (part) => {
    const [sign, write] = TRANSLATIONS.find(([sign]) => sign.test(part)) ?? [];
    return sign && write ? part.replace(sign, write) : part;
  });
  return new RegExp(translated, [...new Set(`${flags}u`)].join(''));
}

const context = vm.createContext(Object.create(null));
const search = new vm.Script('pattern.test(text)');

/** As Python's `re.search`. A search that takes longer than 100 ms, as some patterns do on texts made for it, finds nothing: all other requests wait for it. */
export function foundIn(text: string, pattern: RegExp): boolean {
  Object.assign(context, { pattern, text });
  try {
    return search.runInContext(context, { timeout: SEARCH_WITHIN_MS });
  } catch {
    return false;
  }
}
