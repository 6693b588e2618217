import { isUtf8 } from 'node:buffer';
import { VerdictReason as ProtoReason } from '../gen/keyward/token/v1/token.js';
import {
  BatchValidateTokensRequest,
  TokenServiceService,
  ValidateTokenRequest,
  ValidateTokenResponse,
} from '../gen/keyward/token/v1/token_service.js';
import { strictReader } from '../rpc/strict-utf8.js';
import { toTimestamp } from '../rpc/timestamp.js';
import type { VerdictFacts, VerdictReason, VerdictRecord } from './verdict.js';
import type { Presented, Verdict } from './verdicts.js';

/**
 * The codecs of the two RPCs that every request of the platform waits for. They read the common form of a
 * request without copying the token out of it, and write answers that were encoded when the token was loaded.
 */

const NO_SCOPES: readonly string[] = [];
/** Tag of field 1 with a length: `token` in a request, `requests` and `responses` in a batch. */
const FIELD_1 = 0x0a;

/** Every answer that encodeValid makes begins with `valid` and `reason`, two bytes each, and the tag and length of `key_id`. */
const KEY_ID_AT = 6;
/** A UUID with hyphens. */
const KEY_ID_LENGTH = 36;

const REASONS: Readonly<Record<VerdictReason, ProtoReason>> = {
  OK: ProtoReason.VERDICT_REASON_OK,
  UNKNOWN: ProtoReason.VERDICT_REASON_UNKNOWN,
  EXPIRED: ProtoReason.VERDICT_REASON_EXPIRED,
  OWNER_INACTIVE: ProtoReason.VERDICT_REASON_OWNER_INACTIVE,
  INACTIVE: ProtoReason.VERDICT_REASON_INACTIVE,
  ACCOUNT_INACTIVE: ProtoReason.VERDICT_REASON_ACCOUNT_INACTIVE,
  INSUFFICIENT_SCOPE: ProtoReason.VERDICT_REASON_INSUFFICIENT_SCOPE,
};

const REFUSED = {
  valid: false,
  principal: undefined,
  name: '',
  scopes: [],
  expiresAt: undefined,
  stale: false,
};
const UNKNOWN_ANSWER = encode({ ...REFUSED, reason: REASONS.UNKNOWN, keyId: '' });
/** What follows on the rest of an answer that is stale. */
const STALE_MARK = encode(ValidateTokenResponse.fromPartial({ stale: true }));

/** The service with these codecs in the place of the generated ones. */
export const FastTokenService = {
  ...TokenServiceService,
  validateToken: {
    ...TokenServiceService.validateToken,
    requestDeserialize: decodePresented,
    readsBytes: true as const,
    responseSerialize: (message: Buffer) => message,
  },
  // Its messages are the same in bytes.
  streamValidateTokens: {
    ...TokenServiceService.streamValidateTokens,
    requestDeserialize: decodePresented,
    readsBytes: true as const,
    responseSerialize: (message: Buffer) => message,
  },
  batchValidateTokens: {
    ...TokenServiceService.batchValidateTokens,
    requestDeserialize: decodeBatch,
    readsBytes: true as const,
    responseSerialize: (message: Buffer) => message,
  },
};

/** decodePresented reads a ValidateTokenRequest. Throws on bytes that are none, and on text that is not UTF-8. */
export function decodePresented(bytes: Buffer): Presented {
  return decodeTokenOnly(bytes, 0, bytes.length) ?? ValidateTokenRequest.decode(strictReader(bytes));
}

/** decodeBatch reads a BatchValidateTokensRequest. Throws on bytes that are none, and on text that is not UTF-8. */
export function decodeBatch(bytes: Buffer): Presented[] {
  const presented: Presented[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = lengthAt(bytes, at);
    const start = at + (length === undefined || length < 128 ? 2 : 3);
    const request = length === undefined ? undefined : decodeTokenOnly(bytes, start, start + length);
    if (request === undefined || length === undefined)
      return BatchValidateTokensRequest.decode(strictReader(bytes)).requests;
    presented.push(request);
    at = start + length;
  }
  return presented;
}

