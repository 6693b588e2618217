import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  codePoints,
  foldName,
  isAccountNumber,
  isSemanticVersion,
  isUuid,
  mask,
  printable,
  printableJson,
  rfc1034Name,
  snakeName,
} from '../../../src/lib/text.js';
import { SMARTER_VECTORS } from '../../support/smarter-vectors.js';
import { anyText } from '../../support/arbitrary.js';
import { NASTY, unprintableIn } from '../../support/unprintable.js';

describe('names and masks are those of the platform that Keyward takes over from', () => {
  const names = SMARTER_VECTORS.rfc1034_compliant_str.filter(({ input }) => typeof input === 'string');
  test.each(names)(
    'the host name label of $input is $output, or empty where it has none',
    ({ input, output }) => {
      expect(rfc1034Name(String(input))).toBe(output ?? '');
    },
  );

  test.each(SMARTER_VECTORS.rfc1034_compliant_to_snake.filter(({ input }) => typeof input === 'string'))(
    'the snake form of $input is $output',
    ({ input, output }) => {
      expect(snakeName(String(input))).toBe(output);
    },
  );

  // A mask of its own length is another function of the platform; keys are masked by the defaults.
  const masks = SMARTER_VECTORS.mask_string.filter(
    ({ function: name, args }) =>
      name === 'mixin' && Object.keys(args).length === 1 && typeof args['string'] === 'string',
  );
  test.each(masks)('$args.string is masked as $output', ({ args, output }) => {
    expect(mask(String(args['string']))).toBe(output);
  });

  test('the vectors hold names with and without a label, and masks', () => {
    expect(names.some(({ error }) => error !== undefined)).toBe(true);
    expect(masks.length).toBeGreaterThan(10);
  });
});

test('a host name label is at most 63 of [a-z0-9-] and does not begin with a hyphen', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 200 }), (name) => {
      expect(rfc1034Name(name)).toMatch(/^([a-z0-9][a-z0-9-]{0,62})?$/);
    }),
  );
});

test('a mask shows no more than the last four characters of what is longer', () => {
  fc.assert(
    fc.property(anyText({ minLength: 5 }), (text) => {
      const characters = Array.from(text);
      if (characters.length <= 4) return;
      expect(mask(text)).toMatch(/^\*{1,4}/);
      expect(Array.from(mask(text).replace(/^\*+/, '')).length).toBeLessThanOrEqual(4);
      expect(text.endsWith(mask(text).slice(-1))).toBe(true);
    }),
  );
});

const versions = SMARTER_VECTORS.is_valid_semantic_version.filter(({ input }) => typeof input === 'string');
test.each(versions)('a semantic version, strictly: $input is $output, quirk $python_quirk', (vector) => {
  expect(isSemanticVersion(String(vector.input))).toBe(
    vector.output === true && vector.python_quirk === false,
  );
});

const numbers = SMARTER_VECTORS.account_number.filter(({ input }) => typeof input === 'string');
test.each(numbers)('an account number, strictly: $input is $accepted, quirk $python_quirk', (vector) => {
  expect(isAccountNumber(String(vector.input))).toBe(vector.accepted && vector.python_quirk === false);
});

test('the vectors hold texts that only Python takes for versions and account numbers', () => {
  expect(versions.some(({ python_quirk }) => python_quirk)).toBe(true);
  expect(numbers.some(({ python_quirk }) => python_quirk)).toBe(true);
});

test('characters are counted as code points, not as UTF-16 units', () => {
  expect(codePoints('')).toBe(0);
  expect(codePoints('aé🔑')).toBe(3);
});

test('a UUID is its hyphenated form in any case, and nothing else', () => {
  fc.assert(
    fc.property(fc.uuid(), (uuid) => {
      expect(isUuid(uuid)).toBe(true);
      expect(isUuid(uuid.toUpperCase())).toBe(true);
      expect(isUuid(uuid.replaceAll('-', ''))).toBe(false);
      expect(isUuid(`${uuid}\n`)).toBe(false);
      expect(isUuid(`{${uuid}}`)).toBe(false);
    }),
  );
});

describe('a folded name', () => {
  test.each([
    ['DB_PASSWORD', 'db_password'],
    ['ｆｕｌｌ', 'FULL'],
    ['ﬁle', 'FILE'],
    ['straße', 'STRASSE'],
    ['e\u0301t\u00e9', '\u00c9TE\u0301'],
    ['\u212aey', 'KEY'],
    ['ΣΊΣΥΦΟΣ', 'σίσυφος'],
  ])('is the same of %s and %s', (one, other) => {
    expect(foldName(one)).toBe(foldName(other));
  });

  test.each([
    ['a', 'b'],
    ['a b', 'ab'],
    ['e', 'é'],
    ['db_password', 'db-password'],
  ])('is not the same of %s and %s', (one, other) => {
    expect(foldName(one)).not.toBe(foldName(other));
  });
});

describe('texts of others', () => {
  test('are printed with everything escaped that a terminal obeys or a reader cannot see', () => {
    expect(unprintableIn(NASTY)).toBeDefined();
    expect(unprintableIn(printable(NASTY))).toBeUndefined();
    expect(printable('a\x1b[2J\n\x9b\u202e\u{e0041}b')).toBe(
      String.raw`a\u{1b}[2J\u{a}\u{9b}\u{202e}\u{e0041}b`,
    );
    expect(printable('Zoë 東京 🔑 "x" \\n')).toBe('Zoë 東京 🔑 "x" \\n');
  });

  test('in JSON are escaped in its own way, so that its meaning stays', () => {
    expect(printableJson(JSON.stringify('\x7f\u202e\u{e0041}'))).toBe(String.raw`"\u007f\u202e\udb40\udc41"`);
    const value = fc.dictionary(
      fc.oneof(anyText(), fc.constant(NASTY)),
      fc.oneof(fc.jsonValue(), fc.constant(NASTY)),
    );
    fc.assert(
      fc.property(value, fc.constantFrom(0, 2), (any, indent) => {
        const json = JSON.stringify(any, undefined, indent);
        expect(JSON.parse(printableJson(json))).toEqual(JSON.parse(json));
        expect(unprintableIn(printableJson(json))).toBeUndefined();
      }),
    );
  });
});
