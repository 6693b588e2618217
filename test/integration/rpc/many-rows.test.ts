import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { translateDatabaseError } from '../../../src/db/pg-errors.js';
import { connect, type KeywardClient, type UserProfile } from '../../../src/client/index.js';
import { extent } from '../../support/extent.js';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { byId } from '../../support/requests.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, ACCOUNT_B, existing, World } from '../../support/world.js';

/** Enough for a revocation to be broken off in the midst of it. */
const VERY_MANY = 10_000;
/** More than are deleted in one transaction. Twice as many are more than one switches off. */
const MANY = 1_200;
/** More than bind parameters, and more than what one transaction switches off. */
const OWNED = extent('MANY_OWNED', 4_500, 70_000);
const PATIENCE = { timeout: 60_000, interval: 5 };

let world: World;
let patient: KeywardClient;

beforeAll(async () => {
  // How long a batch takes is not what is tried here.
  world = await World.create({ KEYWARD_DATABASE_TIMEOUT_SECONDS: '30' });
  patient = connect({ server: world.server.address, token: world.adminToken, timeoutMs: 300_000 });
});

afterAll(async () => {
  patient.close();
  await world.close();
});

async function newOwner(tokens: number): Promise<UserProfile> {
  const username = world.newName();
  await world.admin.accounts.createUser({ username, isStaff: true });
  const profile = await world.join(username, ACCOUNT_A);
  await insertTokens(profile, tokens);
  return profile;
}

