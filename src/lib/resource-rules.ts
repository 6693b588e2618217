import type { FieldsOf } from './fields.js';
import { MAX_INSTANT, type Instant } from './instant.js';
import { codePoints, isPrintable, isSemanticVersion } from './text.js';
import type { Violations } from './violations.js';

/** The fields that accounts, user profiles and tokens have in common. */
export interface Description {
  readonly description: string;
  readonly version: string;
  readonly tags: readonly string[];
  readonly annotations: ReadonlyMap<string, string>;
  readonly manifestPath: string;
}

const MAX_DESCRIPTION = 10_000;
const MAX_PATH = 1024;
const MAX_TAGS = 64;
const MAX_TAG = 100;
const MAX_ANNOTATIONS = 64;
const MAX_KEY = 253;
const MAX_VALUE = 4096;
/** Names, a version, scopes, a selector, and what the encoding adds. */
const MAX_OTHER_BYTES = 64 * 1024;

/** Most bytes of a request that describes a resource: all fields at their longest, with four bytes for each character. */
export const MAX_DESCRIPTION_BYTES =
  MAX_OTHER_BYTES +
  4 * (MAX_DESCRIPTION + MAX_PATH + MAX_TAGS * MAX_TAG + MAX_ANNOTATIONS * (MAX_KEY + MAX_VALUE));

// PostgreSQL keeps neither NUL nor half of a surrogate pair in text.
const UNSTORABLE = /\0|\p{Surrogate}/u;

/** checkText applies to every text that is stored: its length in characters, and that the database can keep it. */
export function checkText(v: Violations, field: string, text: string, longest: number): void {
  v.check(codePoints(text) <= longest, field, `must be at most ${longest} characters long`);
  v.check(!UNSTORABLE.test(text), field, 'must not contain NUL or unpaired surrogates');
}

/** checkName applies to names given through the API; imported names are kept whatever they are. */
export function checkName(v: Violations, field: string, name: string): void {
  if (name === '') return v.add(field, 'is required');
  if (codePoints(name) > 255) return v.add(field, 'must be at most 255 characters long');
  v.check(
    isPrintable(name) && name === name.trim(),
    field,
    'must be printable text that neither begins nor ends with a space: no control, format or other hidden characters',
  );
  v.check(name === name.normalize('NFC'), field, 'must be in the Unicode form NFC');
}

/** checkExpiry checks when something shall expire; null is never. */
export function checkExpiry(v: Violations, field: string, expiresAt: Instant | null, now: Instant): void {
  if (expiresAt === null) return;
  const isFuture = expiresAt > now && expiresAt <= MAX_INSTANT;
  v.check(isFuture, field, 'must lie in the future, before the year 10000');
}

/** atMost checks a text by its length alone. */
export function atMost(longest: number): (v: Violations, field: string, text: string) => void {
  return (v, field, text) => {
    checkText(v, field, text, longest);
  };
}

export const DESCRIPTION_FIELDS = {
  description: { kind: 'text', check: atMost(MAX_DESCRIPTION), list: 'no' },
  version: { kind: 'text', check: checkVersion, list: 'no', ifEmpty: '1.0.0' },
  tags: { kind: 'texts', check: checkTags, list: 'filter' },
  annotations: { kind: 'map', check: checkAnnotations, list: 'filter' },
  manifestPath: { kind: 'text', check: atMost(MAX_PATH), list: 'no' },
} as const satisfies FieldsOf<Description>;

function checkVersion(v: Violations, field: string, version: string): void {
  const isVersion = version.length <= 255 && isSemanticVersion(version);
  v.check(isVersion, field, 'must be a semantic version of at most 255 characters');
}

function checkTags(v: Violations, field: string, tags: readonly string[]): void {
  v.check(tags.length <= MAX_TAGS, field, `must be at most ${MAX_TAGS}`);
  v.check(new Set(tags).size === tags.length, field, 'must not contain duplicates');
  tags.slice(0, MAX_TAGS).forEach((tag, index) => {
    v.check(tag !== '', `${field}[${index}]`, 'must not be empty');
    checkText(v, `${field}[${index}]`, tag, MAX_TAG);
  });
}

function checkAnnotations(v: Violations, field: string, annotations: ReadonlyMap<string, string>): void {
  const entries = [...annotations];
  v.check(entries.length <= MAX_ANNOTATIONS, field, `must be at most ${MAX_ANNOTATIONS}`);
  entries.slice(0, MAX_ANNOTATIONS).forEach(([key, value], index) => {
    v.check(key !== '', `${field}[${index}].key`, 'must not be empty');
    checkText(v, `${field}[${index}].key`, key, MAX_KEY);
    checkText(v, `${field}[${index}].value`, value, MAX_VALUE);
  });
}
