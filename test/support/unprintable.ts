/** NASTY holds what steers a terminal or misleads its reader: escapes, C1, bidirectional and invisible characters. */
export const NASTY =
  'a\x1b]0;t\x07\x9b2J\x7f\u202e\u2066\u200f\u061c\u200b\ufeff\u{e0041}\u2028\u2029\x85\r\x08\tb\nkeyward: z';

/** Written out, and not as the classes that the program uses. The line break ends the program's own lines. */
const UNPRINTABLE =
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0001}-\u{e007f}]/u;

/** unprintableIn is the first such character, as its code, for a test to show; undefined if there is none. */
export function unprintableIn(text: string): string | undefined {
  return UNPRINTABLE.exec(text)?.[0].codePointAt(0)?.toString(16);
}
