import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { translateDatabaseError } from '../../../src/db/pg-errors.js';
import { connect, type KeywardClient, type UserProfile } from '../../../src/client/index.js';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { byId } from '../../support/requests.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, existing, World } from '../../support/world.js';

/** Enough for a revocation to be broken off in the midst of it. */
const VERY_MANY = 10_000;
/** More than are deleted in one transaction. */
const MANY = 1_200;
const PATIENCE = { timeout: 60_000, interval: 5 };

let world: World;
let patient: KeywardClient;

beforeAll(async () => {
  world = await World.create();
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
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1::bigint, $1::text || '-' || n FROM generate_series(1, $2::int) n RETURNING id, name)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(name::bytea), id, '' FROM made`,
    [profile.id, tokens],
  );
  return profile;
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
       SELECT gen_random_uuid(), user_profile_id, ' ' FROM old_rows OFFSET 500 LIMIT 1 ON CONFLICT DO NOTHING;
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
