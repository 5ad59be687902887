type Kind = { status: number; sqlstate?: string; errorClass?: string };

/**
 * The error codes we answer with, with the HTTP status, `sqlstate` and `error_class` the stock server gives them (mlflow/exceptions.py,
 * ERROR_CODE_TO_HTTP_STATUS). All are names of MLflow's own ErrorCode enum: clients cannot read any other (for 1.x see http/reply.ts).
 * INVALID_STATE is 500 there, and clients retry a 500 for minutes, so here it is 409 (docs/differences.md).
 */
const CODES = {
  INVALID_PARAMETER_VALUE: { status: 400, sqlstate: 'KAM00', errorClass: 'INVALID_PARAMETER_VALUE' },
  BAD_REQUEST: { status: 400, sqlstate: 'KAM00', errorClass: 'INVALID_PARAMETER_VALUE' },
  MALFORMED_REQUEST: { status: 400, sqlstate: 'KAM00', errorClass: 'INVALID_PARAMETER_VALUE' },
  RESOURCE_ALREADY_EXISTS: { status: 400, sqlstate: 'KAM00', errorClass: 'RESOURCE_ALREADY_EXISTS' },
  UNAUTHENTICATED: { status: 401 },
  PERMISSION_DENIED: { status: 403, sqlstate: 'KAM00', errorClass: 'PERMISSION_DENIED' },
  RESOURCE_DOES_NOT_EXIST: { status: 404, sqlstate: 'KAM00', errorClass: 'RESOURCE_NOT_FOUND' },
  ENDPOINT_NOT_FOUND: { status: 404 },
  DEADLINE_EXCEEDED: { status: 408 },
  INVALID_STATE: { status: 409, sqlstate: 'XXM00', errorClass: 'CLIENT_INTERNAL_ERROR' },
  REQUEST_LIMIT_EXCEEDED: { status: 429 },
  // Not a 5xx: trying again does not help.
  DATA_LOSS: { status: 410 },
  INTERNAL_ERROR: { status: 500, sqlstate: 'XXM00', errorClass: 'CLIENT_INTERNAL_ERROR' },
  NOT_IMPLEMENTED: { status: 501 },
  TEMPORARILY_UNAVAILABLE: { status: 503 },
  IO_ERROR: { status: 507 },
} as const satisfies Record<string, Kind>;

export type ErrorCode = keyof typeof CODES;

/** The one error that is thrown on purpose: its text reaches the caller word for word, so it never holds SQL, a server path or a stack. */
export class MlflowError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly kind: Kind;
  /** Seconds after which trying again may help. */
  retryAfter?: number;

  /** `status` only where HTTP has a closer one than the code's own: 405, 413, 416; `kind` only where MLflow has a closer one. */
  constructor(code: ErrorCode, message: string, status: number = CODES[code].status, kind: Kind = CODES[code]) {
    super(message);
    this.code = code;
    this.status = status;
    this.kind = kind;
  }

  /** The reply's body in MLflow's shape. */
  toBody(): { error_code: ErrorCode; message: string; sqlstate?: string; error_class?: string } {
    return {
      error_code: this.code,
      message: this.message,
      ...(this.kind.sqlstate && { sqlstate: this.kind.sqlstate }),
      ...(this.kind.errorClass && { error_class: this.kind.errorClass }),
    };
  }
}

export const invalidParameter = (message: string) => new MlflowError('INVALID_PARAMETER_VALUE', message);
/** INVALID_PARAMETER_VALUE of the kind that the stock server has for a name of nothing that can be ordered by. */
export const attributeNotFound = (message: string) =>
  new MlflowError('INVALID_PARAMETER_VALUE', message, 400, { status: 400, sqlstate: 'KAM04', errorClass: 'ATTRIBUTE_NOT_FOUND' });
export const badRequest = (message: string) => new MlflowError('BAD_REQUEST', message);
export const malformedRequest = (message: string) => new MlflowError('MALFORMED_REQUEST', message);
export const alreadyExists = (message: string) => new MlflowError('RESOURCE_ALREADY_EXISTS', message);
export const doesNotExist = (message: string) => new MlflowError('RESOURCE_DOES_NOT_EXIST', message);
export const invalidState = (message: string) => new MlflowError('INVALID_STATE', message);

/** What is looked for, or null when that throws RESOURCE_DOES_NOT_EXIST. */
export async function ifThere<T>(found: Promise<T>): Promise<T | null> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof MlflowError && error.code === 'RESOURCE_DOES_NOT_EXIST') return null;
    throw error;
  }
}

// The literal suffix of the stock server's request errors (mlflow/server/handlers.py, _validate_param_against_schema).
export const SEE_DOCS = ' See the API docs for more information about request parameters.';

/** "Missing value for required parameter …", as the stock server says it of a request. */
export function missingValue(path: string): MlflowError {
  return invalidParameter(`Missing value for required parameter '${path}'.${SEE_DOCS}`);
}
