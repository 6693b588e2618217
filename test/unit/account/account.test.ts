import { describe, expect, test } from 'vitest';
import {
  ACCOUNT_FIELDS,
  checkAccountNumber,
  checkUsername,
  newAccountNumber,
  USER_FIELDS,
  USER_PROFILE_FIELDS,
} from '../../../src/account/account.js';
import { checkFields } from '../../../src/lib/fields.js';
import { brokenFields } from '../../support/violations.js';

describe('a username', () => {
  test.each(['a', 'zoë.müller', 'carol@example.com', '_x+y-z', '用户1', 'x'.repeat(150), '𝒳'.repeat(150)])(
    'may be %s',
    (username) => {
      expect(brokenFields((v) => checkUsername(v, 'username', username))).toEqual([]);
    },
  );

  test.each(['', 'a b', 'a/b', 'a\n', '\n', 'a\0', 'e\u0301', 'a\u200b', '\ud800', 'x'.repeat(151)])(
    'may not be %j',
    (username) => {
      expect(brokenFields((v) => checkUsername(v, 'username', username))).toContain('username');
    },
  );
});

describe('an account number', () => {
  test('is three times four ASCII digits, joined by hyphens', () => {
    const broken = (number: string) => brokenFields((v) => checkAccountNumber(v, 'account_number', number));
    expect(broken('0123-4567-8901')).toEqual([]);
    for (const number of ['', '123-4567-8901', '0123-4567-89012', '0123-4567-8901\n', '٠١٢٣-4567-8901']) {
      expect(broken(number)).toEqual(['account_number']);
    }
  });

  test('made at random has the form that is asked for, and is another each time', () => {
    const numbers = Array.from({ length: 200 }, newAccountNumber);
    for (const number of numbers) {
      expect(brokenFields((v) => checkAccountNumber(v, 'account_number', number))).toEqual([]);
    }
    expect(new Set(numbers).size).toBe(200);
  });
});

describe('an e-mail address', () => {
  const broken = (email: string) => brokenFields((v) => checkFields(v, '', USER_FIELDS, { email }, 0n));

  test.each(['', 'a@b', 'zoë@köln.example', `${'x'.repeat(242)}@example.com`])('may be %s', (email) => {
    expect(broken(email)).toEqual([]);
  });

  test.each(['a', '@b', 'a@', 'a@b@c', 'a b@c', 'a@b\n', 'a\u0007@b', `${'x'.repeat(243)}@example.com`])(
    'may not be %j',
    (email) => {
      expect(new Set(broken(email))).toEqual(new Set(['email']));
    },
  );
});

test('every broken setting of an account, a user and a profile is named at once', () => {
  const description = {
    description: 'x'.repeat(10_001),
    version: '1',
    tags: ['a', 'a'],
    annotations: new Map([['', '']]),
    manifestPath: 'x'.repeat(1025),
  };
  const common = ['description', 'version', 'tags', 'annotations[0].key', 'manifest_path'];
  const companyName = 'x'.repeat(256);
  expect(
    brokenFields((v) =>
      checkFields(v, 'account.', ACCOUNT_FIELDS, { name: ' ', companyName, ...description }, 0n),
    ),
  ).toEqual(['name', 'company_name', ...common].map((field) => `account.${field}`));
  expect(
    brokenFields((v) => checkFields(v, '', USER_PROFILE_FIELDS, { name: '', ...description }, 0n)),
  ).toEqual(['name', ...common]);
  const names = { firstName: 'x'.repeat(151), lastName: '\0' };
  expect(brokenFields((v) => checkFields(v, 'user.', USER_FIELDS, { email: '?', ...names }, 0n))).toEqual(
    ['email', 'first_name', 'last_name'].map((field) => `user.${field}`),
  );
});

test('settings that are not given are not checked', () => {
  expect(brokenFields((v) => checkFields(v, '', ACCOUNT_FIELDS, {}, 0n))).toEqual([]);
  expect(brokenFields((v) => checkFields(v, '', USER_FIELDS, {}, 0n))).toEqual([]);
  expect(brokenFields((v) => checkFields(v, '', USER_PROFILE_FIELDS, {}, 0n))).toEqual([]);
});
