import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readManifestText, type ManifestValue } from '../../../src/manifest/manifest-text.js';
import { Violations } from '../../../src/lib/violations.js';
import { SMARTER_VECTORS } from '../../support/smarter-vectors.js';

function read(text: string) {
  const v = new Violations();
  const { documents } = readManifestText(v, text);
  return { documents: documents.map(plain), violations: v.all };
}

/** plain is a value as the vectors write it. */
function plain(value: ManifestValue): unknown {
  if (value instanceof Map) {
    return Object.fromEntries(
      [...(value as ReadonlyMap<string, ManifestValue>)].map(([k, v]) => [k, plain(v)]),
    );
  }
  if (Array.isArray(value)) return (value as readonly ManifestValue[]).map(plain);
  if (typeof value === 'bigint')
    return Number.isSafeInteger(Number(value)) ? Number(value) : { $type: 'int', value: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value))
    return { $type: 'float', value: Number.isNaN(value) ? 'nan' : 'inf' };
  // JSON has one zero.
  return value === 0 ? 0 : value;
}

/** What YAML 1.2 reads otherwise than YAML 1.1, which the platform reads, or Keyward does not take; undefined: it is refused. */
const OTHERWISE: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  // Nothing is no document.
  ...['', '   ', 'null', '[]', '# only a comment\n'].map((text) => [text, undefined] as const),
  // A list is one document for each of its items.
  ['[1, 2]', [1, 2]],
  ['- 1\n- two\n- three: 3\n', [1, 'two', { three: 3 }]],
  // Keys are unique.
  ['{"a": 1, "a": 2}', undefined],
  ['a: 1\na: 2\n', undefined],
  // Several documents are several documents.
  ['---\na: 1\n---\nb: 2\n', [{ a: 1 }, { b: 2 }]],
  // Tags make no objects.
  ['!!binary aGVsbG8=', undefined],
  ['x: !!set {a, b}\n', undefined],
  // No number is hidden in a text, and no text in a number.
  ['{"x": NaN, "y": Infinity}', [{ x: 'NaN', y: 'Infinity' }]],
  [
    'a: yes\nb: no\nc: on\nd: off\ne: ~\nf: null\ng: True\n',
    [{ a: 'yes', b: 'no', c: 'on', d: 'off', e: null, f: null, g: true }],
  ],
  [
    'a: 010\nb: 0o10\nc: 0x1F\nd: 0b11\ne: 1_000\nf: 1:30\ng: 1e3\nh: 1.0e+3\ni: .5\nj: .inf\nk: .nan\n',
    [
      {
        ...{ a: 10, b: 8, c: 31, d: '0b11', e: '1_000', f: '1:30', g: 1000, h: 1000, i: 0.5 },
        ...{ j: { $type: 'float', value: 'inf' }, k: { $type: 'float', value: 'nan' } },
      },
    ],
  ],
  [
    'd: 2024-02-29\nt: 2024-02-29T12:34:56Z\nt2: 2024-02-29 12:34:56.789 +02:00\n',
    [{ d: '2024-02-29', t: '2024-02-29T12:34:56Z', t2: '2024-02-29 12:34:56.789 +02:00' }],
  ],
  [
    '1: one\n2: two\ntrue: yes\nnull: x\n1.5: y\n',
    [{ '1': 'one', '2': 'two', true: 'yes', null: 'x', '1.5': 'y' }],
  ],
  [
    'account_number: 1234-5678-9012\nzip: 02108\nphone: 0123456789\n',
    [{ account_number: '1234-5678-9012', zip: 2108, phone: 123456789 }],
  ],
  ['a: 190:20:30\nb: 12e03\nc: 0.1\nd: +1\ne: -0\n', [{ a: '190:20:30', b: 12000, c: 0.1, d: 1, e: 0 }]],
  [
    'time: 12:30:45\nversion: 1.10\nversion2: 1.10.0\n',
    [{ time: '12:30:45', version: 1.1, version2: '1.10.0' }],
  ],
]);

describe('of the texts that the platform was given', () => {
  const texts = SMARTER_VECTORS.data_to_dict.flatMap((vector) =>
    typeof vector.input === 'string' ? [{ ...vector, input: vector.input }] : [],
  );
  const refused = texts.filter(({ input, error }) => error !== undefined && !OTHERWISE.has(input));
  const taken = texts.filter(({ input, error }) => error === undefined && !OTHERWISE.has(input));

  test.each(refused)('$input is refused as it was there, with line and column', ({ input }) => {
    const { documents, violations } = read(input);
    expect(violations.map(({ rule }) => rule)).toEqual(
      violations.map(() => expect.stringMatching(/\(line \d+, column \d+\)$/) as string),
    );
    expect({ documents: documents.length, found: violations.length > 0 }).toMatchObject({ found: true });
  });

  test.each(taken)('$input is read as it was there', ({ input, output }) => {
    // A time is a text, which the field that wants a time reads.
    const expected = JSON.parse(
      JSON.stringify(output, (_, value: unknown) => timeOf(value) ?? value),
    ) as unknown;
    expect(read(input)).toEqual({ documents: [expected], violations: [] });
  });

  test.each([...OTHERWISE])('%j is read otherwise, as YAML 1.2 has it, or refused', (input, output) => {
    expect(texts.map((vector) => vector.input)).toContain(input);
    const { documents, violations } = read(input);
    if (output === undefined) expect(violations).not.toEqual([]);
    else expect({ documents, violations }).toEqual({ documents: output, violations: [] });
  });
});

