import { createHash, randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newestEvent, readEvents } from '../../support/audit.js';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { createSmarterDatabase, type SmarterDatabase } from '../../support/smarter-source.js';

// Users of the source, who have profiles of the same numbers, and an account to which neither of the first two belongs.
const ALICE = 2;
const BOB = 3;
const DAVE_SUPERUSER = 6;
const IVAN = 11;
const IVANS_SECOND_PROFILE = 12;
const NO_PROFILE = 13;
const OTHER_ACCOUNT = 3;

let target: ImportTarget;
let source: SmarterDatabase;

beforeEach(async () => {
  target = await createImportTarget();
  source = await createSmarterDatabase();
  await source.run(`UPDATE auth_user SET is_staff = false WHERE id = ${BOB}`);
});

afterEach(async () => {
  await target.drop();
  await source.drop();
});

type Issuer = number | null;

/** issue makes a token in Keyward, which this user was given. */
async function issue(profileId: number, name: string, issuer: Issuer): Promise<void> {
  const [made] = await target
    .knex('tokens')
    .insert({ key_id: randomUUID(), user_profile_id: profileId, name })
    .returning<{ id: bigint }[]>('id');
  await giveOut(String(made?.id), issuer);
}

/** giveOut adds a plaintext to a token. */
async function giveOut(tokenId: string, issuer: Issuer): Promise<void> {
  await target.knex('token_digests').insert({
    digest: createHash('sha512').update(tokenId).digest(),
    token_id: tokenId,
    token_key: '',
    issued_by_user_id: issuer,
    issued_by_username: issuer === null ? null : `user ${issuer}`,
  });
}

/** issueOfEverySort gives a profile a token that someone else knows, and others that stay whatever happens. */
async function issueOfEverySort(profileId: number, owner: number): Promise<void> {
  await issue(profileId, `${profileId} foreign`, ALICE);
  await issue(profileId, `${profileId} own`, owner);
  await issue(profileId, `${profileId} unknown`, null);
  await issue(profileId, `${profileId} expired`, ALICE);
  const expired = { name: `${profileId} expired` };
  await target.knex('tokens').where(expired).update({ expires_at: '2020-01-01T00:00:00Z' });
}

/** tokensOff are the names of the tokens that are switched off now, and were not. */
async function tokensOff(before: ReadonlySet<string>): Promise<string[]> {
  const names = await target.knex('tokens').where({ is_active: false }).orderBy('id').pluck<string[]>('name');
  return names.filter((name) => !before.has(name));
}

/** importAgain imports what was changed in the source, and tells which tokens were switched off for it. */
async function importAgain(options: Parameters<ImportTarget['run']>[1] = {}) {
  const before = new Set(await tokensOff(new Set()));
  const newest = await newestEvent(target.url);
  const report = await target.run(source.url, options);
  const off = await tokensOff(before);
  const events = await readEvents(target.url, newest);
  return { report, off, events };
}

const RISES = {
  'is made a superuser': {
    sql: `UPDATE auth_user SET is_superuser = true WHERE id = ${BOB}`,
    cause: 'owner_promoted',
    note: 'its owner was promoted',
  },
  'is made staff': {
    sql: `UPDATE auth_user SET is_staff = true WHERE id = ${BOB}`,
    cause: 'owner_promoted',
    note: 'its owner was promoted',
  },
  'gets a profile in another account': {
    sql: `INSERT INTO account_userprofile (id, name, is_test, account_id, user_id)
      VALUES (500, 'new', false, ${OTHER_ACCOUNT}, ${BOB})`,
    cause: 'owner_joined_account',
    note: 'its owner joined another account',
  },
  'moves to another account': {
    sql: `UPDATE account_userprofile SET account_id = ${OTHER_ACCOUNT} WHERE id = ${BOB}`,
    cause: 'owner_joined_account',
    note: 'its owner joined another account',
  },
};

