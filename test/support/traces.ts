import { randomBytes } from 'node:crypto';

/** tracesOf tells in which forms a value shows in bytes. Of one longer than 48 bytes it looks for the first 48. */
export function tracesOf(value: Buffer, bytes: Buffer): string[] {
  const forms = Object.entries(formsOf(value.subarray(0, 48)));
  // Many forms of a simple text are the same.
  const needles = new Map(forms.map(([form, needle]) => [needle.toString('latin1'), { form, needle }]));
  return [...needles.values()].flatMap(({ form, needle }) => (bytes.includes(needle) ? [form] : []));
}

/**
 * tracesOfAll does so for many values, each of which begins with one of `beginnings`: it looks for these first, since a dump
 * of memory is too large to look in it for every form of every value.
 */
export function tracesOfAll(
  values: readonly Buffer[],
  beginnings: readonly Buffer[],
  bytes: Buffer,
): string[] {
  const isThere = beginnings.some((beginning) => tracesOf(beginning, bytes).length > 0);
  return isThere ? values.flatMap((value) => tracesOf(value, bytes)) : [];
}

/** beginningOfData are bytes for values to begin with. They end with ASCII, so their form as text is the beginning of a value's. */
export function beginningOfData(): Buffer {
  return Buffer.concat([randomBytes(8), Buffer.from('-')]);
}

function formsOf(value: Buffer): Readonly<Record<string, Buffer>> {
  const hex = value.toString('hex');
  const texts = {
    'as UTF-8 read leniently': value.toString('utf8'),
    'as one character a byte': value.toString('latin1'),
    'in JSON': JSON.stringify(value.toString('utf8')).slice(1, -1),
    'percent-encoded': [...value].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
    'in hexadecimal': hex,
    'in capital hexadecimal': hex.toUpperCase(),
    'in hexadecimal with spaces': (hex.match(/../g) ?? []).join(' '),
    'as numbers': [...value].join(','),
    ...base64Of(value, 'base64'),
    ...base64Of(value, 'base64url'),
  };
  const needles = Object.entries(texts).map(([form, text]) => [form, Buffer.from(text)] as const);
  return { ...Object.fromEntries(needles), 'as it is': value };
}

/** base64Of are the characters that do not depend on what is before and after, for each place within three bytes. */
function base64Of(value: Buffer, alphabet: 'base64' | 'base64url'): Record<string, string> {
  const forms = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), value]).toString(alphabet);
    const end = Math.floor(((before + value.length) * 8) / 6);
    return [`in ${alphabet}, ${before} bytes in`, text.slice(Math.ceil((before * 8) / 6), end)] as const;
  });
  return Object.fromEntries(forms);
}
