import { areScopes } from '../lib/scopes.js';
import type { Violations } from '../lib/violations.js';

const NONE: readonly string[] = [];
const SEPARATORS = /[\s,]+/;

/**
 * readScopes reads scopes that a route demands, separated by spaces or commas. A text without any is a violation of
 * `field`, as is one that holds what is no scope: a route must not be open because of a slip.
 */
export function readScopes(v: Violations, field: string, texts: readonly string[]): readonly string[] {
  if (texts.length === 0) return NONE;
  const scopes: string[] = [];
  for (const text of texts) {
    const some = text.split(SEPARATORS).filter((scope) => scope !== '');
    v.check(some.length > 0, field, 'must hold a scope where it is given');
    scopes.push(...some);
  }
  v.check(areScopes(scopes), field, 'must be at most 64 scopes of [a-z0-9_.:/*-]{1,128}');
  return scopes;
}
