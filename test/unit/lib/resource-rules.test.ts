import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFields } from '../../../src/lib/fields.js';
import {
  checkName,
  checkText,
  DESCRIPTION_FIELDS,
  type Description,
} from '../../../src/lib/resource-rules.js';
import { anyText } from '../../support/arbitrary.js';
import { brokenRules } from '../../support/violations.js';

describe('names', () => {
  test.each([
    'a',
    '9',
    'apiKey',
    'db_password',
    'Production Key',
    'a.b-c_d e',
    'a..b',
    'a--b',
    '-a',
    '.a_',
    'a  b',
    'a/b@c: "d"',
    'é',
    'Ключ от базы',
    '本番キー',
    'מפתח',
    '🔑',
    'x'.repeat(255),
    '🔑'.repeat(255),
  ])('%s passes', (name) => {
    expect(brokenRules((v) => checkName(v, 'name', name))).toEqual([]);
  });

  test.each([
    '',
    ' a',
    'a ',
    'a\tb',
    'a\n',
    'a\0',
    'a\u0085b',
    'a\u2028b',
    'a\u00a0b',
    '\u3000a',
    'a\u200bb',
    'a\u200db',
    'a\u00adb',
    'a\u202eb',
    'a\u2066b',
    'a\u061cb',
    'a\ufeff',
    'a\u3164b',
    'a\ufe0f',
    'a\u{e0061}',
    'a\ue000',
    'a\u0378',
    'a\ud800',
    'e\u0301',
    '\u212b',
    'x'.repeat(256),
    '🔑'.repeat(256),
  ])('%j is refused', (name) => {
    expect(brokenRules((v) => checkName(v, 'name', name))).toHaveLength(1);
  });

  test('a long text is checked in no time, whatever it holds', () => {
    const piece = fc.constantFrom('a', ' ', '.', '_', '-', '!');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (parts) => {
        brokenRules((v) => checkName(v, 'name', `a${parts.join('').repeat(40)}!`));
      }),
    );
  });
});

describe('texts', () => {
  test('length is counted in characters, as the database does', () => {
    expect(brokenRules((v) => checkText(v, 'text', '🔑'.repeat(3), 3))).toEqual([]);
    expect(brokenRules((v) => checkText(v, 'text', '🔑'.repeat(4), 3))).toEqual([
      'text must be at most 3 characters long',
    ]);
  });

  test.each(['a\0b', '\ud800', 'a\udc00b'])('%j is refused: the database cannot keep it', (text) => {
    expect(brokenRules((v) => checkText(v, 'text', text, 10))).toEqual([
      'text must not contain NUL or unpaired surrogates',
    ]);
  });

  test('no other character is refused', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        if (!text.includes('\0')) expect(brokenRules((v) => checkText(v, 'text', text, 1000))).toEqual([]);
      }),
    );
  });
});

describe('common fields', () => {
  const tooMany = Array.from({ length: 65 }, (_, index) => `t${index}`);

  test.each<[Partial<Description>, string[]]>([
    [{}, []],
    [
      {
        description: 'x'.repeat(10_000),
        version: '1.2.3-rc.1',
        tags: ['b', 'a'],
        manifestPath: 'x'.repeat(1024),
      },
      [],
    ],
    [{ annotations: new Map([['k'.repeat(253), 'v'.repeat(4096)]]) }, []],
    [{ annotations: new Map([['k', '']]) }, []],
    [{ description: 'x'.repeat(10_001) }, ['p.description must be at most 10000 characters long']],
    [{ manifestPath: 'x'.repeat(1025) }, ['p.manifest_path must be at most 1024 characters long']],
    [{ version: '' }, ['p.version must be a semantic version of at most 255 characters']],
    [{ version: '1.2' }, ['p.version must be a semantic version of at most 255 characters']],
    [
      { version: `1.0.0-${'a'.repeat(250)}` },
      ['p.version must be a semantic version of at most 255 characters'],
    ],
    [{ tags: ['a', 'a'] }, ['p.tags must not contain duplicates']],
    [{ tags: ['a', ''] }, ['p.tags[1] must not be empty']],
    [{ tags: ['x'.repeat(101)] }, ['p.tags[0] must be at most 100 characters long']],
    [{ tags: tooMany }, ['p.tags must be at most 64']],
    [{ annotations: new Map(tooMany.map((key) => [key, ''])) }, ['p.annotations must be at most 64']],
    [
      {
        annotations: new Map([
          ['', 'x'.repeat(4097)],
          ['k'.repeat(254), 'v'],
        ]),
      },
      [
        'p.annotations[0].key must not be empty',
        'p.annotations[0].value must be at most 4096 characters long',
        'p.annotations[1].key must be at most 253 characters long',
      ],
    ],
  ])('%#', (fields, expected) => {
    expect(brokenRules((v) => checkFields(v, 'p.', DESCRIPTION_FIELDS, fields, 0n))).toEqual(expected);
  });
});
