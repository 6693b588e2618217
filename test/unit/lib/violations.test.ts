import { expect, test } from 'vitest';
import { KeywardError } from '../../../src/lib/errors.js';
import { checked, Violations } from '../../../src/lib/violations.js';

test('a client learns of all violations at once, in their order', () => {
  const v = new Violations();
  v.add('name', 'is required');
  v.check(true, 'version', 'must be a semantic version');
  v.check(false, 'tags[3]', 'must not be empty');
  expect(v.any).toBe(true);
  expect(() => v.throwIfAny()).toThrow(
    new KeywardError('INVALID_FIELDS', 'Invalid request: name is required; tags[3] must not be empty.', {
      violations: [
        { field: 'name', rule: 'is required' },
        { field: 'tags[3]', rule: 'must not be empty' },
      ],
    }),
  );
});

test('a request without violations is read', () => {
  expect(checked((v) => v.any)).toBe(false);
});

test('a request with a violation is not handed on', () => {
  expect(() => checked((v) => v.add('name', 'is required'))).toThrow(KeywardError);
});
