import { beforeEach, expect, test } from 'vitest';
import { VerdictCache } from '../../../src/token/verdict-cache.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { digestOf } from '../../../src/crypto/digest.js';
import { UsageRecorder } from '../../../src/token/usage-recorder.js';
import { VerdictRecord, type VerdictFacts } from '../../../src/token/verdict.js';
import { Verdicts } from '../../../src/token/verdicts.js';
import { ManualClock } from '../../support/manual-clock.js';
import { underLease } from '../../support/single-replica.js';
import { ANY_OWNER } from '../../support/verdict-facts.js';

const TEXT = `ab_${'0123456789abcdef'.repeat(4)}`;

let clock: ManualClock;
let facts: VerdictFacts;
let asked: string[];
let written: { tokenId: bigint; usedAt: bigint }[];
let usage: UsageRecorder;
let verdicts: Verdicts;

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  written = [];
  facts = {
    digest: digestOf(TEXT),
    tokenId: 1n,
    keyId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    name: 'key',
    isActive: true,
    expiresAt: null,
    createdAt: 0n,
    scopes: ['a'],
    owner: ANY_OWNER,
  };
  const cache = new VerdictCache<VerdictFacts, VerdictRecord>({
    fetch: (digests) => {
      asked.push(...digests);
      return Promise.resolve(
        new Map(digests.filter((digest) => digest === facts.digest).map((digest) => [digest, facts])),
      );
    },
    ownerOf: ({ owner }) => owner,
    toRecord: (found, owner, staleAt) => new VerdictRecord(found, owner, staleAt, ''),
    clock,
    maxEntries: 10,
    ttlMs: 60_000,
  });
  const tokens = {
    recordUse: (uses: typeof written) => Promise.resolve(void written.push(...uses)),
    idsOfKeys: () => Promise.resolve(new Map()),
  };
  usage = new UsageRecorder(tokens, createLogger('silent'));
  verdicts = new Verdicts(underLease(cache), usage, clock);
});

test('text and its UTF-8 bytes get the same verdict, asked of the database once', async () => {
  expect((await verdicts.validate(TEXT, [])).reason).toBe('OK');
  expect(verdicts.judgeFromMemory(Buffer.from(TEXT), [])?.reason).toBe('OK');
  expect(asked).toHaveLength(1);
});

test.each([` ${TEXT}`, `${TEXT}\n`, TEXT.toUpperCase(), `\ufeff${TEXT}`, TEXT.slice(3), ''])(
  'the text is taken exactly as given: %j is unknown',
  async (text) => {
    expect((await verdicts.validate(text, [])).reason).toBe('UNKNOWN');
    expect((await verdicts.validate(Buffer.from(text), [])).reason).toBe('UNKNOWN');
  },
);

test('more than 1024 bytes are unknown, without being looked up', async () => {
  for (const text of ['x'.repeat(1025), 'é'.repeat(513), '🔑'.repeat(257), Buffer.alloc(1025)]) {
    expect(verdicts.judgeFromMemory(text, [])?.reason).toBe('UNKNOWN');
    expect((await verdicts.validate(text, [])).reason).toBe('UNKNOWN');
  }
  expect(asked).toEqual([]);
  for (const text of ['x'.repeat(1024), 'é'.repeat(512), '🔑'.repeat(256), Buffer.alloc(1024)]) {
    await verdicts.validate(text, []);
  }
  expect(asked).toHaveLength(4);
});

test('expiry is judged on every use, not when the token was loaded', async () => {
  facts = { ...facts, expiresAt: BigInt(clock.now() + 10) * 1000n };
  expect((await verdicts.validate(TEXT, [])).reason).toBe('OK');
  clock.advance(11);
  expect(verdicts.judgeFromMemory(TEXT, [])?.reason).toBe('EXPIRED');
  expect(asked).toHaveLength(1);
});

test('only a text that passes is a caller, and only its use is recorded', async () => {
  expect(await verdicts.findValid('wrong')).toBeUndefined();
  expect((await verdicts.validate(TEXT, ['b'])).reason).toBe('INSUFFICIENT_SCOPE');
  await usage.flush();
  expect(written).toEqual([]);
  expect(verdicts.validFromMemory(TEXT)?.tokenId).toBe(1n);
  clock.advance(5);
  expect((await verdicts.findValid(TEXT))?.record.tokenId).toBe(1n);
  await usage.flush();
  expect(written).toEqual([{ tokenId: 1n, usedAt: BigInt(clock.now()) * 1000n }]);
});
