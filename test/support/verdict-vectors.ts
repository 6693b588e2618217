import { HoldFact } from '../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import { HoldFact as SentFact, HoldVerdictsResponse } from '../../src/gen/keyward/token/v1/hold_verdicts.js';
import { factsMessages } from '../../src/holders/hold-messages.js';
import { instantFromMillis } from '../../src/lib/instant.js';
import { encodeValid } from '../../src/token/validate-codec.js';
import { judge, VerdictRecord, type VerdictFacts, type VerdictReason } from '../../src/token/verdict.js';
import { ANY_OWNER } from './verdict-facts.js';

/**
 * The vectors that the memory of every client is held against, in any language. What is expected is what the service's own rules
 * give, and the facts are as the service encodes them.
 */

const NOW = Date.UTC(2026, 0, 31);
const FACTS: VerdictFacts = {
  digest: '',
  tokenId: 1n,
  keyId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  name: 'key',
  isActive: true,
  expiresAt: null,
  createdAt: 0n,
  scopes: ['*'],
  owner: ANY_OWNER,
};
const HANDLE = 0xfedcba9876543210n;

/** Elapsed is the time since before the look-up was sent, in microseconds by each clock. */
interface Elapsed {
  readonly monotonic: number;
  readonly wall: number;
}

/** VerdictVector is one text that is looked up, and asked for again. */
export interface VerdictVector {
  readonly name: string;
  /** The keyward.token.v1.HoldFact that answers the look-up, in base64. */
  readonly fact: string;
  /** The scopes that are required. */
  readonly scopes: readonly string[];
  /** When the fact comes, and the reason of the verdict that it gives to who has asked. */
  readonly comes: Elapsed;
  readonly answers: VerdictReason;
  /**
   * When the text is asked for again, under a lease that was just granted, and the reason of the verdict from memory; null where
   * memory may not tell, so that a replica must be asked.
   */
  readonly again: Elapsed;
  readonly holds: VerdictReason | null;
}

interface Case {
  readonly facts?: Partial<VerdictFacts>;
  readonly owner?: Partial<VerdictFacts['owner']>;
  readonly scopes?: readonly string[];
  readonly comes?: Elapsed;
  readonly again?: Elapsed;
  /** What is said besides, as bytes that follow. */
  readonly besides?: readonly number[];
  readonly isUnknown?: boolean;
  readonly isStale?: boolean;
  readonly isNotKept?: boolean;
}

/** verdictVectors gives the content of test/vectors/verdicts.json, one vector a line. */
export function verdictVectors(): string {
  const lines = Object.entries(cases()).map(([name, each]) => JSON.stringify(vectorOf(name, each)));
  return `[\n${lines.join(',\n')}\n]\n`;
}

function vectorOf(name: string, each: Case): VerdictVector {
  const { scopes = [], comes = both(0), again = comes, isNotKept = false, isStale = false } = each;
  const facts = { ...FACTS, ...each.facts, owner: { ...FACTS.owner, ...each.owner } };
  const record = new VerdictRecord(facts, { ...facts.owner, current: true }, 0, encodeValid(facts));
  const [message] = factsMessages(
    [
      {
        id: 1n,
        fact: each.isUnknown === true ? null : record,
        isStale,
        keep: !isNotKept && !isStale && each.isUnknown !== true,
        handle: HANDLE,
      },
    ],
    '',
    { now: () => NOW },
  );
  const fact = Buffer.concat([factIn(message), Buffer.from(each.besides ?? [])]);
  const at = (elapsed: Elapsed): VerdictReason => {
    if (each.isUnknown === true) return 'UNKNOWN';
    return isOver(fact, elapsed) ? 'EXPIRED' : judge(record, scopes, NOW + latest(elapsed));
  };
  const isKept = HoldFact.decode(fact).keep && !isOver(fact, comes);
  return {
    name,
    fact: fact.toString('base64'),
    scopes,
    comes,
    answers: at(comes),
    again,
    holds: isKept && !isOver(fact, again) ? at(again) : null,
  };
}

/**
 * isOver: a client takes the time of a text for over in the very moment that the service lets it pass for the last time, since
 * it cannot know how much of that moment is left.
 */
function isOver(fact: Buffer, elapsed: Elapsed): boolean {
  const { expiresIn } = HoldFact.decode(fact);
  return expiresIn !== undefined && latest(elapsed) >= expiresIn;
}

/** latest is the elapsed time by the clock by which it is later, in milliseconds. */
function latest({ monotonic, wall }: Elapsed): number {
  return Math.max(monotonic, wall) / 1000;
}

function both(microseconds: number): Elapsed {
  return { monotonic: microseconds, wall: microseconds };
}

/** factIn gives the bytes of the only fact in a message that the service would send. */
function factIn(message: Buffer | undefined): Uint8Array {
  const decoded = HoldVerdictsResponse.decode(message ?? Buffer.alloc(0)).message;
  if (decoded?.$case !== 'facts' || decoded.value.facts[0] === undefined) throw new Error('there is no fact');
  return SentFact.encode(decoded.value.facts[0]).finish();
}

function cases(): Record<string, Case> {
  return { ...flaws(), ...coverage(), ...expiries(), ...clockSteps(), ...unusual() };
}

