import { formatPgTimestamp, parsePgTimestamp } from '../lib/instant.js';
import { isUuid } from '../lib/text.js';
import { isJson, jsonChildren, jsonToText } from './json-text.js';

/** Finding is something worth telling about one field of a row. It never holds the field's value. */
export type Finding = (sort: FindingSort, what: string) => void;

type FindingSort =
  | 'characters-removed'
  | 'not-json'
  | 'annotation-repeated'
  | 'annotation-without-key'
  | 'tags-not-a-list'
  | 'tag-repeated';

// PostgreSQL keeps neither NUL nor half of a surrogate pair in text.
const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** isStorable is false for text that PostgreSQL cannot keep. */
export function isStorable(text: string): boolean {
  return text.search(UNSTORABLE) === -1;
}

/** storableText removes what PostgreSQL cannot keep. */
export function storableText(field: string, text: string, finding: Finding): string {
  const kept = text.replace(UNSTORABLE, '');
  if (kept !== text)
    finding('characters-removed', `${field}: characters that PostgreSQL cannot store were removed`);
  return kept;
}

/**
 * annotationsOf makes one map of what Smarter keeps as a list of objects (or, in old rows, as one object). Values that are
 * not text become compact JSON; list elements that are not objects get their position as key: `#1`, `#2`, ... A key that
 * is there several times has all its values, as `severalValues` writes them.
 */
export function annotationsOf(json: string | null, finding: Finding): Record<string, string> {
  if (json === null) return {};
  const values = new Map<string, string[]>();
  for (const { key, json: value } of jsonMembers(json, finding)) {
    const kept = storableText('annotations', key, finding);
    values.set(kept, [...(values.get(kept) ?? []), value]);
  }
  const entries = [...values].map(([key, all]) => [key, annotationOf(key, all, finding)]);
  return Object.fromEntries(entries) as Record<string, string>;
}

function annotationOf(key: string, values: readonly string[], finding: Finding): string {
  const [value = ''] = values;
  if (values.length > 1) {
    finding('annotation-repeated', `annotation ${JSON.stringify(key)} has several values: kept as a list`);
    return severalValues(values);
  }
  const text = jsonToText(value);
  return isSeveralValues(text) ? severalValues(values) : storableText('annotations', text, finding);
}

/**
 * severalValues writes the values of one key as a JSON list that begins with `[ `, which compact JSON never does. A text
 * that looks so by itself is written as a list of one: so whatever begins so is a list of values.
 */
function severalValues(values: readonly string[]): string {
  return `[ ${values.join(', ')} ]`;
}

function isSeveralValues(text: string): boolean {
  return text.startsWith('[ ') && isJson(text);
}

function jsonMembers(json: string, finding: Finding): { key: string; json: string }[] {
  const unnamed = (position: number, value: string) => {
    finding('annotation-without-key', `annotation ${position} has no key: kept as "#${position}"`);
    return [{ key: `#${position}`, json: value }];
  };
  const membersOf = (object: string) =>
    jsonChildren(object).map(({ key, json: value }) => ({ key: key ?? '', json: value }));
  const text = json.trim();
  if (!isJson(text)) {
    finding('not-json', 'annotations: not JSON, kept as one text under "#1"');
    return [{ key: '#1', json: JSON.stringify(json) }];
  }
  if (text === 'null') return [];
  if (text.startsWith('{')) return membersOf(text);
  if (!text.startsWith('[')) return unnamed(1, text);
  return jsonChildren(text).flatMap(({ json: element }, index) =>
    element.startsWith('{') ? membersOf(element) : unnamed(index + 1, element),
  );
}

/** tagsOfJson reads a JSON list of tags; tags that are not text become compact JSON. */
export function tagsOfJson(json: string | null, finding: Finding): string[] {
  if (json === null) return [];
  const text = json.trim();
  if (!isJson(text)) {
    finding('not-json', 'tags: not JSON, kept as one tag');
    return uniqueTags([json], finding);
  }
  if (text === 'null') return [];
  if (text.startsWith('['))
    return uniqueTags(
      jsonChildren(text).map((tag) => jsonToText(tag.json)),
      finding,
    );
  finding('tags-not-a-list', 'tags: not a list, kept as one tag');
  return uniqueTags([jsonToText(text)], finding);
}

/** uniqueTags keeps the order and the first of equal tags. */
export function uniqueTags(tags: readonly string[], finding: Finding): string[] {
  const kept = new Set(tags.map((tag) => storableText('tags', tag, finding)));
  if (kept.size < tags.length) finding('tag-repeated', 'tags: a repeated tag was taken once');
  return [...kept];
}

/** timeOf writes a time in the one form that is stored, compared and reported: UTC with microseconds. */
export function timeOf(text: string | null): string | null {
  return text === null ? null : formatPgTimestamp(parsePgTimestamp(text));
}

/** uuidOf accepts 32 hex digits with or without hyphens, in any case. */
export function uuidOf(text: string): string | undefined {
  const hyphenated = text.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return isUuid(hyphenated) ? hyphenated.toLowerCase() : undefined;
}
