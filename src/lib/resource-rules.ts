import { codePoints, isSemanticVersion } from './text.js';
import type { Violations } from './violations.js';

/** The fields that accounts, user profiles and tokens have in common. */
export interface Description {
  readonly description: string;
  readonly version: string;
  readonly tags: readonly string[];
  readonly annotations: ReadonlyMap<string, string>;
  readonly manifestPath: string;
}

export const DEFAULT_VERSION = '1.0.0';

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

const NAME = /^[A-Za-z0-9](?:(?:[A-Za-z0-9_.-]| (?! ))*[A-Za-z0-9])?$/;
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
    NAME.test(name),
    field,
    'must consist of ASCII letters, digits, "_", "-", "." and single inner spaces, beginning and ending with a letter or digit',
  );
}

/** checkDescription checks those of the common fields that are given. */
export function checkDescription(v: Violations, prefix: string, fields: Partial<Description>): void {
  if (fields.description !== undefined)
    checkText(v, `${prefix}description`, fields.description, MAX_DESCRIPTION);
  if (fields.manifestPath !== undefined)
    checkText(v, `${prefix}manifest_path`, fields.manifestPath, MAX_PATH);
  if (fields.version !== undefined) {
    const valid = fields.version.length <= 255 && isSemanticVersion(fields.version);
    v.check(valid, `${prefix}version`, 'must be a semantic version of at most 255 characters');
  }
  if (fields.tags !== undefined) checkTags(v, `${prefix}tags`, fields.tags);
  if (fields.annotations !== undefined) checkAnnotations(v, `${prefix}annotations`, fields.annotations);
}

/** describedBytes is about how many bytes a resource takes in a message, rather more than less. */
export function describedBytes({ description, manifestPath, tags, annotations }: Description): number {
  let characters = description.length + manifestPath.length;
  for (const tag of tags) characters += tag.length;
  for (const [key, value] of annotations) characters += key.length + value.length;
  return 10_000 + 3 * characters;
}

/** describedBytesOf is that of several. */
export function describedBytesOf(resources: Iterable<Description>): number {
  let bytes = 0;
  for (const resource of resources) bytes += describedBytes(resource);
  return bytes;
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
