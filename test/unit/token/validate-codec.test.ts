import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  BatchValidateTokensRequest,
  BatchValidateTokensResponse,
  ValidateTokenRequest,
  ValidateTokenResponse,
} from '../../../src/gen/keyward/token/v1/token_service.js';
import { VerdictReason } from '../../../src/gen/keyward/token/v1/token.js';
import { MAX_INSTANT, MIN_INSTANT } from '../../../src/lib/instant.js';
import { strictReader } from '../../../src/rpc/strict-utf8.js';
import { toTimestamp } from '../../../src/rpc/timestamp.js';
import {
  answerOf,
  decodeBatch,
  decodePresented,
  encodeValid,
  toBatchMessage,
  toMessage,
} from '../../../src/token/validate-codec.js';
import { VerdictRecord, type KnownReason, type VerdictFacts } from '../../../src/token/verdict.js';
import type { Presented } from '../../../src/token/verdicts.js';
import { anyText } from '../../support/arbitrary.js';

const request = fc.record({
  token: fc.oneof(
    anyText(),
    fc.integer({ min: 0, max: 20_000 }).map((length) => 'x'.repeat(length)),
  ),
  requiredScopes: fc.oneof(fc.constant<string[]>([]), fc.array(anyText(), { maxLength: 3 })),
});
const batch = fc.array(request, { maxLength: 5 });
const anyBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

