import { z } from 'zod';
import { invalidParameter, type MlflowError, malformedRequest, missingValue, SEE_DOCS } from '../errors.ts';
import { parseExactJson } from '../json.ts';
import { PYTHON_FLOAT, pythonType, shownJson } from '../python.ts';

type Fields = {
  name: string;
  camel: string;
  repeated: boolean;
  flag: boolean;
  optional: boolean;
  normalise: (value: unknown) => unknown;
}[];

/** Reads a request's arguments into an endpoint's input. */
export type InputReader<Input> = {
  /** From a query string: everything arrives as text. */
  fromQuery(query: URLSearchParams, pathParams: Record<string, string>): Input;
  /** From a JSON body, or undefined for none. */
  fromJson(body: JsonBody | undefined, pathParams: Record<string, string>): Input;
};

/** A parsed body, and the JSON it was parsed from: `9.0` is a number of another type than `9` in MLflow's messages, and the same one in JavaScript. */
export type JsonBody = { value: unknown; json: string };

/**
 * Compiles a schema into a reader that takes proto-JSON as the stock server does: fields in snake_case or camelCase but not both, null as absent,
 * unknown fields ignored, repeated query arguments as lists, `true`/`false` in a query in any case. Path parameters win over everything.
 * Throws INVALID_PARAMETER_VALUE with MLflow's sentence for the first argument that does not fit.
 */
export function inputReader<Schema extends z.ZodObject>(schema: Schema): InputReader<z.output<Schema>> {
  const fields = fieldsOf(schema);
  const parse = (arguments_: Record<string, unknown>, shown = () => arguments_): z.output<Schema> => {
    const result = schema.safeParse(arguments_);
    if (result.success) return result.data;
    // What is said first is about the field that is declared first, also when a rule over several fields found it.
    const place = ({ path }: z.core.$ZodIssue) => fields.findIndex(({ name }) => name === path[0]);
    throw toMlflowError(
      result.error.issues.toSorted((a, b) => place(a) - place(b)),
      shown(),
      fields,
    );
  };
  return {
    fromQuery(query, pathParams) {
      const found: Record<string, unknown> = { ...pathParams };
      for (const { name, repeated, flag } of fields) {
        if (name in pathParams) continue;
        const values = query.getAll(name);
        if (values[0] === undefined) continue;
        found[name] = repeated ? values : flag ? readFlag(values[0]) : values[0];
      }
      return parse(found);
    },
    fromJson(body, pathParams) {
      const read = (value: unknown) => ({ ...normaliseObject(fields, value ?? {}), ...pathParams });
      return parse(read(body?.value), () => read(body && withPythonFloats(body)));
    },
  };
}

function fieldsOf(schema: z.ZodObject): Fields {
  return Object.entries(schema.shape).map(([name, field]) => {
    const inner = unwrap(field as z.ZodType);
    return {
      name,
      camel: name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
      repeated: inner instanceof z.ZodArray,
      flag: inner instanceof z.ZodBoolean,
      optional: (field as z.ZodType)._zod.optin !== undefined,
      normalise: normaliserOf(inner),
    };
  });
}

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodNullable) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  return schema;
}

function normaliserOf(schema: z.ZodType): (value: unknown) => unknown {
  if (schema instanceof z.ZodObject) {
    const fields = fieldsOf(schema);
    return (value) => (isRecord(value) ? normaliseObject(fields, value) : value);
  }
  if (schema instanceof z.ZodArray) {
    const item = normaliserOf(unwrap(schema.element as z.ZodType));
    return (value) => (Array.isArray(value) ? value.map(item) : value);
  }
  return (value) => value;
}

function normaliseObject(fields: Fields, value: unknown): Record<string, unknown> {
  if (!isRecord(value)) {
    throw malformedRequest(`The request body must be a JSON object, got ${pythonType(value)}.`);
  }
  const found: Record<string, unknown> = {};
  for (const { name, camel, normalise } of fields) {
    if (camel !== name && Object.hasOwn(value, camel)) {
      if (Object.hasOwn(value, name)) {
        throw invalidParameter(`Request specifies both '${name}' and '${camel}'; provide only one of them.`);
      }
      if (value[camel] !== null) found[name] = normalise(value[camel]);
    } else if (Object.hasOwn(value, name) && value[name] !== null) {
      found[name] = normalise(value[name]);
    }
  }
  return found;
}

function readFlag(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower !== 'true' && lower !== 'false') throw invalidParameter(`Invalid boolean value: ${text}, must be 'true' or 'false'.`);
  return lower === 'true';
}