function timeOf(value: unknown): string | undefined {
  const time = value as { $type?: unknown; value?: unknown } | null;
  return time?.$type === 'datetime' ? String(time.value).replace('+00:00', 'Z') : undefined;
}

describe('a bad text is refused with its place', () => {
  test.each([
    ['a: 1\nb: [1, 2\nc: 3\n', 'document[0]', 'is not indented, or not closed, as it must be', 3, 1],
    ['a: 1\nb: 2\na: 3\n', 'document[0].a', 'is given twice', 3, 1],
    ['ok: 1\n---\na:\n\t- b\n', 'document[1]', 'is indented by a tab', 4, 1],
    ['a: *b\n', 'document[0].a', 'has an alias without an anchor before it', 1, 4],
    ['a: &a [*a]\n', 'manifest', 'must be at most 32 levels deep', 1, 8],
    ['a: !!js/function x\n', 'document[0]', 'has a tag that is not allowed', 1, 4],
    ['a: "\\q"\n', 'document[0]', 'has an escape that is none', 1, 5],
    ['a: x\u0007\n', 'manifest', 'must not hold control characters', 1, 5],
  ])('%j', (text, field, rule, line, column) => {
    expect(read(text).violations[0]).toEqual({ field, rule: `${rule} (line ${line}, column ${column})` });
  });
});

const MIB = 1 << 20;
/** Texts that take a parser without limits seconds, its stack, or all memory. */
const HOSTILE: Readonly<Record<string, string>> = {
  '1 MiB of [': '['.repeat(MIB),
  '1 MiB of {': '{'.repeat(MIB),
  '512 KiB of [': '['.repeat(MIB / 2),
  'nested sequences': '- '.repeat(MIB / 4),
  'nested keys': '? '.repeat(MIB / 4),
  'nested maps': Array.from({ length: 900 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'),
  'nested JSON': `${'{"a":'.repeat(90_000)}1${'}'.repeat(50_000)}`,
  'a billion laughs': [
    'a: &a [x, x, x, x, x, x, x, x, x]',
    ...Array.from(
      'bcdefghi',
      (name, index) => `${name}: &${name} [${`*${'abcdefghi'[index] ?? ''}, `.repeat(9)}]`,
    ),
  ].join('\n'),
  'a billion merges': [
    'a: &a {x: 1}',
    ...Array.from(
      'bcdefghi',
      (name, index) =>
        `${name}: &${name} {${`<<: *${'abcdefghi'[index] ?? ''}, `.repeat(1)}y: [${`*${'abcdefghi'[index] ?? ''}, `.repeat(9)}]}`,
    ),
  ].join('\n'),
  'an alias of itself': 'a: &a\n  b: *a\n',
  'many keys': Array.from({ length: 30_000 }, (_, index) => `k${index}: 1`).join('\n'),
  'one key, again and again': 'a: 1\n'.repeat(100_000),
  'many documents': '---\na: 1\n'.repeat(50_000),
  'empty documents': '---\n'.repeat(120_000),
  'many anchors': '- &a x\n'.repeat(70_000),
  comments: '#\n'.repeat(250_000),
  'line breaks': '\n'.repeat(MIB / 2),
  spaces: ' '.repeat(MIB / 2),
  tabs: '\t'.repeat(MIB / 2),
  commas: `[${','.repeat(MIB / 2 - 2)}]`,
  'an open quote': `"${'a\n'.repeat(MIB / 4 - 1)}`,
  'an open quote of escapes': `"${'\\'.repeat(MIB / 2 - 1)}`,
  'a long plain text': `a: b\n${'  c  \n'.repeat(MIB / 12 - 1)}`,
  'a long plain text of spaces': `a: b${' '.repeat(MIB / 2 - 6)}c`,
  'a long block': `a: |\n${'\n'.repeat(MIB / 2 - 5)}`,
  'a folded block': `a: >\n${' x\n\n'.repeat(MIB / 8 - 2)}`,
  directives: '%a\n'.repeat(MIB / 6),
  tags: '!a '.repeat(MIB / 6),
};

/** Large, and nothing else. */
const HARMLESS = new Set(['a long plain text of spaces']);

function cpuMsOf(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('a hostile text keeps nobody waiting, and does not end the process', () => {
  test.each(Object.keys(HOSTILE))('%s', (name) => {
    const text = HOSTILE[name] ?? '';
    const { documents, violations } = read(text);
    const found = JSON.stringify(documents).length;
    expect(found).toBeLessThan(2 * MIB);
    if (!HARMLESS.has(name)) expect(violations).not.toEqual([]);
    // Of its processor, since others may work on it at the same time.
    expect(Math.min(...[1, 2, 3].map(() => cpuMsOf(() => read(text))))).toBeLessThan(100);
  });

  test('whatever the text, each violation is told with a place or is about the text as a whole', () => {
    const pieces = fc.constantFrom(
      ...[
        'a',
        ': ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        ',',
        '"',
        "'",
        '|',
        '>',
        '&a ',
        '*a',
        '!',
        '!!str ',
        '<<: ',
        '\n',
        '  ',
      ],
      ...[
        '\t',
        '#',
        '%',
        '---\n',
        '...\n',
        '? ',
        'null',
        'true',
        '1',
        '\u0000',
        '\ufeff',
        'é',
        '🔑',
        '\\',
        '`',
        '@',
      ],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
        const { violations } = read(parts.join(''));
        for (const { field, rule } of violations) {
          expect(field).toMatch(/^(manifest|document\[\d+\])/);
          expect(rule).toMatch(/\(line \d+, column \d+\)$|must hold a document|must be at most/);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});
