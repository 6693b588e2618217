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
 * annotationsOf makes one map of what Smarter keeps as a list of objects (or, in old rows, as one object).
 * Of values under one key the last is kept, as when Python merges dictionaries. Values that are not text become
 * compact JSON; list elements that are not objects get their position as key: `#1`, `#2`, ...
 */
export function annotationsOf(json: string | null, finding: Finding): Record<string, string> {
  if (json === null) return {};
  const members = jsonMembers(json, finding);
  const map = new Map<string, string>();
  for (const member of members) {
    const key = storableText('annotations', member.key, finding);
    const value = storableText('annotations', jsonToText(member.json), finding);
    if (map.has(key) && map.get(key) !== value) {
      finding(
        'annotation-repeated',
        `annotation ${JSON.stringify(key)} has several values: the last is kept`,
      );
    }
    map.set(key, value);
  }
  return Object.fromEntries(map);
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