function toMlflowError(issues: z.core.$ZodIssue[], input: unknown, fields: Fields): MlflowError {
  // The stock server checks presence and types of all arguments before any rule of a noun.
  const isRule = (issue: z.core.$ZodIssue) =>
    issue.code === 'custom' && issue.params?.wrongType !== true && issue.message !== 'Invalid input';
  const issue = issues.find((candidate) => !isRule(candidate)) ?? issues[0];
  if (!issue) return invalidParameter('Invalid request.');
  if (isRule(issue)) return invalidParameter(issue.message);
  // An argument that must be a list of texts is told whole (mlflow/server/handlers.py, _assert_item_type_string).
  const inTexts =
    issue.path.length === 2 && typeof issue.path[1] === 'number' && issue.code === 'invalid_type' && issue.expected === 'string';
  const parts = inTexts ? issue.path.slice(0, 1) : issue.path;
  const path = parts.map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i ? '.' : ''}${String(part)}`)).join('');
  const value = parts.reduce<unknown>((at, part) => (at as Record<PropertyKey, unknown> | undefined)?.[part], input);
  const expected = issue.code === 'invalid_type' ? issue.expected : issue.code === 'custom' ? issue.params?.expected : undefined;
  if (value === '' && expected !== undefined) {
    // Stock: the type of a number and of what may be left out is looked at, of anything else first whether it is there.
    const mayBeAbsent = issue.path.length === 1 && fields.some(({ name, optional }) => optional && name === issue.path[0]);
    if (expected === 'number' || mayBeAbsent) return wrongType(path, value);
  }
  return value === undefined || value === '' ? missingValue(path) : wrongType(path, value);
}

/** "Invalid value … Hint: Value was of type …", with the value as Python's json.dumps(sort_keys=True) prints it. */
function wrongType(path: string, value: unknown): MlflowError {
  return invalidParameter(
    `Invalid value ${shownJson(value)} for parameter '${path}' supplied:  Hint: Value was of type '${pythonType(value)}'.${SEE_DOCS}`,
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(PYTHON_FLOAT in value);

const MAX_DEPTH = 64;
const LONGEST_SHOWN = 10_000;
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** The body with every number that Python takes for a float marked as one: to be shown, not used. Not worth the time for a long one. */
const withPythonFloats = ({ value, json }: JsonBody): unknown =>
  json.length > LONGEST_SHOWN
    ? value
    : parseExactJson(
        json.replace(TEXT_OR_NUMBER, (token) => (/^-?\d+$|^"/.test(token) ? token : `{${JSON.stringify(PYTHON_FLOAT)}:${token}}`)),
      );

/**
 * Parses a JSON body as the stock server does: none, malformed JSON and invalid text count as `{}` there, and the reply is about the missing
 * argument. Here malformed JSON says so (docs/differences.md). A string holding JSON (old clients) is decoded again; UTF-16 and a BOM are accepted.
 */
export function parseJsonBody(bytes: Buffer): JsonBody | undefined {
  if (bytes.length === 0) return undefined;
  const text = decodeText(bytes);
  if (text.trim() === '') return undefined;
  const outer = parseJson(text);
  const json = typeof outer === 'string' ? outer : text;
  const value = typeof outer === 'string' ? parseJson(outer) : outer;
  refuseUnstorable(text, value);
  if (isDeeperThan(MAX_DEPTH, value)) throw malformedRequest(`The request body nests lists and objects more than ${MAX_DEPTH} deep.`);
  return { value, json };
}

function decodeText(bytes: Buffer): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw malformedRequest('The request body is not valid UTF-8 text: send JSON encoded as UTF-8.');
  }
}

function parseJson(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    throw malformedRequest('The request body is not valid JSON: send one JSON object, for example {"name": "my-model"}.');
  }
}

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (depth === 0) return true;
  for (const item of Object.values(value)) if (isDeeperThan(depth - 1, item)) return true;
  return false;
}

/** Throws for text Postgres cannot hold: U+0000 and lone surrogates. Walks the value only when the text hints at one. */
function refuseUnstorable(text: string, value: unknown): void {
  if (!/\\u0000|\0|\\u[dD][89a-fA-F]/.test(text)) return;
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const item = pending.pop();
    if (typeof item === 'string' && (item.includes('\0') || !item.isWellFormed())) {
      throw invalidParameter('Invalid text: strings must not contain NUL (U+0000) characters or unpaired surrogates.');
    }
    if (typeof item === 'object' && item !== null) pending.push(...Object.keys(item), ...Object.values(item));
  }
}