/** damaged makes bytes that are nearly the message: one byte changed, the end cut off, or something added. */
function damaged(encoded: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Buffer> {
  return fc
    .tuple(encoded, fc.nat(), fc.nat(255), fc.constantFrom('change', 'cut', 'add'))
    .map(([bytes, at, byte, how]) => {
      if (how === 'add') return Buffer.concat([bytes, Buffer.from([0x0a, byte])]);
      const place = at % Math.max(bytes.length, 1);
      if (how === 'cut') return Buffer.from(bytes.subarray(0, place));
      const copy = Buffer.from(bytes);
      if (copy.length > 0) copy[place] = byte;
      return copy;
    });
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function readable({ token, requiredScopes }: Presented): {
  token: string;
  requiredScopes: readonly string[];
} {
  return { token: typeof token === 'string' ? token : decoder.decode(token), requiredScopes };
}

/** outcome is the result, or that there is none. */
function outcome<T>(decode: () => T): T | 'refused' {
  try {
    return decode();
  } catch {
    return 'refused';
  }
}

function expectSameRequest(bytes: Buffer): void {
  const expected = outcome(() => readable(ValidateTokenRequest.decode(strictReader(bytes))));
  expect(outcome(() => readable(decodePresented(bytes)))).toEqual(expected);
}

function expectSameBatch(bytes: Buffer): void {
  const expected = outcome(() =>
    BatchValidateTokensRequest.decode(strictReader(bytes)).requests.map(readable),
  );
  expect(outcome(() => decodeBatch(bytes).map(readable))).toEqual(expected);
}

/** delimited makes a batch of one request. */
function delimited(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
}

describe('requests are read as the generated code reads them, strictly', () => {
  const encodedRequest = request.map((message) => ValidateTokenRequest.encode(message).finish());
  const encodedBatch = batch.map((requests) => BatchValidateTokensRequest.encode({ requests }).finish());

  test('every ValidateTokenRequest', () => {
    fc.assert(fc.property(encodedRequest, (bytes) => expectSameRequest(Buffer.from(bytes))));
  });

  test('every BatchValidateTokensRequest', () => {
    fc.assert(fc.property(encodedBatch, (bytes) => expectSameBatch(Buffer.from(bytes))));
  });

  test('any bytes, refused ones too', () => {
    fc.assert(fc.property(fc.oneof(anyBytes, damaged(encodedRequest)), expectSameRequest), { numRuns: 2000 });
    fc.assert(fc.property(fc.oneof(anyBytes, damaged(encodedBatch)), expectSameBatch), { numRuns: 2000 });
  });

  test.each([
    ['empty', ''],
    ['an empty token', '0a00'],
    ['a token twice: the last counts', '0a01610a0162'],
    ['a length in its longer form', '0a810061'],
    ['a longer form of a length beyond the end', '0a8100'],
    ['a token and an unknown field', '0a0161980601'],
    ['a token longer than the message', '0a0561'],
    ['a byte-order mark, which is part of the token', '0a04efbbbf61'],
    ['the same with a scope', '0a04efbbbf61120161'],
    ['a token that is not UTF-8', '0a02c328'],
    ['the same with a scope', '0a02c328120161'],
    ['a scope that is not UTF-8', '0a01611202c328'],
    ['a request with a token that is not UTF-8', '0a040a02c328'],
    ['an empty request, then one with a token', '0a000a030a0161'],
    ['a request whose token reaches beyond it', '0a020a0261610a00'],
    ['a request that reaches beyond the batch', '0a090a0161'],
    ['a field number 0', '0001'],
    ['an end of a group that did not begin', '0c'],
  ])('%s', (_, hex) => {
    expectSameRequest(Buffer.from(hex, 'hex'));
    expectSameBatch(Buffer.from(hex, 'hex'));
  });

  test('text that is not UTF-8 is refused', () => {
    for (const hex of ['0a02c328', '0a02c328120161', '0a01611202c328', '0a03eda080']) {
      expect(() => decodePresented(Buffer.from(hex, 'hex'))).toThrow();
      expect(() => decodeBatch(delimited(Buffer.from(hex, 'hex')))).toThrow();
    }
  });

  test('a token alone is not copied out of the request', () => {
    const bytes = Buffer.from(
      ValidateTokenRequest.encode({ token: 'x'.repeat(300), requiredScopes: [] }).finish(),
    );
    const { token } = decodePresented(bytes);
    expect(token).toBeInstanceOf(Buffer);
    expect((token as Buffer).buffer).toBe(bytes.buffer);
  });
});

const int64 = fc.bigInt(1n, 2n ** 63n - 1n);
const facts: fc.Arbitrary<VerdictFacts> = fc.record({
  digest: fc.constant(''),
  tokenId: int64,
  keyId: fc.uuid(),
  name: anyText({ minLength: 1 }),
  isActive: fc.boolean(),
  expiresAt: fc.option(fc.bigInt(MIN_INSTANT, MAX_INSTANT)),
  createdAt: fc.constant(0n),
  scopes: fc.array(anyText(), { maxLength: 4 }),
  owner: fc.record({
    profileId: int64,
    userId: int64,
    username: anyText(),
    accountId: int64,
    accountNumber: anyText(),
    isStaff: fc.boolean(),
    isSuperuser: fc.boolean(),
    userIsActive: fc.boolean(),
    accountIsActive: fc.boolean(),
  }),
});

function recordOf(known: VerdictFacts): VerdictRecord {
  return new VerdictRecord(known, { ...known.owner, current: true }, 0, encodeValid(known));
}

function valid(known: VerdictFacts, stale = false): ValidateTokenResponse {
  const { profileId, userId, username, accountId, accountNumber, isStaff, isSuperuser } = known.owner;
  return {
    valid: true,
    reason: VerdictReason.VERDICT_REASON_OK,
    keyId: known.keyId,
    principal: { userProfileId: profileId, userId, username, accountId, accountNumber, isStaff, isSuperuser },
    name: known.name,
    scopes: [...known.scopes],
    expiresAt: toTimestamp(known.expiresAt),
    stale,
  };
}

function refused(reason: VerdictReason, keyId: string, stale = false): ValidateTokenResponse {
  const rest = { principal: undefined, name: '', scopes: [], expiresAt: undefined };
  return { valid: false, reason, keyId, ...rest, stale };
}

function encoded(response: ValidateTokenResponse): Buffer {
  return Buffer.from(ValidateTokenResponse.encode(response).finish());
}

const REFUSALS: readonly [KnownReason, VerdictReason][] = [
  ['EXPIRED', VerdictReason.VERDICT_REASON_EXPIRED],
  ['OWNER_INACTIVE', VerdictReason.VERDICT_REASON_OWNER_INACTIVE],
  ['INACTIVE', VerdictReason.VERDICT_REASON_INACTIVE],
  ['ACCOUNT_INACTIVE', VerdictReason.VERDICT_REASON_ACCOUNT_INACTIVE],
  ['INSUFFICIENT_SCOPE', VerdictReason.VERDICT_REASON_INSUFFICIENT_SCOPE],
];

describe('answers are written as the generated code writes them', () => {
  test('a token that passes: all that is told of it and its owner', () => {
    fc.assert(
      fc.property(facts, fc.boolean(), (known, stale) => {
        const answer = toMessage(answerOf({ reason: 'OK', record: recordOf(known), stale }));
        expect(answer).toEqual(encoded(valid(known, stale)));
      }),
    );
  });

  test.each(REFUSALS)(
    'a known token refused as %s: its key id and nothing of the owner',
    (reason, protoReason) => {
      fc.assert(
        fc.property(facts, fc.boolean(), (known, stale) => {
          const answer = toMessage(answerOf({ reason, record: recordOf(known), stale }));
          expect(answer).toEqual(encoded(refused(protoReason, known.keyId, stale)));
        }),
        { numRuns: 20 },
      );
    },
  );

  test('an unknown text: nothing but that', () => {
    const answer = toMessage(answerOf({ reason: 'UNKNOWN', record: undefined, stale: false }));
    expect(answer).toEqual(encoded(refused(VerdictReason.VERDICT_REASON_UNKNOWN, '')));
  });

  test('a batch of any answers, in their order', () => {
    const answer = facts.map((known) => ({ text: encodeValid(known), response: valid(known) }));
    const long = facts.map((known) => {
      const named = { ...known, name: 'é'.repeat(10_000) };
      return { text: encodeValid(named), response: valid(named) };
    });
    fc.assert(
      fc.property(
        fc.array(fc.oneof({ weight: 4, arbitrary: answer }, { weight: 1, arbitrary: long }), {
          maxLength: 6,
        }),
        (answers) => {
          const responses = answers.map(({ response }) => response);
          const expected = Buffer.from(BatchValidateTokensResponse.encode({ responses }).finish());
          expect(toBatchMessage(answers.map(({ text }) => text)).equals(expected)).toBe(true);
        },
      ),
    );
  });
});