describe.each(Object.entries(RISES))('when a user of the source %s', (_, { sql, cause, note }) => {
  test('tokens that someone else issued in Keyward are off, and no others; another import changes nothing', async () => {
    await target.run(source.url);
    await issueOfEverySort(BOB, BOB);
    await issueOfEverySort(IVAN, IVAN);
    // A key of the platform that somebody has rotated in Keyward: the new plaintext is not the platform's.
    const imported = await target
      .knex('tokens')
      .where({ user_profile_id: BOB, is_active: true, expires_at: null })
      .whereNot('name', 'like', `${BOB} %`)
      .orderBy('id')
      .first<{ id: bigint; name: string }>();
    await target
      .knex('token_digests')
      .where({ token_id: String(imported.id) })
      .update({ retires_at: new Date('2999-01-01') });
    await giveOut(String(imported.id), ALICE);
    await source.run(sql);

    const { report, off, events } = await importAgain();

    expect(off).toEqual([imported.name, `${BOB} foreign`]);
    expect(report.deactivatedTokens).toBe(2);
    const notes = report.notes.filter(({ what }) => what.startsWith('switched off'));
    expect(notes.map(({ kind, what }) => [kind, what])).toEqual(
      Array(2).fill(['token', `switched off: ${note}, and someone else had issued it in Keyward`]),
    );
    expect(events.filter(({ action }) => action === 'TOKEN_DEACTIVATED')).toMatchObject(
      Array(2).fill({ actor: 'operator', kind: 'token', outcome: 'OK', detail: { cause } }),
    );
    const { report: second, off: none } = await importAgain();
    expect([second.deactivatedTokens, second.counts.token.updated, none]).toEqual([0, 0, []]);
  });
});

test('they stay where the import says so, which is recorded', async () => {
  await target.run(source.url);
  await issueOfEverySort(BOB, BOB);
  await source.run(`${RISES['is made staff'].sql}; ${RISES['gets a profile in another account'].sql}`);
  const { report, off, events } = await importAgain({ keepTokens: true });
  expect([report.deactivatedTokens, off]).toEqual([0, []]);
  const kept = { action: 'DATA_IMPORTED', detail: { keep_tokens: 'true' } };
  expect(events).toMatchObject([kept, kept]);
});

test('what gives a user no rights switches nothing off', async () => {
  await target.run(source.url);
  await issueOfEverySort(DAVE_SUPERUSER, DAVE_SUPERUSER);
  await issueOfEverySort(BOB, BOB);
  await source.run(`
    INSERT INTO account_userprofile (id, name, is_test, account_id, user_id)
      VALUES (500, 'new', false, ${OTHER_ACCOUNT}, ${DAVE_SUPERUSER});
    UPDATE auth_user SET is_staff = NOT is_staff WHERE id = ${DAVE_SUPERUSER};
    UPDATE auth_user SET email = 'a@example.com' WHERE id = ${BOB};
    UPDATE account_userprofile SET description = 'new' WHERE id = ${BOB}`);
  const { report, off } = await importAgain();
  expect(report.counts.user.updated).toBe(2);
  expect([report.deactivatedTokens, off]).toEqual([0, []]);
});

