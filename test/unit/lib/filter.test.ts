import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseFilter, type Comparison, type FieldType } from '../../../src/lib/filter.js';
import { KeywardError, type FieldViolation } from '../../../src/lib/errors.js';
import { Violations } from '../../../src/lib/violations.js';
import { anyText } from '../../support/arbitrary.js';

const FIELDS: Readonly<Record<string, { readonly type: FieldType }>> = {
  name: { type: 'text' },
  is_active: { type: 'boolean' },
  user_profile_id: { type: 'integer' },
  created_at: { type: 'time' },
  key_id: { type: 'uuid' },
  tag: { type: 'tag' },
  annotation: { type: 'annotation' },
};
const UUID = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';

function read(filter: string): { comparisons: Comparison[]; violations: readonly FieldViolation[] } {
  const v = new Violations();
  const comparisons = parseFilter(v, filter, FIELDS);
  try {
    v.throwIfAny();
    return { comparisons, violations: [] };
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    return { comparisons, violations: error.violations };
  }
}

describe('what can be read', () => {
  test.each<[string, Comparison[]]>([
    ['', []],
    ['  \t\n', []],
    ['name=a', [{ field: 'name', operator: '=', value: 'a' }]],
    ['  name   =   a  ', [{ field: 'name', operator: '=', value: 'a' }]],
    ['name != "a b"', [{ field: 'name', operator: '!=', value: 'a b' }]],
    ['name : "say \\"hi\\" \\\\ AND x"', [{ field: 'name', operator: ':', value: 'say "hi" \\ AND x' }]],
    ['name = ""', [{ field: 'name', operator: '=', value: '' }]],
    ['name = null', [{ field: 'name', operator: '=', value: null }]],
    ['name = "null"', [{ field: 'name', operator: '=', value: 'null' }]],
    ['name = ANDroid', [{ field: 'name', operator: '=', value: 'ANDroid' }]],
    ['is_active = true', [{ field: 'is_active', operator: '=', value: 'true' }]],
    ['is_active != "false"', [{ field: 'is_active', operator: '!=', value: 'false' }]],
    ['user_profile_id >= -12', [{ field: 'user_profile_id', operator: '>=', value: '-12' }]],
    [
      'created_at < "2026-01-31T00:00:00.5+02:00"',
      [{ field: 'created_at', operator: '<', value: '2026-01-31T00:00:00.5+02:00' }],
    ],
    ['created_at != null', [{ field: 'created_at', operator: '!=', value: null }]],
    [`key_id = ${UUID}`, [{ field: 'key_id', operator: '=', value: UUID }]],
    ['tag : billing', [{ field: 'tag', operator: ':', value: 'billing' }]],
    ['annotation.team = a', [{ field: 'annotation', key: 'team', operator: '=', value: 'a' }]],
    [
      'annotation.smarter.sh/a-b:"x y" AND annotation."say \\"hi\\"" != null',
      [
        { field: 'annotation', key: 'smarter.sh/a-b', operator: ':', value: 'x y' },
        { field: 'annotation', key: 'say "hi"', operator: '!=', value: null },
      ],
    ],
    [
      'name>a AND\tname<=b AND tag=x',
      [
        { field: 'name', operator: '>', value: 'a' },
        { field: 'name', operator: '<=', value: 'b' },
        { field: 'tag', operator: '=', value: 'x' },
      ],
    ],
  ])('%s', (filter, comparisons) => {
    expect(read(filter)).toEqual({ comparisons, violations: [] });
  });

  test('20 comparisons, and 2000 characters', () => {
    expect(read(Array(20).fill('name=a').join(' AND ')).comparisons).toHaveLength(20);
    expect(read(`name="${'🔑'.repeat(1993)}"`).violations).toEqual([]);
  });
});

describe('what cannot be read is a violation of `filter` that says where or why', () => {
  test.each([
    ['name', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ['name =', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ['Name = a', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ['name = "a', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ['name = "a\\n"', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ['name = a OR name = b', 'cannot be read from character 10 on: expected AND'],
    ['name = a and name = b', 'cannot be read from character 10 on: expected AND'],
    ['name = a AND', 'cannot be read from character 10 on: expected AND'],
    ['name = a AND ', 'must not end with AND'],
    ['name = a AND AND name = b', 'cannot be read from character 14 on: expected <field> <operator> <value>'],
    ['(name = a)', 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    ["name = 'a'", 'cannot be read from character 1 on: expected <field> <operator> <value>'],
    [
      'digest = a',
      'must only name the fields name, is_active, user_profile_id, created_at, key_id, tag, annotation',
    ],
    [
      'constructor = a',
      'must only name the fields name, is_active, user_profile_id, created_at, key_id, tag, annotation',
    ],
    ['name < null', 'must compare name with null by = or != only'],
    ['is_active > true', 'must compare is_active by one of = !='],
    ['created_at : x', 'must compare created_at by one of = != < <= > >='],
    ['annotation.a > x', 'must compare annotation by one of = != :'],
    ['annotation = x', 'must name an annotation as annotation.<key>, and nothing else so'],
    ['name.a = x', 'must name an annotation as annotation.<key>, and nothing else so'],
    ['annotation."\ud800" = x', 'must not contain unpaired surrogates'],
    ['tag < x', 'must compare tag by one of = != :'],
    ['is_active = 1', 'must compare is_active with true or false'],
    ['user_profile_id = 1.5', 'must compare user_profile_id with a whole number'],
    ['user_profile_id = 1234567890123456789', 'must compare user_profile_id with a whole number'],
    ['created_at > 2026-01-31', 'must compare created_at with a time such as "2026-01-31T00:00:00Z"'],
    [
      'created_at > "2026-13-31T00:00:00Z"',
      'must compare created_at with a time such as "2026-01-31T00:00:00Z"',
    ],
    ['created_at > "now"', 'must compare created_at with a time such as "2026-01-31T00:00:00Z"'],
    ['key_id = abc', 'must compare key_id with a UUID'],
    ['name = "\ud800"', 'must not contain unpaired surrogates'],
    ['name = "\0"', 'must be at most 2000 characters long, without NUL'],
    [`name = "${'a'.repeat(1993)}"`, 'must be at most 2000 characters long, without NUL'],
    [Array(21).fill('name=a').join(' AND '), 'must be at most 20 comparisons'],
  ])('%j', (filter, rule) => {
    expect(read(filter).violations).toEqual([{ field: 'filter', rule }]);
  });

  test('all that is wrong is told at once', () => {
    expect(read('digest = a AND is_active = 1 AND name = b').violations).toHaveLength(2);
  });
});

test('no text makes it throw, and only allowed comparisons come out', () => {
  const piece = fc.constantFrom(
    ...Object.keys(FIELDS),
    '=',
    '!=',
    '<',
    ':',
    '"',
    '\\',
    ' AND ',
    'null',
    'a',
    UUID,
    '\0',
    '🔑',
  );
  const pieces = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.oneof(anyText(), pieces), (filter) => {
      for (const { field, value } of read(filter).comparisons) {
        expect(Object.keys(FIELDS)).toContain(field);
        expect(value ?? '').not.toContain('\0');
      }
    }),
    { numRuns: 1000 },
  );
});

test('every text can be asked for by quoting it', () => {
  const text = anyText().filter((value) => !value.includes('\0'));
  fc.assert(
    fc.property(text, (value) => {
      const quoted = `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
      expect(read(`name = ${quoted}`)).toEqual({
        comparisons: [{ field: 'name', operator: '=', value }],
        violations: [],
      });
    }),
  );
});
