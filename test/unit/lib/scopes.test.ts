import fc from 'fast-check';
import { expect, test } from 'vitest';
import { areScopes, checkScopes, covers, firstNotCovered } from '../../../src/lib/scopes.js';
import { checked } from '../../../src/lib/violations.js';

const scope = fc.stringMatching(/^[a-z0-9_.:/*-]{1,20}$/);

test.each([
  [['*'], 'anything.at:all/*', true],
  [['*'], '*', true],
  [[], 'a', false],
  [['a'], 'a', true],
  [['a'], 'a.b', false],
  [['a'], '*', false],
  [['a.*'], 'a.b', true],
  [['a.*'], 'a.b.c', true],
  [['a.*'], 'a.*', true],
  [['a.*'], 'a', false],
  [['a.*'], 'ab', false],
  [['a.*'], 'a:b', false],
  [['a:*'], 'a:b', true],
  [['a/*'], 'a/b/c', true],
  [['a*'], 'ab', false],
  [['a*'], 'a*', true],
  [['a-*'], 'a-b', false],
  [['*.b'], 'a.b', false],
  [['a.*.c'], 'a.b.c', false],
  [['a.b'], 'a.*', false],
  [['.*'], '.a', true],
  [['x', 'a.*'], 'a.b', true],
])('%j covers %s: %s', (granted, wanted, answer) => {
  expect(covers(granted, wanted)).toBe(answer);
});

test('what is granted covers itself, and more grants never cover less', () => {
  fc.assert(
    fc.property(fc.array(scope), fc.array(scope), scope, (granted, more, wanted) => {
      expect(covers([...granted, wanted], wanted)).toBe(true);
      if (covers(granted, wanted)) expect(covers([...more, ...granted], wanted)).toBe(true);
    }),
  );
});

test('whoever covers a scope covers all that this scope covers', () => {
  const related = fc.constantFrom(
    '*',
    'a',
    'a.*',
    'a.b',
    'a.b.*',
    'a.b.c',
    'a.b:*',
    'a.b:c',
    'a*',
    '.*',
    '*.*',
  );
  fc.assert(
    fc.property(related, related, related, (a, b, c) => {
      if (covers([a], b) && covers([b], c)) expect(covers([a], c)).toBe(true);
    }),
    { numRuns: 1500 },
  );
});

test('the first scope that is not covered is named', () => {
  expect(firstNotCovered(['a.*'], ['a.b', 'c', 'd'])).toBe('c');
  expect(firstNotCovered(['a.*'], ['a.b'])).toBeUndefined();
  expect(firstNotCovered([], [])).toBeUndefined();
});

test.each([
  [Array(64).fill('a'), true],
  [Array(65).fill('a'), false],
  [['a'.repeat(128)], true],
  [['a'.repeat(129)], false],
  [[''], false],
  [['A'], false],
  [['a b'], false],
  [['a\n'], false],
  [['é'], false],
])('required scopes %# are well formed: %s', (scopes: string[], answer) => {
  expect(areScopes(scopes)).toBe(answer);
});

test('scopes to store must be well formed, few and different', () => {
  expect(() => checked((v) => checkScopes(v, 'scopes', ['*', 'a.b:c/d_e-1']))).not.toThrow();
  expect(() => checked((v) => checkScopes(v, 'scopes', ['a', 'B', 'a']))).toThrow(
    'Invalid request: scopes must not contain duplicates; scopes[1] must be 1 to 128 characters of [a-z0-9_.:/*-].',
  );
  expect(() =>
    checked((v) =>
      checkScopes(
        v,
        's',
        Array.from({ length: 65 }, (_, i) => `a${i}`),
      ),
    ),
  ).toThrow('s must be at most 64');
});
