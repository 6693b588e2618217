import { isDeepStrictEqual } from 'node:util';
import { isNumbered } from '../comparison.js';
import type { Fields, FieldValue } from '../source-rows.js';

/** Merge is what becomes of a row that both sides may have changed since they last agreed. */
export interface Merge {
  /** What the platform is to be told. */
  readonly changes: Fields;
  /** Fields that both sides changed, and to different values. */
  readonly conflicts: readonly string[];
  /** Fields that the platform changed and that stay so: the next import takes them. */
  readonly unseen: readonly string[];
}

/** Times of use: the later one stands. */
const USES = new Set(['last_used_at', 'last_accessed_at']);
/** Not anybody's decision, or told by other fields. */
const FOLLOWING = new Set(['created_at', 'updated_at', 'token_key', 'decryptable', 'value', 'value_version']);

/** Later than any time, as texts compare. */
const NEVER = '9999-12-31T24';

/** isUse tells whether nothing but the time of use differs. */
export function isUse(changes: Fields): boolean {
  return Object.keys(changes).every((field) => USES.has(field));
}

/**
 * changedHere names the fields of a row that are not as both sides last agreed. A name that an import made of one that
 * was taken is not a change.
 */
export function changedHere(before: Fields, here: Fields): string[] {
  return Object.keys(here).filter((field) => {
    if (FOLLOWING.has(field) || isSame(before[field], here[field])) return false;
    if (USES.has(field)) return isLater(here[field], before[field]);
    return field !== 'name' || !isNumbered(here[field], before[field]);
  });
}

/**
 * merge decides field by field. What only Keyward changed is written, what only the platform changed stays. Where both
 * did, Keyward's value is written, unless it is an expiry and the platform's is earlier.
 */
export function merge(before: Fields, here: Fields, there: Fields): Merge {
  const changed = changedHere(before, here).filter((field) => !isSame(here[field], there[field]));
  const changedThere = Object.keys(here).filter(
    (field) =>
      !FOLLOWING.has(field) && !isSame(before[field], there[field]) && !isSame(here[field], there[field]),
  );
  const conflicts = changed.filter((field) => changedThere.includes(field) && !USES.has(field));
  const written = changed.filter((field) => {
    if (USES.has(field)) return isLater(here[field], there[field]);
    return !conflicts.includes(field) || !isSafer(field, there[field], here[field]);
  });
  return {
    changes: Object.fromEntries(written.map((field) => [field, here[field] ?? null])),
    conflicts,
    unseen: changedThere.filter((field) => !written.includes(field)),
  };
}

/** agreed is what both sides hold after a merge: what the platform has now, but for what the next import has to see. */
export function agreed(before: Fields, now: Fields, { unseen }: Pick<Merge, 'unseen'>): Fields {
  const seen = { ...before, ...now };
  return { ...seen, ...Object.fromEntries(unseen.map((field) => [field, before[field] ?? null])) };
}

/** isSafer tells whether the platform's value lets in less. Of a switch there is no conflict: it has two positions. */
function isSafer(field: string, value: FieldValue | undefined, than: FieldValue | undefined): boolean {
  return field === 'expires_at' && isLater(than ?? NEVER, value ?? NEVER);
}

/** isLater compares times as records hold them; one that never was is the earliest. */
function isLater(time: FieldValue | undefined, than: FieldValue | undefined): boolean {
  return textOf(time) > textOf(than);
}

function isSame(a: FieldValue | undefined, b: FieldValue | undefined): boolean {
  if (isList(a) && isList(b)) return isDeepStrictEqual(a.toSorted(), b.toSorted());
  return isDeepStrictEqual(a ?? null, b ?? null);
}

function isList(value: FieldValue | undefined): value is readonly string[] {
  return Array.isArray(value);
}

function textOf(time: FieldValue | undefined): string {
  return typeof time === 'string' ? time : '';
}
