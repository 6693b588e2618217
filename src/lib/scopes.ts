import type { Violations } from './violations.js';

/** Keyward's own permissions, needed by its RPCs besides the caller's rights. */
export type Permission =
  | 'keyward.tokens.validate'
  | 'keyward.tokens.cache'
  | 'keyward.tokens.read'
  | 'keyward.tokens.write'
  | 'keyward.accounts.read'
  | 'keyward.accounts.write'
  | 'keyward.secrets.read'
  | 'keyward.secrets.access'
  | 'keyward.secrets.write'
  | 'keyward.audit.read'
  | 'keyward.imports.read'
  | 'keyward.status.read'
  | 'keyward.keys.rotate';

/** Everything: the scopes of a token that was given none. */
export const ALL_SCOPES: readonly string[] = Object.freeze(['*']);

const MAX_SCOPES = 64;
const SCOPE = /^[a-z0-9_.:/*-]{1,128}$/;
const FAMILY = /[.:/]\*$/;

/**
 * covers tells whether what is granted includes one scope: by the same text, by `*`, or by a granted
 * scope ending in `.*`, `:*` or `/*` whose beginning it shares.
 */
export function covers(granted: readonly string[], scope: string): boolean {
  for (const own of granted) {
    if (own === '*' || own === scope) return true;
    if (FAMILY.test(own) && scope.startsWith(own.slice(0, -1))) return true;
  }
  return false;
}

/** firstNotCovered is the first of `scopes` that `granted` does not include, undefined if it includes all. */
export function firstNotCovered(granted: readonly string[], scopes: readonly string[]): string | undefined {
  return scopes.find((scope) => !covers(granted, scope));
}

/** areScopes checks a list of required scopes cheaply, for the path of every validation. */
export function areScopes(scopes: readonly string[]): boolean {
  return scopes.length <= MAX_SCOPES && scopes.every((scope) => SCOPE.test(scope));
}

export function checkScopes(v: Violations, field: string, scopes: readonly string[]): void {
  v.check(scopes.length <= MAX_SCOPES, field, `must be at most ${MAX_SCOPES}`);
  v.check(new Set(scopes).size === scopes.length, field, 'must not contain duplicates');
  scopes.slice(0, MAX_SCOPES).forEach((scope, index) => {
    v.check(SCOPE.test(scope), `${field}[${index}]`, 'must be 1 to 128 characters of [a-z0-9_.:/*-]');
  });
}
