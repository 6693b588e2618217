import { randomInt } from 'node:crypto';
import { anything, type ChangeOf, type FieldsOf } from '../lib/fields.js';
import type { Instant } from '../lib/instant.js';
import { atMost, checkName, checkText, DESCRIPTION_FIELDS, type Description } from '../lib/resource-rules.js';
import { codePoints, isAccountNumber } from '../lib/text.js';
import type { Violations } from '../lib/violations.js';

/** What the service sets on accounts, users and user profiles. */
interface Stored {
  readonly id: bigint;
  readonly createdAt: Instant | null;
  readonly updatedAt: Instant | null;
  readonly rowVersion: bigint;
}

/** The settings of an account; its number is fixed. */
export interface AccountSettings extends Description {
  readonly name: string;
  readonly companyName: string;
  readonly isActive: boolean;
}

export const ACCOUNT_FIELDS = {
  name: { kind: 'text', check: checkName, list: 'filter and order' },
  companyName: { kind: 'text', check: atMost(255), list: 'filter' },
  ...DESCRIPTION_FIELDS,
  isActive: { kind: 'boolean', check: anything, list: 'filter', ifEmpty: true },
} as const satisfies FieldsOf<AccountSettings>;

export interface Account extends AccountSettings, Stored {
  readonly accountNumber: string;
}

/** The settings of a user; the username is fixed. */
export interface UserSettings {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly isActive: boolean;
  readonly isStaff: boolean;
  readonly isSuperuser: boolean;
}

export const USER_FIELDS = {
  email: { kind: 'text', check: checkEmail, list: 'filter' },
  firstName: { kind: 'text', check: atMost(150), list: 'no' },
  lastName: { kind: 'text', check: atMost(150), list: 'no' },
  isActive: { kind: 'boolean', check: anything, list: 'filter', ifEmpty: true },
  isStaff: { kind: 'boolean', check: anything, list: 'filter' },
  isSuperuser: { kind: 'boolean', check: anything, list: 'filter' },
} as const satisfies FieldsOf<UserSettings>;

export interface User extends UserSettings, Stored {
  readonly username: string;
}

/** The settings of a user profile; the user and the account that it joins are fixed. */
export interface UserProfileSettings extends Description {
  readonly name: string;
}

export const USER_PROFILE_FIELDS = {
  name: { kind: 'text', check: checkName, list: 'filter and order' },
  ...DESCRIPTION_FIELDS,
} as const satisfies FieldsOf<UserProfileSettings>;

/** NewUserProfile are the settings of a profile that is made; without a name, it gets that of its user. */
export type NewUserProfile = Omit<UserProfileSettings, 'name'> & Partial<Pick<UserProfileSettings, 'name'>>;

export interface UserProfile extends UserProfileSettings, Stored {
  readonly userId: bigint;
  readonly username: string;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

/** The changes hold the settings to change, and no others. */
export type AccountChange = ChangeOf<typeof ACCOUNT_FIELDS>;
export type UserChange = ChangeOf<typeof USER_FIELDS>;
export type UserProfileChange = ChangeOf<typeof USER_PROFILE_FIELDS>;

/** Django's UnicodeUsernameValidator: what Python's `\w` matches, and `@`, `.`, `+`, `-`. */
const USERNAME = /^[\p{L}\p{N}_@.+-]+$/u;
const EMAIL = /^[^\s\p{Cc}@]+@[^\s\p{Cc}@]+$/u;

/** newAccountNumber makes an account number at random, as `dddd-dddd-dddd`. */
export function newAccountNumber(): string {
  const digits = String(randomInt(10 ** 12)).padStart(12, '0');
  return `${digits.slice(0, 4)}-${digits.slice(4, 8)}-${digits.slice(8)}`;
}

/** checkAccountNumber checks the number of a new account. */
export function checkAccountNumber(v: Violations, field: string, accountNumber: string): void {
  v.check(isAccountNumber(accountNumber), field, 'must be four digits, three times, joined by hyphens');
}

/** checkUsername checks the username of a new user. */
export function checkUsername(v: Violations, field: string, username: string): void {
  if (username === '') return v.add(field, 'is required');
  v.check(codePoints(username) <= 150, field, 'must be at most 150 characters long');
  v.check(USERNAME.test(username), field, 'must consist of letters, digits, "@", ".", "+", "-" and "_"');
}

function checkEmail(v: Violations, field: string, email: string): void {
  checkText(v, field, email, 254);
  v.check(email === '' || EMAIL.test(email), field, 'must be an e-mail address or empty');
}
