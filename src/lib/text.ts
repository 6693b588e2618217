/**
 * rfc1034Name turns a name into a host name label: lower case, `_` becomes `-`, other characters than
 * `[a-z0-9-]` go, hyphens at both ends go, then at most 63 characters. Empty where nothing is left.
 * The order of these steps is that of the platform whose names Keyward takes over.
 */
export function rfc1034Name(name: string): string {
  return name
    .toLowerCase()
    .replaceAll('_', '-')
    .replace(/[^a-z0-9-]/g, '')
    .replace(/^-+|-+$/g, '')
    .slice(0, 63);
}

/** snakeName turns a host name label into a name for programs: `_` for `-`. */
export function snakeName(label: string): string {
  return label.replaceAll('-', '_');
}

/**
 * foldName gives names that differ only by case or Unicode form the same text: NFKC, then upper and lower case
 * in turn, which also folds what has no lower case of its own, such as "ß" and "SS".
 */
export function foldName(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase().normalize('NFKC');
}

/**
 * What a terminal obeys or a reader cannot see: control characters (C0, DEL, C1), format characters (those that turn
 * the direction of writing among them), and Unicode's line and paragraph separators.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** printable writes such characters as escapes, for example `\u{1b}`: names come from others, and may hold any. */
export function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`);
}

/**
 * printableJson does the same to a JSON text, with JSON's own escapes, so that its meaning stays. Line breaks between
 * tokens stay too; within strings JSON has escaped them already.
 */
export function printableJson(json: string): string {
  return json.replaceAll(UNPRINTABLE, (character) =>
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, unit) => unitEscape(character, unit)).join(''),
  );
}

function unitEscape(text: string, unit: number): string {
  return `\\u${text.charCodeAt(unit).toString(16).padStart(4, '0')}`;
}

/**
 * What no new name holds: all that a reader cannot see, and white space but the space. Unicode calls some letters and marks
 * ignorable by default too, and joiners are among these: two names that look alike would differ by one.
 */
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/u;

/** isPrintable tells whether all of a text is to be seen, as letters, digits, marks, signs, and spaces. */
export function isPrintable(text: string): boolean {
  return !HIDDEN.test(text);
}

/** mask hides all but the last four characters behind at most four `*`. Counts code points. */
export function mask(text: string): string {
  const characters = Array.from(text);
  if (characters.length <= 4) return text;
  return '*'.repeat(Math.min(characters.length - 4, 4)) + characters.slice(-4).join('');
}

/** isSemanticVersion follows https://semver.org/spec/v2.0.0.html. */
export function isSemanticVersion(text: string): boolean {
  return SEMANTIC_VERSION.test(text);
}

const SEMANTIC_VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$/;

/** isAccountNumber accepts `dddd-dddd-dddd`. */
export function isAccountNumber(text: string): boolean {
  return /^[0-9]{4}-[0-9]{4}-[0-9]{4}$/.test(text);
}

/** codePoints counts characters as PostgreSQL's char_length does. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** isUuid accepts the hyphenated form in any case. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text);
}
