import type { Answer, Wire } from './request.ts';

const SLOWEST_MS = 2000;
const ERROR_KEYS = ['error_code', 'error_class', 'message', 'sqlstate'];
// SQL, the database's words, stacks, modules, JavaScript that shows.
const INSIDES = [
  /\bselect\b[^"]{1,200}\bfrom\b|\binsert into\b|\bupdate \w+ set\b|\bdelete from\b/gi,
  /\bat \S+ \(|\bat (?:async )?\/|node:\w|node_modules|\/src\/|\w\.[tj]s:\d/g,
  /postgres(?!ql:)|pg_\w+|relation \S|violates|duplicate key|syntax error at|ZodError|TypeError|RangeError|\[object |\bundefined\b/gi,
];
// What the guard in front of everything says, in the stock server's words.
const PLAIN_REFUSALS = [
  'Invalid Host header - possible DNS rebinding attack detected',
  'Cross-origin request blocked',
  'Disallowed CORS origin',
];

/** What is wrong with an answer, in one sentence whose beginning names the kind; null when nothing is. `secrets` are paths of the server's disk. */
export function judge(wire: Wire, answer: Answer | Error, secrets: readonly string[]): string | null {
  if (answer instanceof Error) return `no answer: ${answer.message}`;
  const { status, headers, body, ms } = answer;
  const text = body.toString();
  if (status >= 500 && !isUnsupportedStore(status, text)) return `status ${status}: ${text.slice(0, 300)}`;
  if (ms > SLOWEST_MS) return `slow: ${Math.round(ms)} ms`;
  for (const name of ['x-content-type-options', 'content-security-policy', 'referrer-policy']) {
    if (headers[name] === undefined) return `header ${name} is missing (status ${status})`;
  }
  // What the request itself says may be said back.
  const said = (found: string) => saidBy(wire).includes(found.toLowerCase());
  const secret = secrets.find((one) => text.includes(one) && !said(one));
  if (secret) return `a path of the server: ${secret}`;
  if (status < 400 || wire.method === 'HEAD') return null;
  for (const pattern of INSIDES) {
    const found = (text.match(pattern) ?? []).find((match) => !said(match));
    if (found) return `insides: ${found} in ${text.slice(0, 300)}`;
  }
  return PLAIN_REFUSALS.includes(text) || isPage(headers, text) ? null : problemOfShape(text);
}

/** The pages to sign in on say what went wrong to people. */
const isPage = (headers: Answer['headers'], text: string) =>
  String(headers['content-type']).startsWith('text/html') && text.includes('role="alert"');

/** 501: said of what the store behind the server cannot do, by the stock server too. */
const isUnsupportedStore = (status: number, text: string) => status === 501 && text.includes('"error_code":"NOT_IMPLEMENTED"');

function problemOfShape(text: string): string | null {
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const extra = Object.keys(body).filter((key) => !ERROR_KEYS.includes(key));
    if (extra.length > 0 || !/^[A-Z_]+$/.test(String(body.error_code)) || typeof body.message !== 'string' || body.message.trim() === '')
      return `shape: ${text.slice(0, 300)}`;
    return null;
  } catch {
    return `shape: no JSON: ${text.slice(0, 300)}`;
  }
}

/** All spellings of what a request says, in lower case. */
function saidBy({ target, headers, body }: Wire): string {
  const plain = [target, ...Object.values(headers), body?.toString() ?? ''].join('\n');
  const spellings = [plain];
  for (let i = 0; i < 3; i++) spellings.push(decodeLeniently(spellings[i] ?? ''));
  return spellings.join('\n').toLowerCase();
}

const decodeLeniently = (text: string) =>
  text
    .replaceAll('+', ' ')
    .replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => Buffer.from(encoded.replaceAll('%', ''), 'hex').toString())
    .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replaceAll(/\\(["\\/])/g, '$1');
