import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newestEvent, readEvents } from '../../support/audit.js';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import type { SmarterDatabase } from '../../support/smarter-source.js';
import { whyNoMariaDb } from '../../support/mariadb.js';
import { addKey, addUser, deleteUser, ENGINES, logOut, type Engine } from '../../support/smarter-platform.js';

const BOB = 3;
/** A user with one profile, three keys and no secrets. */
const HEIDI = 10;
const HEIDIS_ACCOUNT = 3;
const CHANGED_SINCE = { prefer: 'safer' as const };

for (const [name, start] of Object.entries(ENGINES)) {
  if (start === undefined) console.warn(`NOT TESTED: deletions from ${name} (${whyNoMariaDb()})`);

  describe.skipIf(start === undefined)(`from ${name}`, () => {
    let engine: Engine;
    let target: ImportTarget;
    let source: SmarterDatabase;

    beforeAll(async () => {
      if (start !== undefined) engine = await start();
    });

    beforeEach(async () => {
      target = await createImportTarget();
      source = await engine.create();
    });

    afterEach(async () => {
      await target.drop();
      await source.drop();
    });

    afterAll(async () => {
      await engine.stop();
    });

    const namesOf = (profileId: number): Promise<string[]> =>
      target.knex('tokens').where({ user_profile_id: profileId }).orderBy('name').pluck('name');

    test('a key that was logged out is revoked, with a record and a change for those who watch', async () => {
      await target.run(source.url);
      const [first, ...others] = await namesOf(HEIDI);
      const newest = await newestEvent(target.url);
      await logOut(source, `s.user_profile_id = ${HEIDI} AND s.name = '${first}'`);

      const report = await target.run(source.url);

      expect(report.counts.token).toMatchObject({ deleted: 1, created: 0 });
      expect(report.heldDeletions).toEqual([]);
      expect(await namesOf(HEIDI)).toEqual(others);
      const events = await readEvents(target.url, newest);
      expect(events.map(({ action }) => action)).toContain('TOKEN_DELETED');
      const feed = await target
        .knex('change_feed')
        .orderBy('revision', 'desc')
        .first<{ changes: unknown[] }>();
      expect(feed.changes).toMatchObject([{ kind: 'token', op: 'deleted' }]);
      expect((await target.run(source.url)).counts.token).toMatchObject({
        deleted: 0,
        leftOut: report.counts.token.leftOut,
      });
    });

    test('after all keys of a user are logged out none of them is left', async () => {
      await target.run(source.url);
      await logOut(source, `s.user_profile_id = ${HEIDI}`);
      expect((await target.run(source.url)).counts.token.deleted).toBe(3);
      expect(await namesOf(HEIDI)).toEqual([]);
    });

    test('a deleted user is gone with the keys, those that were made in Keyward too', async () => {
      await target.run(source.url);
      await target
        .knex('tokens')
        .insert({ key_id: crypto.randomUUID(), user_profile_id: HEIDI, name: 'own' });
      await deleteUser(source, HEIDI);

      const report = await target.run(source.url);

      expect(report.counts).toMatchObject({
        user: { deleted: 1 },
        user_profile: { deleted: 1 },
        token: { deleted: 3 },
      });
      expect(await namesOf(HEIDI)).toEqual([]);
      expect(await target.knex('users').where({ id: HEIDI })).toEqual([]);
      expect(await target.knex('user_profiles').where({ id: HEIDI })).toEqual([]);
      expect(await target.knex('import_records').where({ kind: 'user', source_key: String(HEIDI) })).toEqual(
        [],
      );
    });

    test('what a deleted user had in Keyward alone is deleted some at a time', async () => {
      await target.run(source.url);
      const made = 1_200;
      await target.knex.raw(
        `INSERT INTO tokens (key_id, user_profile_id, name)
         SELECT gen_random_uuid(), ?, 'made here ' || n FROM generate_series(1, ?::integer) AS n`,
        [HEIDI, made],
      );
      await deleteUser(source, HEIDI);

      await target.run(source.url);

      expect(await target.knex('user_profiles').where({ id: HEIDI })).toEqual([]);
      // Each transaction has a number of its own, which its rows keep.
      const { rows } = await target.knex.raw<{ rows: { records: number }[] }>(
        `SELECT count(*)::integer AS records FROM audit_events WHERE action = 'TOKEN_DELETED' GROUP BY xmin::text`,
      );
      const counts = rows.map(({ records }) => records);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(made);
      expect(Math.max(...counts)).toBeLessThanOrEqual(500);
    });

    test('secrets of a deleted user can be brought back for a while, and the user is deleted after them', async () => {
      await target.run(source.url);
      await deleteUser(source, BOB);
      const options = { deletions: { mode: 'apply' as const, maxPercent: 30, force: false } };

      const report = await target.run(source.url, options);

      const secrets = (): Promise<{ deleted_at: unknown }[]> =>
        target.knex('secrets').where({ user_profile_id: BOB }).select('deleted_at');
      expect(report.counts.secret.deleted).toBe(17);
      expect(await secrets()).toHaveLength(17);
      expect((await secrets()).filter(({ deleted_at: at }) => at === null)).toEqual([]);
      expect(await target.knex('users').where({ id: BOB }).first()).toMatchObject({
        is_active: false,
        username: `bob (deleted ${BOB})`,
      });
      expect((await target.run(source.url)).counts.user.deleted).toBe(0);
      await target.knex('secrets').where({ user_profile_id: BOB }).delete();
      await target.run(source.url);
      expect(await target.knex('users').where({ id: BOB })).toEqual([]);
    });

    test('a username that is used again is that of the new user: the new key is good and the old one unknown', async () => {
      await target.run(source.url);
      await deleteUser(source, BOB);
      await addUser(source, 500, 'bob', 2);
      const digest = await addKey(source, 500, 500, 'new');

      const report = await target.run(source.url, {
        deletions: { mode: 'apply', maxPercent: 30, force: false },
      });

      expect(report.notes.filter(({ what }) => what.includes('belongs to another'))).toEqual([]);
      expect(await namesOf(BOB)).toEqual([]);
      expect([...(await target.tokens()).values()].find((token) => token.digest === digest)).toMatchObject({
        user_profile_id: 500n,
        is_active: true,
      });
      expect(await target.knex('users').where({ username: 'bob' }).pluck('id')).toEqual([500n]);
    });

    test('a user who joins an account again has a new profile there', async () => {
      await target.run(source.url);
      await source.run(`DELETE FROM secret_secret WHERE user_profile_id = ${HEIDI}`);
      await logOut(source, `s.user_profile_id = ${HEIDI}`);
      await source.run(`DELETE FROM account_userprofile WHERE id = ${HEIDI};
        INSERT INTO account_userprofile (id, name, is_test, account_id, user_id)
        VALUES (501, 'again', false, ${HEIDIS_ACCOUNT}, ${HEIDI})`);
      const digest = await addKey(source, 501, HEIDI, 'again');

      await target.run(source.url);

      expect(await target.knex('user_profiles').where({ user_id: HEIDI }).pluck('id')).toEqual([501n]);
      expect([...(await target.tokens()).values()].find((token) => token.digest === digest)).toMatchObject({
        user_profile_id: 501n,
      });
    });

    test('a key that moves to another profile outlives the profile that it had', async () => {
      await target.run(source.url);
      await source.run(`
        DELETE FROM secret_secret WHERE user_profile_id = ${HEIDI};
        UPDATE drf_smarterauthtoken SET user_profile_id = 8 WHERE user_profile_id = ${HEIDI};
        UPDATE knox_authtoken SET user_id = 8 WHERE user_id = ${HEIDI}`);
      await deleteUser(source, HEIDI);

      const report = await target.run(source.url);

      expect(report.counts.token.deleted).toBe(0);
      expect(await namesOf(8)).toHaveLength(3);
      expect(await target.knex('users').where({ id: HEIDI })).toEqual([]);
    });

    test('more than may be deleted deletes nothing, unless it is forced', async () => {
      await target.run(source.url);
      const before = await target.contents();
      await logOut(source, 's.user_profile_id IN (2, 3)');
      await source.run('DELETE FROM secret_secret WHERE user_profile_id = 9');

      const held = await target.run(source.url);

      expect(held.heldDeletions).toEqual([{ kind: 'token', vanished: 20, allowed: 5 }]);
      expect(await target.contents()).toEqual(before);
      expect(held.notes.filter(({ what }) => what.includes('it stays in Keyward'))).toHaveLength(21);
      const forced = await target.run(source.url, {
        deletions: { mode: 'apply', maxPercent: 10, force: true },
      });
      expect(forced.counts).toMatchObject({ token: { deleted: 20 }, secret: { deleted: 1 } });
    });

    test('an empty source deletes nothing, whatever is forced', async () => {
      await target.run(source.url);
      const before = await target.contents();
      await source.run(`
        DELETE FROM drf_smarterauthtoken; DELETE FROM knox_authtoken; DELETE FROM secret_secret;
        DELETE FROM account_userprofile; DELETE FROM auth_user_groups; DELETE FROM auth_user_user_permissions;
        DELETE FROM auth_user`);

      const report = await target.run(source.url, {
        deletions: { mode: 'apply', maxPercent: 100, force: true },
      });

      expect(report.heldDeletions).toEqual([{ kind: 'user', vanished: 13, allowed: 0 }]);
      expect(await target.contents()).toEqual(before);
    });

    test('with report nothing is deleted, and with a dry run neither', async () => {
      await target.run(source.url);
      const before = await target.contents();
      await logOut(source, `s.user_profile_id = ${HEIDI}`);

      const told = await target.run(source.url, {
        deletions: { mode: 'report', maxPercent: 10, force: false },
      });
      const dry = await target.run(source.url, { dryRun: true });

      expect(told.notes.filter(({ what }) => what.includes('it stays in Keyward'))).toHaveLength(3);
      expect(dry.counts.token.deleted).toBe(3);
      expect(await target.contents()).toEqual(before);
    });

    test('what was changed in Keyward since is a conflict, and a key of that sort is off', async () => {
      await target.run(source.url, CHANGED_SINCE);
      const [renamed, rotated, off] = await namesOf(HEIDI);
      await target
        .knex('tokens')
        .where({ user_profile_id: HEIDI, name: renamed })
        .update({ name: 'renamed here' });
      await target
        .knex('token_digests')
        .whereIn(
          'token_id',
          target.knex('tokens').where({ user_profile_id: HEIDI, name: rotated }).select('id'),
        )
        .update({ digest: Buffer.alloc(64) });
      await target.knex('tokens').where({ user_profile_id: HEIDI, name: off }).update({ is_active: false });
      await logOut(source, `s.user_profile_id = ${HEIDI}`);

      const report = await target.run(source.url, CHANGED_SINCE);

      // That it is gone agrees with being off.
      expect(report.counts.token.deleted).toBe(1);
      expect(report.openConflicts).toBe(2);
      expect(
        await target
          .knex('tokens')
          .where({ user_profile_id: HEIDI })
          .orderBy('name')
          .select('name', 'is_active'),
      ).toEqual([rotated, 'renamed here'].sort().map((each) => ({ name: each, is_active: false })));
      const again = await target.run(source.url, CHANGED_SINCE);
      expect(again).toMatchObject({ openConflicts: 2, heldDeletions: [] });
      expect(again.counts.token.deleted).toBe(0);
    });

    test('a user who was in Keyward before, and the admin, stay', async () => {
      await target.knex('users').insert({ username: 'heidi', is_active: true });
      await target.run(source.url);
      const users = () => target.knex('users').orderBy('id').select('username', 'is_active');
      const before = await users();
      await deleteUser(source, HEIDI);
      await deleteUser(source, 1);

      const report = await target.run(source.url, {
        deletions: { mode: 'apply', maxPercent: 20, force: false },
      });

      expect(await users()).toEqual(before);
      expect(report.notes.filter(({ what }) => what.startsWith('conflict: it is gone'))).toHaveLength(3);
    });
  });
}
