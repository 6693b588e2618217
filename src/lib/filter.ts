import { parseRfc3339 } from './instant.js';
import { codePoints, isUuid } from './text.js';
import type { Violations } from './violations.js';

/** What kind of values a field of a list has, and so which comparisons it allows. */
export type FieldType = 'text' | 'boolean' | 'integer' | 'time' | 'uuid' | 'tag' | 'annotation';

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':';

export interface Comparison {
  readonly field: string;
  /** Of a field of annotations, which of them. */
  readonly key?: string;
  readonly operator: Operator;
  /** The value as text that PostgreSQL reads as the field's type; null only with `=` and `!=`. */
  readonly value: string | null;
}

const MAX_FILTER = 2000;
const MAX_COMPARISONS = 20;

const ALLOWED: Readonly<Record<FieldType, readonly Operator[]>> = {
  text: ['=', '!=', '<', '<=', '>', '>=', ':'],
  boolean: ['=', '!='],
  integer: ['=', '!=', '<', '<=', '>', '>='],
  time: ['=', '!=', '<', '<=', '>', '>='],
  uuid: ['=', '!='],
  tag: ['=', '!=', ':'],
  annotation: ['=', '!=', ':'],
};

const VALUE: Readonly<
  Record<Exclude<FieldType, 'text' | 'tag' | 'annotation'>, { valid: (text: string) => boolean; is: string }>
> = {
  boolean: { valid: (text) => text === 'true' || text === 'false', is: 'true or false' },
  integer: { valid: (text) => /^-?\d{1,18}$/.test(text), is: 'a whole number' },
  time: { valid: isRfc3339, is: 'a time such as "2026-01-31T00:00:00Z"' },
  uuid: { valid: isUuid, is: 'a UUID' },
};

// One comparison at the place where the last one ended: a field, perhaps with a quoted or a bare key of it, an operator, a
// quoted or a bare value.
const COMPARISON =
  /\s*([a-z0-9_]+)(?:\.(?:"((?:[^"\\]|\\["\\])*)"|([A-Za-z0-9_./-]+)))?\s*(=|!=|<=|>=|<|>|:)\s*(?:"((?:[^"\\]|\\["\\])*)"|([A-Za-z0-9_.+-]+))\s*/y;
const AND = /AND\s/y;

/**
 * parseFilter reads comparisons joined by AND, as the `filter` field of every list request describes.
 * What it cannot read, or what `fields` does not allow, becomes a violation of `filter`.
 */
export function parseFilter(
  v: Violations,
  filter: string,
  fields: Readonly<Record<string, { readonly type: FieldType }>>,
): Comparison[] {
  const comparisons: Comparison[] = [];
  if (filter.trim() === '') return comparisons;
  if (codePoints(filter) > MAX_FILTER || filter.includes('\0')) {
    v.add('filter', `must be at most ${MAX_FILTER} characters long, without NUL`);
    return comparisons;
  }
  for (let at = 0; at < filter.length;) {
    COMPARISON.lastIndex = at;
    const match = COMPARISON.exec(filter);
    if (match === null) {
      v.add('filter', `cannot be read from character ${at + 1} on: expected <field> <operator> <value>`);
      return comparisons;
    }
    const [, field = '', quotedKey, bareKey, operator, quoted, bare] = match;
    const key = quotedKey === undefined ? bareKey : unescaped(quotedKey);
    const comparison = checkComparison(v, fields, { field, key }, operator as Operator, quoted, bare);
    if (comparison !== undefined) comparisons.push(comparison);
    at = COMPARISON.lastIndex;
    if (at === filter.length) break;
    AND.lastIndex = at;
    if (!AND.test(filter)) {
      v.add('filter', `cannot be read from character ${at + 1} on: expected AND`);
      return comparisons;
    }
    at = AND.lastIndex;
    if (at === filter.length) v.add('filter', 'must not end with AND');
  }
  v.check(comparisons.length <= MAX_COMPARISONS, 'filter', `must be at most ${MAX_COMPARISONS} comparisons`);
  return comparisons;
}

function checkComparison(
  v: Violations,
  fields: Readonly<Record<string, { readonly type: FieldType }>>,
  { field, key }: { readonly field: string; readonly key: string | undefined },
  operator: Operator,
  quoted: string | undefined,
  bare: string | undefined,
): Comparison | undefined {
  const type = Object.hasOwn(fields, field) ? fields[field]?.type : undefined;
  if (type === undefined) {
    v.add('filter', `must only name the fields ${Object.keys(fields).join(', ')}`);
    return undefined;
  }
  if ((type === 'annotation') !== (key !== undefined)) {
    v.add('filter', 'must name an annotation as annotation.<key>, and nothing else so');
    return undefined;
  }
  const named = key === undefined ? { field } : { field, key };
  if (bare === 'null') {
    if (operator === '=' || operator === '!=') return { ...named, operator, value: null };
    v.add('filter', `must compare ${field} with null by = or != only`);
    return undefined;
  }
  if (!ALLOWED[type].includes(operator)) {
    v.add('filter', `must compare ${field} by one of ${ALLOWED[type].join(' ')}`);
    return undefined;
  }
  const value = quoted === undefined ? (bare ?? '') : unescaped(quoted);
  if (type !== 'text' && type !== 'tag' && type !== 'annotation' && !VALUE[type].valid(value)) {
    v.add('filter', `must compare ${field} with ${VALUE[type].is}`);
    return undefined;
  }
  if (/\p{Surrogate}/u.test(value + (key ?? ''))) {
    v.add('filter', 'must not contain unpaired surrogates');
    return undefined;
  }
  return { ...named, operator, value };
}

function unescaped(quoted: string): string {
  return quoted.replaceAll(/\\(["\\])/g, '$1');
}

function isRfc3339(text: string): boolean {
  return parseRfc3339(text) !== undefined;
}
