import { LEVELS, type Level } from '../platform/permission.ts';

/** What can be granted on by name, or by a pattern (mlflow/server/auth/permissions.py). */
export const NAMED_TYPES = ['experiment', 'registered_model', 'prompt'] as const;
/** Parts of these: granted for all of a workspace or registry, beside what holds for the whole they are of. */
export const PART_TYPES = ['run', 'logged_model', 'registered_model_version', 'prompt_version'] as const;
/** The workspace or registry itself. */
export const SCOPE_TYPES = ['workspace', 'registry'] as const;

export type ResourceType = (typeof NAMED_TYPES)[number] | (typeof PART_TYPES)[number];

/** A permission as it is stored; DENY wins over all others that are granted on the same, NO_PERMISSIONS allows nothing. */
type StoredPermission = Level | 'DENY' | 'NO_PERMISSIONS';

/** One row of what a caller was granted, through a role or by name. */
export type Grant = { scope: number; type: string; pattern: string; permission: StoredPermission };

type Granted = 'DENY' | Level | null;
type OfType = { exact: Map<string, Granted>; patterns: { matches(id: string): boolean; like: string; permission: Granted }[] };
type OfScope = { whole: Granted; types: Map<string, OfType> };

/** What was granted to a caller, ready to be asked. */
export type Grants = Map<number, OfScope>;

/** What a caller may do: what was granted, and within which limits. */
export type Rights = {
  grants: Grants;
  /** What an administrator may do with everything, or a token that was given less. */
  everywhere: Level | null;
  /** The scopes a token is for; null for all. */
  only: ReadonlySet<number> | null;
};

const isOutside = ({ only }: Rights, { id }: GuardedScope): boolean => only !== null && !only.has(id);

/** A workspace or registry as far as rights go: `openToRead` is a registry whose models every caller may read. */
export type GuardedScope = { id: number; openToRead?: boolean };

/** A thing in a scope; a part names the whole that it is of. */
export type Resource = { scope: GuardedScope; type: ResourceType; id: string; whole?: { type: ResourceType; id: string } };

const rank = (level: Granted): number => (level === null ? -1 : LEVELS.indexOf(level as Level));

/** Two permissions on the same thing: DENY wins, else the higher. */
function both(a: Granted, b: Granted): Granted {
  if (a === 'DENY' || b === 'DENY') return 'DENY';
  return rank(a) >= rank(b) ? a : b;
}

const granted = (permission: StoredPermission): Granted => (permission === 'NO_PERMISSIONS' ? null : permission);

/** True when `level` allows what needs `needed`. */
export const allows = (level: Level | null, needed: Level): boolean => rank(level) >= rank(needed);

export function compileGrants(rows: Grant[]): Grants {
  const grants: Grants = new Map();
  for (const { scope, type, pattern, permission } of rows) {
    const ofScope = grants.get(scope) ?? { whole: null, types: new Map() };
    grants.set(scope, ofScope);
    if ((SCOPE_TYPES as readonly string[]).includes(type)) {
      ofScope.whole = both(ofScope.whole, granted(permission));
      // A registry is there to be read from: what is granted on it holds for all its models.
      if (type === 'workspace') continue;
    }
    const kind = type === 'registry' ? 'registered_model' : type;
    const ofType = ofScope.types.get(kind) ?? { exact: new Map(), patterns: [] };
    ofScope.types.set(kind, ofType);
    if (pattern.includes('*')) ofType.patterns.push({ ...readPattern(pattern), permission: granted(permission) });
    else ofType.exact.set(pattern, both(ofType.exact.get(pattern) ?? null, granted(permission)));
  }
  return grants;
}

function readPattern(pattern: string): { matches(id: string): boolean; like: string } {
  const parts = pattern.split('*');
  return { matches: (id) => isInOrder(parts, id), like: parts.map((part) => part.replace(/[\\%_]/g, '\\$&')).join('%') };
}

/** True when a text is these parts with anything between them. In linear time, which a RegExp of many `.*` is not. */
function isInOrder(parts: string[], text: string): boolean {
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at + last.length <= text.length;
}

function grantedOn(types: OfScope['types'] | undefined, type: string, id: string): Granted {
  const ofType = types?.get(type);
  if (!ofType) return null;
  return ofType.patterns.reduce(
    (sum, { matches, permission }) => (matches(id) ? both(sum, permission) : sum),
    ofType.exact.get(id) ?? null,
  );
}

