const LATEST = Date.UTC(9999, 11, 31);

/** A time in epoch ms as ISO 8601. What a client has called a time may be none: then it is the first or last one that there is. */
export const isoTime = (ms: number): string => new Date(Math.min(Math.max(ms, 0), LATEST) || 0).toISOString();