const FLAWS: readonly (readonly [string, Case])[] = [
  ['an inactive owner', { owner: { userIsActive: false } }],
  ['a token switched off', { facts: { isActive: false } }],
  ['an inactive account', { owner: { accountIsActive: false } }],
  ['a missing scope', { facts: { scopes: ['other'] }, scopes: ['orders:read'] }],
  ['its time over', { facts: { expiresAt: inMicroseconds(-1) } }],
];

/** flaws: of several the first in the order of the protocol counts. */
function flaws(): Record<string, Case> {
  return Object.fromEntries(
    Array.from({ length: 2 ** FLAWS.length }, (_, chosen) => {
      const present = FLAWS.filter((_flaw, index) => (chosen & (1 << index)) !== 0);
      const together = present.reduce<Case>(
        (all, [, { facts, owner, scopes }]) => ({
          ...all,
          facts: { ...all.facts, ...facts },
          owner: { ...all.owner, ...owner },
          ...(scopes === undefined ? {} : { scopes }),
        }),
        {},
      );
      return [`has ${present.map(([name]) => name).join(', ') || 'no flaw'}`, together];
    }),
  );
}

const GRANTED: readonly (readonly string[])[] = [
  [],
  ['*'],
  ['orders:read'],
  ['orders:*'],
  ['orders.*'],
  ['orders/*'],
  ['orders*'],
  ['orders:*:read'],
  ['orders:read', 'users.*'],
  [':*'],
];
const REQUIRED: readonly (readonly string[])[] = [
  [],
  ['*'],
  ['orders'],
  ['orders:'],
  ['orders:read'],
  ['orders:read:own'],
  ['orders:*'],
  ['orders*'],
  ['orders.read'],
  ['orders/a/b'],
  ['orders2'],
  ['orders:x:read'],
  ['orders:read', 'users.write'],
  ['orders:read', 'orders:read'],
  [':'],
  ['users'],
];

function coverage(): Record<string, Case> {
  const pairs = GRANTED.flatMap((granted) => REQUIRED.map((required) => ({ granted, required })));
  return Object.fromEntries(
    pairs.map(({ granted, required }) => [
      `holds [${granted.join(' ')}] and needs [${required.join(' ')}]`,
      { facts: { scopes: granted }, scopes: required },
    ]),
  );
}

function inMicroseconds(left: number): bigint {
  return instantFromMillis(NOW) + BigInt(left);
}

function expiries(): Record<string, Case> {
  const expiring = (left: number): Pick<Case, 'facts'> => ({ facts: { expiresAt: inMicroseconds(left) } });
  return {
    'expires in this microsecond': expiring(0),
    'expires in the next microsecond': expiring(1),
    'expired a microsecond ago': expiring(-1),
    'expired two hours and a half second ago': expiring(-7_200_500_000),
    'expires half a millisecond after it is asked for again': { ...expiring(1_500), again: both(1_000) },
    'is asked for a microsecond before its end': { ...expiring(500_500), again: both(500_499) },
    'is asked for at its end': { ...expiring(500_500), again: both(500_500) },
    'is asked for a microsecond after its end': { ...expiring(500_500), again: both(500_501) },
    'expires on its way': { ...expiring(500_500), comes: both(500_500) },
    'nearly expires on its way': { ...expiring(500_500), comes: both(500_499) },
    'counts from before the look-up': { ...expiring(500_500), comes: both(400_000), again: both(600_000) },
    'never expires': { again: both(86_400_000_000 * 365) },
    'expires in ten years': { ...expiring(86_400_000_000 * 3652), again: both(86_400_000_000 * 3651) },
  };
}

function clockSteps(): Record<string, Case> {
  const facts = { expiresAt: inMicroseconds(10_000_000) };
  return {
    'the wall clock is set back': { facts, again: { monotonic: 1_000_000, wall: -3_600_000_000 } },
    'the wall clock is set back and the time is over': {
      facts,
      again: { monotonic: 10_000_000, wall: -3_600_000_000 },
    },
    'the wall clock is set forward': { facts, again: { monotonic: 1_000_000, wall: 3_600_000_000 } },
    'the monotonic clock stood still while the machine was suspended': {
      facts,
      again: { monotonic: 1, wall: 10_000_000 },
    },
    'the wall clock is set forward on the way': { facts, comes: { monotonic: 1_000, wall: 3_600_000_000 } },
    'the wall clock is set forward, and nothing expires': { again: { monotonic: 1, wall: 3_600_000_000 } },
  };
}

/** Fields that no version has yet: number 100, as a varint, as bytes, and with 64 bits. */
const UNKNOWN_FIELDS = [0xa0, 0x06, 0x01, 0xa2, 0x06, 0x03, 1, 2, 3, 0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8];

function unusual(): Record<string, Case> {
  return {
    'is not known': { isUnknown: true },
    'is not known, as far as the replica remembers': { isUnknown: true, isStale: true },
    'is from memory, without the database': { isStale: true },
    'was overtaken by a change': { isNotKept: true },
    'was overtaken by a change, and is switched off': { isNotKept: true, facts: { isActive: false } },
    'has fields of a later version': { besides: UNKNOWN_FIELDS },
    'has fields of a later version, and lacks a scope': {
      besides: UNKNOWN_FIELDS,
      facts: { scopes: ['orders:read'] },
      scopes: ['orders:write'],
    },
    'has a name in other scripts': { facts: { name: 'Schlüssel 鍵' } },
  };
}