/** What a caller may do with a whole scope: with everything in it, unless something is denied. USE of a workspace allows to make things in it, no more. */
export function levelOnScope(rights: Rights, scope: GuardedScope): Level | null {
  if (isOutside(rights, scope)) return null;
  const whole = rights.grants.get(scope.id)?.whole ?? null;
  if (whole === 'DENY') return null;
  return both(both(whole, rights.everywhere), scope.openToRead ? 'READ' : null) as Level | null;
}

/** The ids of the scopes that a caller manages as a whole; null for all there are. */
export function managedScopes({ everywhere, grants, only }: Rights): number[] | null {
  if (everywhere === 'MANAGE') return limitedTo({ everywhere, grants, only });
  return [...grants].filter(([id, { whole }]) => whole === 'MANAGE' && (only === null || only.has(id))).map(([id]) => id);
}

/** The ids of the scopes that a token is for; null for all. */
export const limitedTo = ({ only }: Rights): number[] | null => only && [...only];

/** What follows for a thing from what may be done with its scope. */
function inherited(rights: Rights, scope: GuardedScope): Level | null {
  const level = levelOnScope(rights, scope);
  // As on the stock server: to be a member of a workspace does not show what others made there.
  if (level !== 'USE' || rights.everywhere === 'USE') return level;
  return scope.openToRead ? 'READ' : null;
}

/** What a caller may do with a thing, or null for nothing. A DENY on it, or on all of its kind, is not outdone by what holds for the whole. */
export function levelOn(rights: Rights, resource: Resource): Level | null {
  const permission = permissionOn(rights, resource);
  return permission === 'DENY' ? null : permission;
}

/** As `levelOn`, but tells what is denied from what was not granted. */
export function permissionOn(rights: Rights, { scope, type, id, whole }: Resource): Level | 'DENY' | null {
  if (isOutside(rights, scope)) return null;
  const own = grantedOn(rights.grants.get(scope.id)?.types, type, id);
  return own === 'DENY' ? own : both(own, whole ? levelOn(rights, { scope, ...whole }) : inherited(rights, scope));
}

/** True when a caller has been given anything in a scope, or may read it all: else it is as if it were not there. */
export function mayEnter(rights: Rights, scope: GuardedScope): boolean {
  if (isOutside(rights, scope)) return false;
  const ofScope = rights.grants.get(scope.id);
  return ofScope?.whole !== 'DENY' && (ofScope !== undefined || levelOnScope(rights, scope) !== null);
}

/** Which things of a kind a caller may read: the condition of a search. Patterns are those of LIKE; `all` is true but for what is excepted. */
export type Visible = { all: boolean; ids: string[]; patterns: string[]; exceptIds: string[]; exceptPatterns: string[] };

const ALL: Visible = { all: true, ids: [], patterns: [], exceptIds: [], exceptPatterns: [] };
const NOTHING: Visible = { ...ALL, all: false };

/** As `visibleIn`, for the parts of things: granted for all of them at once, or with the whole they are of. */
export function visiblePartsIn(rights: Rights, scope: GuardedScope, type: ResourceType, whole: ResourceType): Visible | null {
  const own = grantedOn(rights.grants.get(scope.id)?.types, type, '');
  if (own === 'DENY' || isOutside(rights, scope)) return NOTHING;
  return own === null ? visibleIn(rights, scope, whole) : null;
}

/** Null when everything is visible, so that there is nothing to ask for. */
export function visibleIn(rights: Rights, scope: GuardedScope, type: ResourceType): Visible | null {
  if (isOutside(rights, scope)) return NOTHING;
  const ofType = rights.grants.get(scope.id)?.types.get(type);
  const all = inherited(rights, scope) !== null;
  if (!ofType) return all ? null : NOTHING;
  const entries = [...ofType.exact];
  const idsOf = (wanted: (permission: Granted) => boolean) => entries.filter(([, permission]) => wanted(permission)).map(([id]) => id);
  const patternsOf = (wanted: (permission: Granted) => boolean) =>
    ofType.patterns.filter(({ permission }) => wanted(permission)).map(({ like }) => like);
  const isAllowed = (permission: Granted) => permission !== null && permission !== 'DENY';
  const isDenied = (permission: Granted) => permission === 'DENY';
  return {
    all,
    ids: idsOf(isAllowed),
    patterns: patternsOf(isAllowed),
    exceptIds: idsOf(isDenied),
    exceptPatterns: patternsOf(isDenied),
  };
}
