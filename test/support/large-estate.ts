import { connected } from './sql.js';

/** Sizes of an estate: how many there are of each. */
export interface EstateSizes {
  readonly tokens: number;
  readonly secrets: number;
  readonly events: number;
}

/** Ids of what fillEstate makes begin here. */
const FIRST_ID = 1000;
const ACCOUNTS = 100;
const PROFILES = 1000;
/** That many of a thousand things belong to the first account: far more than to another. */
const IN_LARGE_ACCOUNT = 300;

/** A profile of the account that has more than a page may look at, and the one of an account that has little. */
export const LARGE_ACCOUNT = { accountId: BigInt(FIRST_ID), profileId: BigInt(FIRST_ID + 7) };
export const SMALL_ACCOUNT = {
  accountId: BigInt(FIRST_ID + ACCOUNTS - 1),
  profileId: BigInt(FIRST_ID + 400),
};

/**
 * fillEstate makes accounts, users with a profile each, and what they own. Profile number n is in the account number
 * n % 100, but for the first three hundred, which are in the first one; profile 400 is the only one of the account 99.
 */
export function fillEstate(url: string, { tokens, secrets, events }: EstateSizes): Promise<void> {
  const account = `CASE WHEN n < ${IN_LARGE_ACCOUNT} THEN 0 ELSE 1 + n % ${ACCOUNTS - 2} END`;
  const time = (salt: number): string =>
    `'2026-01-01'::timestamptz + (n * ${salt} % 1000003) * interval '1 second'`;
  const maybe = (salt: number): string => `CASE WHEN n % 3 > 0 THEN ${time(salt)} END`;
  return connected(url, async (run) => {
    await run('SET session_replication_role = replica');
    await run(
      `INSERT INTO accounts (id, account_number, name, created_at, updated_at)
       SELECT $1 + n, to_char(n, 'FM0000') || '-0000-0000', 'account ' || n, now(), now() FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, ACCOUNTS - 1],
    );
    await run(
      `INSERT INTO users (id, username, is_staff, created_at, updated_at)
       SELECT $1 + n, 'user-' || n, true, now(), now() FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, PROFILES - 1],
    );
    await run(
      `INSERT INTO user_profiles (id, user_id, account_id, name, created_at, updated_at)
       SELECT $1 + n, $1 + n, $1 + CASE WHEN n = 400 THEN ${ACCOUNTS - 1} ELSE ${account} END, 'profile ' || n, now(), now()
       FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, PROFILES - 1],
    );
    await run(
      `INSERT INTO tokens (id, key_id, user_profile_id, name, tags, expires_at, last_used_at, created_at, updated_at)
       SELECT $1 + n, lpad(to_hex(n), 32, '0')::uuid, $1 + n % ${PROFILES}, 'token ' || n,
         CASE WHEN n % 7 = 0 THEN '{ci}' ELSE '{}' END::text[], ${maybe(7919)}, ${maybe(104_729)}, ${time(15_485_863)}, ${time(32_452_843)}
       FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, tokens - 1],
    );
    await run(
      `INSERT INTO token_digests (digest, token_id, token_key, issued_by_user_id)
       SELECT sha512(n::text::bytea), $1 + n, lpad(to_hex(n), 15, '0'), $1 FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, tokens - 1],
    );
    await run(
      `INSERT INTO secrets (id, user_profile_id, name, name_key, expires_at, last_accessed_at, created_at, updated_at)
       SELECT $1 + n, $1 + n % ${PROFILES}, 'secret ' || n, 'secret ' || n, ${maybe(7919)}, ${maybe(104_729)}, ${time(15_485_863)}, ${time(32_452_843)}
       FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, secrets - 1],
    );
    await run(
      `INSERT INTO audit_events (occurred_at, chain, seq, mac, action, outcome, actor_user_id, actor_username, actor_peer,
         resource_kind, resource_id, resource_profile_id, resource_account_id, resource_account_number, detail)
       SELECT '2026-01-01'::timestamptz + n * interval '1 second', '00000000-0000-4000-8000-000000000000', 1 + n, sha256(''), 'TOKEN_EDITED',
         'OK', $1 + n % ${PROFILES}, 'user', 'peer', 'token', $1 + n, $1 + n % ${PROFILES},
         $1 + ${account.replaceAll('n ', `n % ${PROFILES} `)}, '', '{}'
       FROM generate_series(0::bigint, $2) n`,
      [FIRST_ID, events - 1],
    );
    await run('RESET session_replication_role');
    await run('VACUUM ANALYZE');
  });
}