async function insertTokens({ id }: UserProfile, tokens: number): Promise<void> {
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1::bigint, $1::text || '-' || n FROM generate_series(1, $2::int) n RETURNING id, name)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(name::bytea), id, '' FROM made`,
    [id, tokens],
  );
}

async function count(sql: string, values: readonly unknown[]): Promise<number> {
  const [row] = await execute(world.database.url, `SELECT count(*) FROM ${sql}`, [...values]);
  return Number(row?.['count']);
}

function tokensOf({ id }: UserProfile): Promise<number> {
  return count('tokens WHERE user_profile_id = $1', [String(id)]);
}

function deletionsRecorded({ id }: UserProfile): Promise<number> {
  return count("audit_events WHERE action = 'TOKEN_DELETED' AND resource_profile_id = $1", [String(id)]);
}

test('a revocation of any number of tokens that is broken off goes on where it is called again, and others notice nothing', async () => {
  const profile = await newOwner(VERY_MANY);
  const request = { user: byId({ id: profile.userId }) };
  const token = world.tokenOf('staff-b');
  await world.admin.tokens.validateToken({ token });
  const misses = await world.server.metric('keyward_cache_misses_total');
  const impatient = await RawHttp2.open(Number(world.server.address.split(':')[1]));
  const headers = { authorization: `Bearer ${world.adminToken}` };
  const message = framed(encodeRequest('revokeUserTokens', request));
  const broken = impatient.call(pathOf('revokeUserTokens'), message, headers, PATIENCE.timeout);
  await vi.waitFor(async () => expect(await tokensOf(profile)).toBeLessThan(VERY_MANY), PATIENCE);
  impatient.close();
  expect((await broken).code).not.toBe('OK');
  const { valid } = await world.admin.tokens.validateToken({ token });
  const { revokedCount, propagation } = await patient.tokens.revokeUserTokens(request);
  expect(valid).toBe(true);
  expect(propagation).toMatchObject({ complete: true });
  expect(await tokensOf(profile)).toBe(0);
  expect(revokedCount).toBeGreaterThan(0);
  expect(revokedCount).toBeLessThan(VERY_MANY);
  expect(await deletionsRecorded(profile)).toBe(VERY_MANY);
  await world.admin.tokens.validateToken({ token });
  expect(await world.server.metric('keyward_cache_misses_total')).toBe(misses);
}, 120_000);

test('a token that is made behind a batch is deleted as well', async () => {
  const profile = await newOwner(MANY);
  // It comes before all others by its name, when the first of them are gone.
  await execute(
    world.database.url,
    `CREATE FUNCTION make_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       -- With a whole batch: not again when that one is deleted.
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), user_profile_id, ' ' FROM old_rows OFFSET 400 LIMIT 1 ON CONFLICT DO NOTHING;
       RETURN NULL; END $$;
     CREATE TRIGGER make_one AFTER DELETE ON tokens REFERENCING OLD TABLE AS old_rows
       FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION make_one()`,
  );
  await patient.tokens.revokeUserTokens({ user: byId({ id: profile.userId }) });
  await execute(world.database.url, 'DROP FUNCTION make_one CASCADE');
  expect(await tokensOf(profile)).toBe(0);
  expect(await deletionsRecorded(profile)).toBe(MANY + 1);
});

test.each(['user', 'profile', 'account'] as const)(
  'a %s with many tokens is deleted with force, and the record tells how many',
  async (kind) => {
    const { accounts } = patient;
    const profile = await newOwner(MANY);
    let deleted: Promise<unknown>;
    if (kind === 'user') {
      deleted = accounts.deleteUser({ selector: byId({ id: profile.userId }), force: true });
    } else if (kind === 'profile') {
      deleted = accounts.deleteUserProfile({ selector: byId(profile), force: true });
    } else {
      const account = await world.newAccount();
      await execute(world.database.url, 'UPDATE user_profiles SET account_id = $2 WHERE id = $1', [
        String(profile.id),
        String(account.id),
      ]);
      deleted = accounts.deleteAccount({ selector: byId(account), force: true });
    }
    await deleted;
    expect(await tokensOf(profile)).toBe(0);
    const [event] = await execute(
      world.database.url,
      "SELECT detail FROM audit_events WHERE action LIKE '%_DELETED' AND action NOT LIKE 'TOKEN%' ORDER BY id DESC LIMIT 1",
    );
    expect(event?.['detail']).toMatchObject({ tokens: String(MANY) });
    expect(await deletionsRecorded(profile)).toBe(MANY);
  },
);

/** knownToOthers makes an owner all but one of whose tokens were given to somebody else. */
async function knownToOthers(): Promise<UserProfile> {
  const profile = await newOwner(OWNED);
  await execute(
    world.database.url,
    `UPDATE token_digests SET issued_by_user_id = CASE WHEN t.name = $1::text || '-1' THEN $2::bigint ELSE 1 END
     FROM tokens t WHERE t.id = token_id AND t.user_profile_id = $1::bigint`,
    [String(profile.id), String(profile.userId)],
  );
  return profile;
}

/** largestSince is how many changes the largest transaction has made since a moment, which the clock of the database tells. */
async function largestSince(at: unknown): Promise<number> {
  const [row] = await execute(
    world.database.url,
    'SELECT max(jsonb_array_length(changes)) AS changes FROM change_feed WHERE committed_at > $1',
    [at],
  );
  return Number(row?.['changes']);
}

async function databaseNow(): Promise<unknown> {
  return (await execute(world.database.url, 'SELECT clock_timestamp()::text AS now'))[0]?.['now'];
}

function switchedOff(profile: UserProfile, cause: string): Promise<number> {
  return count(
    `audit_events e JOIN tokens t ON t.id = e.resource_id AND NOT t.is_active
     WHERE e.action = 'TOKEN_DEACTIVATED' AND e.resource_profile_id = $1 AND e.detail ->> 'cause' = $2`,
    [String(profile.id), cause],
  );
}

test('a user with any number of tokens that others know is promoted, and they are switched off first', async () => {
  const profile = await knownToOthers();
  const begun = await databaseNow();
  const { user, deactivatedCount, deactivatedTokens } = await patient.accounts.updateUser({
    selector: byId({ id: profile.userId }),
    user: { isSuperuser: true },
    updateMask: ['is_superuser'],
  });
  expect(user).toMatchObject({ isSuperuser: true });
  expect(deactivatedCount).toBe(OWNED - 1);
  expect(new Set(deactivatedTokens.map(({ id }) => id)).size).toBe(1_000);
  expect(await switchedOff(profile, 'owner_promoted')).toBe(OWNED - 1);
  expect(await largestSince(begun)).toBeLessThan(OWNED / 2);
}, 300_000);

test('a user with any number of tokens that others know joins an account, and they are switched off first', async () => {
  const profile = await knownToOthers();
  const { deactivatedCount } = await patient.accounts.createUserProfile({
    user: byId({ id: profile.userId }),
    account: { selector: { $case: 'accountNumber', value: ACCOUNT_B } },
  });
  expect(deactivatedCount).toBe(OWNED - 1);
  expect(await switchedOff(profile, 'owner_joined_account')).toBe(OWNED - 1);
}, 300_000);

test('of many tokens in many profiles those that others know are switched off, each once, and all others stay', async () => {
  const profile = await newOwner(MANY);
  const ids = [profile.id];
  for (const account of [ACCOUNT_B, (await world.newAccount()).accountNumber]) {
    const { username } = profile;
    const other = await world.join(username, account);
    await insertTokens(other, MANY);
    ids.push(other.id);
  }
  await execute(
    world.database.url,
    `UPDATE token_digests SET issued_by_user_id = CASE WHEN t.id % 3 = 0 THEN 1 ELSE $2::bigint END
     FROM tokens t WHERE t.id = token_id AND t.user_profile_id = ANY ($1::bigint[])`,
    [ids.map(String), String(profile.userId)],
  );
  const ofUser = 'tokens WHERE user_profile_id = ANY ($1::bigint[])';
  const known = await count(`${ofUser} AND id % 3 = 0`, [ids.map(String)]);
  const { deactivatedCount } = await patient.accounts.updateUser({
    selector: byId({ id: profile.userId }),
    user: { isSuperuser: true },
    updateMask: ['is_superuser'],
  });
  expect(deactivatedCount).toBe(known);
  expect(await count(`${ofUser} AND is_active = (id % 3 <> 0)`, [ids.map(String)])).toBe(3 * MANY);
});

test('a promotion that is refused switches none of many tokens off', async () => {
  const profile = await knownToOthers();
  const scopes = ['keyward.accounts.write'];
  const { plaintext } = await world.issue('admin', { scopes });
  const narrow = world.client(plaintext);
  const promotion = narrow.accounts.updateUser({
    selector: byId({ id: profile.userId }),
    user: { isSuperuser: true },
    updateMask: ['is_superuser'],
  });
  // The token that stays may do everything.
  await expect(promotion).rejects.toMatchObject({ reason: 'SCOPE_NOT_HELD' });
  expect(await switchedOff(profile, 'owner_promoted')).toBe(0);
}, 300_000);

test('an owner of any number of secrets is deleted with force, each with its record', async () => {
  const profile = await newOwner(1);
  const ofProfile = [String(profile.id)];
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO secrets (user_profile_id, name, name_key)
       SELECT $1::bigint, 'many-' || n, 'many-' || n FROM generate_series(1, $2::int) n RETURNING id)
     INSERT INTO secret_versions (secret_id, number, state, format, destroyed_at)
     SELECT id, 1, 'DESTROYED', 'TEXT', now() FROM made`,
    [profile.id, OWNED],
  );
  const begun = await databaseNow();
  await patient.accounts.deleteUser({ selector: byId({ id: profile.userId }), force: true });
  expect(await largestSince(begun)).toBeLessThan(OWNED / 2);
  expect(await count('secrets WHERE user_profile_id = $1', ofProfile)).toBe(0);
  const purged = "audit_events WHERE action = 'SECRET_PURGED' AND resource_profile_id = $1";
  expect(await count(purged, ofProfile)).toBe(OWNED);
}, 300_000);

test('a statement with more values than 16 bits count is a fault of the program, a pooler without a connection is not', async () => {
  const { url } = world.database;
  const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 10_000, statementTimeoutMs: 10_000 });
  try {
    const ids = Array.from({ length: 65_536 }, (_, index) => String(index));
    const error: unknown = await knex('tokens')
      .whereIn('id', ids)
      .select('id')
      .catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: '08P01', severity: 'ERROR' });
    expect(translateDatabaseError(error)).toBe(error);
    const pooler = Object.assign(new Error('query_wait_timeout'), { code: '08P01', severity: 'FATAL' });
    expect(existing(translateDatabaseError(pooler))).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  } finally {
    await knex.destroy();
  }
});
