import path from 'node:path';
import { stringifyExactJson } from './json.ts';

/** Python's posixpath.normpath: `a//b` -> `a/b`, `a/` -> `a`, `` -> `.`; exactly two leading slashes stay. */
export function normpath(name: string): string {
  if (name === '') return '.';
  const normal = path.posix.normalize(name);
  const trimmed = normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
  return /^\/\/(?!\/)/.test(name) ? `/${trimmed}` : trimmed;
}

/** Python's repr() of a string, as it stands in MLflow's messages. */
export function pythonRepr(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll(quote, `\\${quote}`)
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return quote + escaped + quote;
}

/** Python's repr() of a float: `1.0`, `1e-07`, `nan`. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const [digits = '', power = ''] = value.toExponential().split('e');
  const exponent = Number(power);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  }
  if (!Number.isInteger(value)) return String(value);
  return Object.is(value, -0) ? '-0.0' : `${value}.0`;
}

/** Python's int() of a string: surrounding white space, a sign, underscores between digits, any script's digits. Null where it raises. */
export function pythonInt(text: string): bigint | null {
  const match = /^([+-]?)(\p{Nd}+(?:_\p{Nd}+)*)$/u.exec(text.trim());
  if (!match?.[2]) return null;
  const digits = Array.from(match[2].replaceAll('_', ''), digitValue).join('');
  return match[1] === '-' ? -BigInt(digits) : BigInt(digits);
}

/** Decimal digits of a script stand in runs of ten that start at a zero. */
function digitValue(digit: string): number {
  let code = digit.codePointAt(0) ?? 0;
  const start = code;
  if (code < 128) return code - 48;
  while (/\p{Nd}/u.test(String.fromCodePoint(code - 1)) && start - code < 9) code--;
  return (start - code) % 10;
}

const SHOWN_CHARACTERS = 1000;

/** `{ [PYTHON_FLOAT]: 9 }` stands for the number that Python writes `9.0`. No request has such a key: texts with U+0000 are refused. */
export const PYTHON_FLOAT = '\0float';

/** JSON as Python's json.dumps(value, sort_keys=True, separators=(',', ':')) writes it: ASCII only. */
export function pythonJson(value: unknown): string {
  let text: string;
  try {
    text = writeJson(value);
  } catch {
    return '(too deeply nested)';
  }
  return text.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function writeJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return stringifyExactJson(value) ?? 'null';
  const float = markedFloat(value);
  if (float !== undefined) return Number.isFinite(float) ? pythonFloat(float) : String(float);
  const items = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${items.map(([key, item]) => `${JSON.stringify(key)}:${writeJson(item)}`).join(',')}}`;
}

const markedFloat = (value: object): number | undefined => (value as { [PYTHON_FLOAT]?: number })[PYTHON_FLOAT];

/** The same for a message, where long values are cut. */
export function shownJson(value: unknown): string {
  const text = pythonJson(value);
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}...` : text;
}

/** The name of Python's type for a JSON value. */
export function pythonType(value: unknown): string {
  if (value === null || value === undefined) return 'NoneType';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  if (typeof value === 'object' && markedFloat(value) !== undefined) return 'float';
  return { string: 'str', boolean: 'bool' }[typeof value as string] ?? 'dict';
}
