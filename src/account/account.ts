import { randomInt } from 'node:crypto';
import type { Instant } from '../lib/instant.js';
import { checkDescription, checkName, checkText, type Description } from '../lib/resource-rules.js';
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

export interface User extends UserSettings, Stored {
  readonly username: string;
}

/** The settings of a user profile; the user and the account that it joins are fixed. */
export interface UserProfileSettings extends Description {
  readonly name: string;
}

export interface UserProfile extends UserProfileSettings, Stored {
  readonly userId: bigint;
  readonly username: string;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

/** The changes hold the settings to change, and no others. */
export type AccountChange = Partial<AccountSettings>;
export type UserChange = Partial<UserSettings>;
export type UserProfileChange = Partial<UserProfileSettings>;

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

/** checkAccount checks those settings of an account that are given. */
export function checkAccount(v: Violations, prefix: string, settings: AccountChange): void {
  if (settings.name !== undefined) checkName(v, `${prefix}name`, settings.name);
  if (settings.companyName !== undefined) checkText(v, `${prefix}company_name`, settings.companyName, 255);
  checkDescription(v, prefix, settings);
}

/** checkUser checks those settings of a user that are given. */
export function checkUser(v: Violations, prefix: string, settings: UserChange): void {
  const { email, firstName, lastName } = settings;
  if (email !== undefined) {
    checkText(v, `${prefix}email`, email, 254);
    v.check(email === '' || EMAIL.test(email), `${prefix}email`, 'must be an e-mail address or empty');
  }
  if (firstName !== undefined) checkText(v, `${prefix}first_name`, firstName, 150);
  if (lastName !== undefined) checkText(v, `${prefix}last_name`, lastName, 150);
}

/** checkUserProfile checks those settings of a user profile that are given. */
export function checkUserProfile(v: Violations, prefix: string, settings: UserProfileChange): void {
  if (settings.name !== undefined) checkName(v, `${prefix}name`, settings.name);
  checkDescription(v, prefix, settings);
}