/** answerOf is the encoded ValidateTokenResponse of a verdict, one character for each byte. */
export function answerOf(verdict: Verdict): string {
  return verdict.stale ? currentAnswerOf(verdict) + STALE_MARK : currentAnswerOf(verdict);
}

function currentAnswerOf({ reason, record }: Verdict): string {
  if (reason === 'OK') return record.answer;
  if (reason === 'UNKNOWN') return UNKNOWN_ANSWER;
  return encode({ ...REFUSED, reason: REASONS[reason], keyId: keyIdOf(record) });
}

/** keyIdOf reads a record's key id out of its answer: kept apart it would cost a tenth of the record's memory. */
export function keyIdOf({ answer }: Pick<VerdictRecord, 'answer'>): string {
  return answer.slice(KEY_ID_AT, KEY_ID_AT + KEY_ID_LENGTH);
}

/** encodeValid encodes the answer for a token that passes. */
export function encodeValid(facts: VerdictFacts): string {
  const { owner } = facts;
  return encode({
    valid: true,
    reason: REASONS.OK,
    keyId: facts.keyId,
    principal: {
      userId: owner.userId,
      username: owner.username,
      userProfileId: owner.profileId,
      accountId: owner.accountId,
      accountNumber: owner.accountNumber,
      isStaff: owner.isStaff,
      isSuperuser: owner.isSuperuser,
    },
    name: facts.name,
    scopes: [...facts.scopes],
    expiresAt: toTimestamp(facts.expiresAt),
    stale: false,
  });
}

/** decodeValid reads the answer for a token that passes, which a record holds whether it passes or not. */
export function decodeValid({ answer }: Pick<VerdictRecord, 'answer'>): ValidateTokenResponse {
  return ValidateTokenResponse.decode(toMessage(answer));
}

/** toMessage makes the bytes of a ValidateTokenResponse. */
export function toMessage(answer: string): Buffer {
  return Buffer.from(answer, 'latin1');
}

/** toBatchMessage makes the bytes of a BatchValidateTokensResponse. */
export function toBatchMessage(answers: readonly string[]): Buffer {
  let size = 0;
  for (const answer of answers) size += 1 + varintSize(answer.length) + answer.length;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const answer of answers) {
    bytes[at] = FIELD_1;
    at = writeVarint(bytes, at + 1, answer.length);
    at += bytes.write(answer, at, 'latin1');
  }
  return bytes;
}

function encode(response: ValidateTokenResponse): string {
  return Buffer.from(ValidateTokenResponse.encode(response).finish()).toString('latin1');
}

/** decodeTokenOnly reads a request that holds a token and nothing else: nearly all of them. Undefined for any other. */
function decodeTokenOnly(bytes: Buffer, start: number, end: number): Presented | undefined {
  const length = lengthAt(bytes, start);
  if (length === undefined) return undefined;
  const tokenStart = start + (length < 128 ? 2 : 3);
  if (tokenStart + length !== end || end > bytes.length) return undefined;
  const token = bytes.subarray(tokenStart, end);
  return isUtf8(token) ? { token, requiredScopes: NO_SCOPES } : undefined;
}

/** lengthAt reads the length of field 1, if that is what begins here and the length takes one or two bytes. */
function lengthAt(bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== FIELD_1) return undefined;
  const low = bytes[at + 1];
  if (low === undefined || low < 128) return low;
  const high = bytes[at + 2];
  // A second byte of 0 would be the longer form of a one-byte length.
  return high === undefined || high >= 128 || high === 0 ? undefined : (low & 127) | (high << 7);
}

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest >>>= 7) size += 1;
  return size;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 128;
  bytes[at] = rest;
  return at + 1;
}
