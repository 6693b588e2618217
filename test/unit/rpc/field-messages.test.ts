import { describe, expect, test } from 'vitest';
import { anything, type Fields } from '../../../src/lib/fields.js';
import { readChange, readNew } from '../../../src/rpc/field-messages.js';
import { readWith } from '../../support/violations.js';

const TABLE = {
  name: { kind: 'text', check: anything, list: 'no', notInMask: 'it is fixed' },
  manifestPath: { kind: 'text', check: (v, field) => v.add(field, 'was checked'), list: 'no', ifEmpty: '/' },
  tags: { kind: 'texts', check: anything, list: 'no', ifEmpty: ['a'] },
  isActive: { kind: 'boolean', check: anything, list: 'no', ifEmpty: true },
  notes: { kind: 'map', check: anything, list: 'no' },
  expiresAt: { kind: 'expiry', check: anything, list: 'no' },
} as const satisfies Fields;

const at = { seconds: 5n, nanos: 0 };
const NOW = 1_000_000n;

function change(mask: readonly string[] | undefined, resource = {}) {
  return readWith((v) => readChange(v, TABLE, { field: 'thing', resource, mask }, NOW));
}

describe('update masks', () => {
  test('only the fields named are read and checked, as the request names them', () => {
    const resource = { tags: ['b'], isActive: true, expiresAt: at, manifestPath: 'x' };
    expect(change(['tags', 'tags'], resource)).toEqual({ value: { tags: ['b'] }, violations: [] });
    expect(change(['expires_at', 'manifest_path'], resource)).toEqual({
      value: { expiresAt: 5_000_000n, manifestPath: 'x' },
      violations: ['thing.manifest_path was checked'],
    });
  });

  test('what is named and not given is empty', () => {
    expect(change(['manifest_path', 'tags', 'is_active', 'notes', 'expires_at']).value).toEqual({
      manifestPath: '',
      tags: [],
      isActive: false,
      notes: new Map(),
      expiresAt: null,
    });
  });

  test.each([[undefined], [[]]])('a mask that names nothing is refused: %j', (mask) => {
    expect(change(mask).violations).toEqual(['update_mask must name at least one field']);
  });

  test.each(['*', 'name', 'manifestPath', 'thing.tags', 'constructor', '__proto__', ''])(
    'a mask that names %j is refused',
    (path) => {
      const fields = 'manifest_path, tags, is_active, notes, expires_at';
      expect(change(['tags', path, path]).violations).toEqual([
        `update_mask must only name fields of ${fields}`,
      ]);
    },
  );
});

test('a new resource has what the table says where the request gives nothing', () => {
  const empty = {
    name: '',
    manifestPath: '',
    tags: [],
    isActive: undefined,
    notes: new Map(),
    expiry: undefined,
    validateOnly: false,
  };
  expect(readWith((v) => readNew(v, TABLE, empty, NOW))).toEqual({
    value: { name: '', manifestPath: '/', tags: ['a'], isActive: true, notes: new Map(), expiresAt: null },
    violations: ['manifest_path was checked'],
  });
  const ttl = { $case: 'ttl', value: at } as const;
  const given = { ...empty, name: 'n', tags: ['b'], isActive: false, expiry: ttl };
  expect(readWith((v) => readNew(v, TABLE, given, NOW)).value).toEqual({
    name: 'n',
    manifestPath: '/',
    tags: ['b'],
    isActive: false,
    notes: new Map(),
    expiresAt: 6_000_000n,
  });
});
