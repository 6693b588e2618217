import type { Instant } from '../../lib/instant.js';

/** DjangoFacts is what the platform's tables say of one digest: its knox row, and the Smarter row that belongs to it. */
export interface DjangoFacts {
  /** Hexadecimal, as stored. */
  readonly digest: string;
  readonly tokenKey: string;
  readonly expiresAt: Instant | null;
  readonly user: { readonly username: string; readonly isActive: boolean; readonly isStaff: boolean };
  /** null where there is none: then it is no API key. */
  readonly smarter: { readonly keyId: string; readonly name: string; readonly isActive: boolean } | null;
  /** How many API keys the platform finds by this token key, which it takes for unique. */
  readonly namesakes: number;
}

/** DjangoReason is what the platform says; FAILS where it neither accepts nor refuses, but ends with an error. */
export type DjangoReason = 'OK' | 'UNKNOWN' | 'EXPIRED' | 'OWNER_INACTIVE' | 'INACTIVE' | Failure;
type Failure = 'FAILS';

/** The characters of a token that knox looks it up by. */
const TOKEN_KEY_LENGTH = 15;

/**
 * djangoVerdict judges as django-rest-knox and Smarter's subclass of it do, in their order. It reads nothing but the
 * platform's own facts, and shares no rule with Keyward's judge: it is there to be compared with that.
 *
 * @param text what was presented, where it is known: knox finds a row by its first characters and then compares digests
 */
export function djangoVerdict(facts: DjangoFacts | undefined, now: Instant, text?: string): DjangoReason {
  if (facts === undefined) return 'UNKNOWN';
  if (text !== undefined && facts.tokenKey !== tokenKeyOf(text)) return 'UNKNOWN';
  if (facts.expiresAt !== null && facts.expiresAt < now) return 'EXPIRED';
  if (!facts.user.isActive) return 'OWNER_INACTIVE';
  if (facts.smarter === null || facts.namesakes > 1) return 'FAILS';
  if (!facts.smarter.isActive) return 'INACTIVE';
  // It saves the row at every use, and saving refuses owners who are not staff.
  return facts.user.isStaff ? 'OK' : 'FAILS';
}

/** tokenKeyOf counts characters as Python does. */
function tokenKeyOf(text: string): string {
  return Array.from(text).slice(0, TOKEN_KEY_LENGTH).join('');
}

/** failureOf tells why the platform fails on a key. */
export function failureOf({ smarter, namesakes }: DjangoFacts): string {
  if (smarter === null) return 'it has no Smarter row';
  return namesakes > 1 ? 'several keys begin with the same characters' : 'its owner is not staff';
}