test('a profile or token that goes to another user takes along no plaintext that someone else has', async () => {
  await target.run(source.url);
  await issueOfEverySort(IVANS_SECOND_PROFILE, IVAN);
  await issueOfEverySort(DAVE_SUPERUSER, DAVE_SUPERUSER);
  const moved = await target
    .knex('tokens')
    .where({ user_profile_id: BOB, is_active: true, expires_at: null })
    .orderBy('id')
    .first<{ id: bigint; name: string; key_id: string }>();
  await target
    .knex('token_digests')
    .where({ token_id: String(moved.id) })
    .update({ issued_by_user_id: ALICE });
  await source.run(`
    UPDATE account_userprofile SET user_id = ${NO_PROFILE} WHERE id = ${IVANS_SECOND_PROFILE};
    UPDATE knox_authtoken SET user_id = ${NO_PROFILE} WHERE digest IN (
      SELECT authtoken_ptr_id FROM drf_smarterauthtoken WHERE user_profile_id = ${IVANS_SECOND_PROFILE});
    UPDATE knox_authtoken SET user_id = ${DAVE_SUPERUSER} WHERE digest IN (
      SELECT authtoken_ptr_id FROM drf_smarterauthtoken WHERE key_id = '${moved.key_id}');
    UPDATE drf_smarterauthtoken SET user_profile_id = ${DAVE_SUPERUSER} WHERE key_id = '${moved.key_id}'`);

  const { off, events } = await importAgain();

  // What its old owner was given is somebody else's now.
  const both = ['foreign', 'own'].map((sort) => `${IVANS_SECOND_PROFILE} ${sort}`);
  expect(off).toEqual([moved.name, ...both]);
  const causes = events.flatMap(({ action, detail }) =>
    action === 'TOKEN_DEACTIVATED' ? detail['cause'] : [],
  );
  expect(causes).toEqual(['owner_changed', 'owner_changed', 'owner_changed']);
});

test('a user of Keyward whom the source promotes keeps own tokens, also under a new number', async () => {
  await target.knex.raw(`
    INSERT INTO accounts (account_number, name) VALUES ('0732-0183-4879', 'here');
    INSERT INTO users (username) VALUES ('bob'), ('stranger');
    INSERT INTO user_profiles (user_id, account_id, name)
      SELECT u.id, a.id, 'bob' FROM users u, accounts a WHERE u.username = 'bob'`);
  const [user] = await target.knex('users').where({ username: 'bob' }).pluck<bigint[]>('id');
  const [stranger] = await target.knex('users').where({ username: 'stranger' }).pluck<bigint[]>('id');
  const [profile] = await target.knex('user_profiles').pluck<bigint[]>('id');
  await issue(Number(profile), 'own', Number(user));
  await issue(Number(profile), 'foreign', Number(stranger));

  await source.run(RISES['is made staff'].sql);

  const { report, off } = await importAgain();

  expect(report.counts.user.merged).toBe(1);
  expect(await target.knex('users').where({ id: BOB }).first()).toMatchObject({
    username: 'bob',
    is_staff: true,
  });
  expect(off.filter((name) => ['own', 'foreign'].includes(name))).toEqual(['foreign']);
  expect(report.deactivatedTokens).toBe(1);
});

test('a dry run tells of them and leaves them on', async () => {
  await target.run(source.url);
  await issueOfEverySort(BOB, BOB);
  await source.run(RISES['is made staff'].sql);
  const { report, off, events } = await importAgain({ dryRun: true });
  expect([report.deactivatedTokens, off, events]).toEqual([1, [], []]);
});

test('a token that is being made for a user is not missed', async () => {
  await target.run(source.url);
  await source.run(RISES['gets a profile in another account'].sql);
  const client = new pg.Client({ connectionString: target.url });
  await client.connect();
  try {
    await client.query('BEGIN');
    // As CreateToken does: the lock, then the token.
    await client.query(`SELECT FROM users WHERE id = ${BOB} FOR SHARE`);
    const importing = importAgain();
    const waiting = () =>
      target.knex('pg_stat_activity').whereRaw("datname = current_database() AND wait_event_type = 'Lock'");
    await expect.poll(waiting, { timeout: 20_000 }).not.toHaveLength(0);
    await client.query(
      `WITH made AS (
         INSERT INTO tokens (key_id, user_profile_id, name)
         VALUES (gen_random_uuid(), ${BOB}, 'late') RETURNING id)
       INSERT INTO token_digests (digest, token_id, token_key, issued_by_user_id)
       SELECT sha512(id::text::bytea), id, '', ${ALICE} FROM made`,
    );
    await client.query('COMMIT');
    expect((await importing).off).toEqual(['late']);
  } finally {
    await client.end();
  }
});
