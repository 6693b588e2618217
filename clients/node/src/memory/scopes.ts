const FAMILY = /[.:/]\*$/;

/**
 * covers tells whether what is granted includes one scope: by the same text, by `*`, or by a granted
 * scope ending in `.*`, `:*` or `/*` whose beginning it shares.
 */
function covers(granted: readonly string[], scope: string): boolean {
  for (const own of granted) {
    if (own === '*' || own === scope) return true;
    if (FAMILY.test(own) && scope.startsWith(own.slice(0, -1))) return true;
  }
  return false;
}

/** coverAll tells whether what is granted includes all of some scopes. */
export function coverAll(granted: readonly string[], scopes: readonly string[]): boolean {
  for (const scope of scopes) if (!covers(granted, scope)) return false;
  return true;
}
