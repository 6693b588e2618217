import { createHash } from 'node:crypto';
import {
  BatchValidateTokensRequest,
  BatchValidateTokensResponse,
  ValidateTokenRequest,
  ValidateTokenResponse,
} from '../../src/gen/keyward/token/v1/token_service.js';
import { VerdictReason } from '../../src/gen/keyward/token/v1/token.js';
import { execute } from '../support/sql.js';

/**
 * The tokens of a benchmark are made from their numbers, by the database and here alike, so that every
 * plaintext and every answer is known without asking the service.
 */

/** How many user profiles share the tokens. */
export const PROFILES = 500;
/** Ids of users, accounts and profiles start here, apart from what a start of the service makes. */
export const FIRST_ID = 1000;

/** plaintextOf is the plaintext of a token: 64 hex digits, as the service itself makes them. */
export function plaintextOf(token: number): string {
  return createHash('sha256').update(String(token)).digest('hex');
}

/** ownerIdOf is the id of the user profile that has a token, and of its user. */
export function ownerIdOf(token: number): number {
  return FIRST_ID + (token % PROFILES);
}

/** fillTokens writes tokens 0 to `count` - 1 with their owners. */
export async function fillTokens(databaseUrl: string, count: number): Promise<void> {
  const [first, last] = [FIRST_ID, FIRST_ID + PROFILES - 1];
  await execute(
    databaseUrl,
    "INSERT INTO accounts (id, account_number, name) VALUES ($1, '4242-0000-0001', 'bench')",
    [first],
  );
  await execute(
    databaseUrl,
    "INSERT INTO users (id, username, is_staff) SELECT n, 'user-' || n, true FROM generate_series($1::bigint, $2) n",
    [first, last],
  );
  await execute(
    databaseUrl,
    `INSERT INTO user_profiles (id, user_id, account_id, name)
     SELECT n, n, $1, 'profile' FROM generate_series($1::bigint, $2) n`,
    [first, last],
  );
  await execute(
    databaseUrl,
    `INSERT INTO tokens (id, key_id, user_profile_id, name)
     SELECT $1 + n, lpad(to_hex(n), 32, '0')::uuid, $1 + n % ${PROFILES}, 'token-' || n
     FROM generate_series(0::bigint, $2) n`,
    [first, count - 1],
  );
  await execute(
    databaseUrl,
    `INSERT INTO token_digests (digest, token_id, token_key)
     SELECT sha512(plaintext::bytea), $1 + n, left(plaintext, 15)
     FROM (SELECT n, encode(sha256(n::text::bytea), 'hex') AS plaintext FROM generate_series(0::bigint, $2) n) AS token`,
    [first, count - 1],
  );
  await execute(databaseUrl, 'VACUUM ANALYZE');
}

/** expectedResponse is the right answer for a token. */
export function expectedResponse(token: number): ValidateTokenResponse {
  const owner = ownerIdOf(token);
  const hex = token.toString(16).padStart(32, '0');
  return {
    valid: true,
    reason: VerdictReason.VERDICT_REASON_OK,
    keyId: [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-'),
    principal: {
      userId: BigInt(owner),
      username: `user-${owner}`,
      userProfileId: BigInt(owner),
      accountId: BigInt(FIRST_ID),
      accountNumber: '4242-0000-0001',
      isStaff: true,
      isSuperuser: false,
    },
    name: `token-${token}`,
    scopes: ['*'],
    expiresAt: undefined,
    stale: false,
  };
}

/** Exchange is a request and its right answer, both encoded. */
export interface Exchange {
  readonly request: Uint8Array;
  readonly response: Uint8Array;
}

/** exchangeOf asks for one token. */
export function exchangeOf(token: number): Exchange {
  return {
    request: ValidateTokenRequest.encode(requestOf(token)).finish(),
    response: ValidateTokenResponse.encode(expectedResponse(token)).finish(),
  };
}

/** batchExchangeOf asks for `size` tokens from `first` on. */
export function batchExchangeOf(first: number, size: number): Exchange {
  const tokens = Array.from({ length: size }, (_, index) => first + index);
  return {
    request: BatchValidateTokensRequest.encode({ requests: tokens.map(requestOf) }).finish(),
    response: BatchValidateTokensResponse.encode({ responses: tokens.map(expectedResponse) }).finish(),
  };
}

const UNKNOWN_ANSWER = ValidateTokenResponse.fromPartial({ reason: VerdictReason.VERDICT_REASON_UNKNOWN });

/** unknownExchangeOf asks for a text that is no token. */
export function unknownExchangeOf(text: number): Exchange {
  return {
    request: ValidateTokenRequest.encode(requestOf(UNKNOWN + text)).finish(),
    response: ValidateTokenResponse.encode(UNKNOWN_ANSWER).finish(),
  };
}

/** unknownBatchOf asks for `size` such texts from `first` on. */
export function unknownBatchOf(first: number, size: number): Exchange {
  const requests = Array.from({ length: size }, (_, index) => requestOf(UNKNOWN + first + index));
  return {
    request: BatchValidateTokensRequest.encode({ requests }).finish(),
    response: BatchValidateTokensResponse.encode({
      responses: requests.map(() => UNKNOWN_ANSWER),
    }).finish(),
  };
}

/** From this number on there are no tokens. */
const UNKNOWN = 1e9;

function requestOf(token: number): ValidateTokenRequest {
  return { token: plaintextOf(token), requiredScopes: [] };
}
