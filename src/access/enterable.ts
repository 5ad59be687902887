import type { Caller } from './caller.ts';

/** The condition that a caller may know of scope `s` (`mayEnter` in SQL), with the bindings that `enterable` gives. */
export const IS_ENTERABLE = `(:all::boolean or s.id = any (:given::bigint[])
    or (s.kind = 'registry' and s.visibility <> 'PRIVATE' and s.id <> all (:denied::bigint[])))
  and (:only::bigint[] is null or s.id = any (:only))`;

export function enterable({ everywhere, grants, only }: Caller): Record<string, unknown> {
  const given = [...grants].filter(([, { whole }]) => whole !== 'DENY').map(([id]) => id);
  const denied = [...grants].filter(([, { whole }]) => whole === 'DENY').map(([id]) => id);
  return { all: everywhere !== null, given, denied, only: only && [...only] };
}
