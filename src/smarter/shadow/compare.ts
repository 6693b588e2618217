import { formatPgTimestamp, millisFromInstant, type Instant } from '../../lib/instant.js';
import { judge, VerdictRecord, type VerdictFacts, type VerdictReason } from '../../token/verdict.js';
import { djangoVerdict, failureOf, type DjangoFacts, type DjangoReason } from './django-verdict.js';

/** Pair is what the two sides know of one digest. */
export interface Pair {
  readonly django: DjangoFacts | undefined;
  readonly keyward: VerdictFacts | undefined;
}

/** Cause is a fact that differs between the sides, as text: it never holds a digest or a part of a token. */
export interface Cause {
  readonly fact:
    'presence' | 'expiry' | 'owner' | 'owner activity' | 'switch' | 'account activity' | 'failure';
  readonly django: string;
  readonly keyward: string;
}

/** Comparison is the two verdicts on one digest. */
export interface Comparison {
  readonly django: DjangoReason;
  readonly keyward: VerdictReason;
  /** `fails`: the platform ends with an error, so that there is no verdict to compare with. */
  readonly outcome: 'same' | 'differs' | 'fails';
  /** The facts that differ; empty where the verdicts are the same. */
  readonly causes: readonly Cause[];
}

/**
 * compare judges by both sides' facts at one moment. Verdicts are the same if both let the same user in, or if both
 * refuse: for the same reason where both have the key.
 */
export function compare({ django, keyward }: Pair, now: Instant, text?: string): Comparison {
  const there = djangoVerdict(django, now, text);
  const here = keywardVerdict(keyward, now);
  const verdicts = { django: there, keyward: here };
  if (there === 'FAILS') return { ...verdicts, outcome: 'fails', causes: causesOf(django, keyward, there) };
  const isSame =
    there === here
      ? here !== 'OK' || isSameUser(django, keyward)
      : neither(there, here) && isOneUnknown(there, here);
  if (isSame) return { ...verdicts, outcome: 'same', causes: [] };
  return { ...verdicts, outcome: 'differs', causes: causesOf(django, keyward, there) };
}

function keywardVerdict(facts: VerdictFacts | undefined, now: Instant): VerdictReason {
  if (facts === undefined) return 'UNKNOWN';
  const record = new VerdictRecord(facts, { ...facts.owner, current: true }, 0, '');
  return judge(record, [], millisFromInstant(now));
}

function isSameUser(django: DjangoFacts | undefined, keyward: VerdictFacts | undefined): boolean {
  return django?.user.username === keyward?.owner.username;
}

function neither(...reasons: readonly string[]): boolean {
  return !reasons.includes('OK');
}

function isOneUnknown(...reasons: readonly string[]): boolean {
  return reasons.includes('UNKNOWN');
}

function causesOf(
  django: DjangoFacts | undefined,
  keyward: VerdictFacts | undefined,
  verdict: DjangoReason,
): Cause[] {
  if (django === undefined || keyward === undefined || verdict === 'UNKNOWN') {
    const presence = (is: boolean) => (is ? 'has it' : 'does not have it');
    const has = django !== undefined && verdict !== 'UNKNOWN';
    return [{ fact: 'presence', django: presence(has), keyward: presence(keyward !== undefined) }];
  }
  const { smarter, user } = django;
  const { owner } = keyward;
  const facts: Cause[] = [
    { fact: 'expiry', django: timeText(django.expiresAt), keyward: timeText(keyward.expiresAt) },
    { fact: 'owner', django: user.username, keyward: owner.username },
    { fact: 'owner activity', django: onOff(user.isActive), keyward: onOff(owner.userIsActive) },
    { fact: 'switch', django: onOff(smarter?.isActive ?? true), keyward: onOff(keyward.isActive) },
    { fact: 'account activity', django: 'not looked at', keyward: onOff(owner.accountIsActive) },
    { fact: 'failure', django: verdict === 'FAILS' ? failureOf(django) : '', keyward: '' },
  ];
  return facts.filter((cause) =>
    cause.fact === 'account activity' ? !owner.accountIsActive : cause.django !== cause.keyward,
  );
}

function timeText(time: Instant | null): string {
  return time === null ? 'never' : formatPgTimestamp(time);
}

function onOff(is: boolean): string {
  return is ? 'on' : 'off';
}
