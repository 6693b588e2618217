import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  beginImportFollower,
  PATIENCE,
  startImportFollower,
  type Running,
} from '../../../support/follower.js';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import {
  addKey,
  addSecret,
  addUser,
  deleteUser,
  ENGINES,
  logOut,
  type Engine,
} from '../../../support/smarter-platform.js';
import { readExpected, type SmarterDatabase, type StoredToken } from '../../../support/smarter-source.js';

/** alice's profile, and her user. */
const [PROFILE, USER] = [2, 2];

for (const [name, start] of Object.entries(ENGINES)) {
  describe.skipIf(start === undefined)(`a follower of ${name}`, () => {
    let engine: Engine;
    let source: SmarterDatabase;
    let target: ImportTarget;
    let follower: Running;
    let keys: StoredToken[];

    beforeAll(async () => {
      engine = await (start as () => Promise<Engine>)();
      keys = (await readExpected()).tokens.filter(({ is_active: isOn, expiry }) => isOn && expiry === null);
    });

    afterAll(() => engine.stop());

    beforeEach(async () => {
      source = await engine.create();
      target = await createImportTarget();
      follower = await startImportFollower(target, source.url);
    });

    afterEach(async () => {
      await follower.stop();
      await target.drop();
      await source.drop();
    });

    function keyAt(index: number): StoredToken {
      const key = keys[index];
      if (!key) throw new Error('there are too few keys');
      return key;
    }

    async function digests(): Promise<string[]> {
      return [...(await target.tokens()).values()].map(({ digest }) => digest);
    }

    test('takes everything over first, and is quiet when nothing changes', async () => {
      await target.expectEverythingTaken();
      const writes = await target.newestWrites();
      await follower.round();
      expect(await target.newestWrites()).toEqual(writes);
      expect(follower.reports).toHaveLength(1);
      expect(follower.told).toEqual(['in step']);
    });

    test('sees what Django saves, what it updates without a time, what it makes and what it deletes', async () => {
      const [saved, updated, gone] = [keyAt(0), keyAt(1), keyAt(2)];
      const now = name === 'PostgreSQL' ? 'now()' : 'UTC_TIMESTAMP(6)';
      await source.run(
        `UPDATE drf_smarterauthtoken SET is_active = false, updated_at = ${now} WHERE authtoken_ptr_id = '${saved.digest}'`,
      );
      await source.run(
        `UPDATE drf_smarterauthtoken SET is_active = false WHERE authtoken_ptr_id = '${updated.digest}'`,
      );
      await logOut(source, `s.authtoken_ptr_id = '${gone.digest}'`);
      const made = await addKey(source, PROFILE, USER, 'made while it follows');

      await vi.waitFor(async () => {
        const tokens = await target.tokens();
        expect(tokens.get(saved.key_id)?.is_active).toBe(false);
        expect(tokens.get(updated.key_id)?.is_active).toBe(false);
        expect(tokens.has(gone.key_id)).toBe(false);
        expect(await digests()).toContain(made);
      }, PATIENCE);
    });

    test('sees what happens to knox rows, secrets, tags, users and accounts', async () => {
      const [key] = [keyAt(0)];
      await source.run(
        `UPDATE knox_authtoken SET expiry = '2036-01-01 00:00:00' WHERE digest = '${key.digest}'`,
      );
      await addSecret(source, 700, 1, "name = 'made while it follows'");
      await source.run("UPDATE secret_secret SET name = 'renamed while it follows' WHERE id = 2");
      await source.run("UPDATE auth_user SET is_active = false WHERE username = 'alice'");
      await source.run('UPDATE account_account SET is_active = false WHERE id = 2');
      await source.run("UPDATE taggit_tag SET name = 'renamed-tag' WHERE id = 1");

      await vi.waitFor(async () => {
        expect((await target.tokens()).get(key.key_id)?.expires_at).not.toBeNull();
        const secrets = await target.secrets();
        expect(secrets.get(700)?.name).toBe('made while it follows');
        expect(secrets.get(2)?.name).toBe('renamed while it follows');
        expect(secrets.get(1)?.tags).toContain('renamed-tag');
        expect(await target.knex('users').where({ username: 'alice' }).first()).toMatchObject({
          is_active: false,
        });
        expect(await target.knex('accounts').where({ id: 2 }).first()).toMatchObject({ is_active: false });
      }, PATIENCE);
    });

    test('follows identities, not names: a user made again, with a key and a secret of the same names', async () => {
      await addUser(source, 900, 'carol', 2);
      const first = await addKey(source, 900, 900, 'the key');
      await addSecret(source, 900, 1, "name = 'the secret', user_profile_id = 900");
      await vi.waitFor(async () => expect(await digests()).toContain(first), PATIENCE);
      await deleteUser(source, 900);
      await addUser(source, 901, 'carol', 2);
      const second = await addKey(source, 901, 901, 'the key');
      await addSecret(source, 901, 2, "name = 'the secret', user_profile_id = 901");

      await vi.waitFor(async () => {
        expect(await digests()).toContain(second);
        expect(await digests()).not.toContain(first);
        expect(await target.knex('users').where({ username: 'carol' }).select('id')).toEqual([{ id: 901n }]);
        expect((await target.secrets()).get(901)).toMatchObject({
          name: 'the secret',
          user_profile_id: 901n,
        });
      }, PATIENCE);
    });

    test('a key that was deleted and made again under its name keeps the name', async () => {
      const old = keyAt(0);
      await logOut(source, `s.authtoken_ptr_id = '${old.digest}'`);
      const made = await addKey(source, old.user_profile_id, USER, old.name);
      await vi.waitFor(async () => {
        const tokens = [...(await target.tokens()).values()];
        expect(tokens.find(({ digest }) => digest === made)?.name).toBe(old.name);
      }, PATIENCE);
    });

    test('deletes nothing where the source lacks too much, says so, and goes on', async () => {
      await logOut(source, 's.is_active');
      await vi.waitFor(() => expect(follower.status.heldDeletions).toBeGreaterThan(3), PATIENCE);
      expect((await target.tokens()).size).toBe((await readExpected()).tokens.length);
      const made = await addKey(source, PROFILE, USER, 'made afterwards');
      await vi.waitFor(async () => expect(await digests()).toContain(made), PATIENCE);
      expect(follower.status.heldDeletions).toBeGreaterThan(3);
    });

    test('a second follower waits, says so, and takes over when the first one ends', async () => {
      const second = await beginImportFollower(target, source.url);
      try {
        await vi.waitFor(() => expect(second.told.join()).toContain('another follower is at work'), PATIENCE);
        expect(second.status).toMatchObject({ cycles: 0, isFollowing: false });
        await follower.stop();
        await vi.waitFor(() => expect(second.status.cycles).toBeGreaterThan(0), PATIENCE);
      } finally {
        await second.stop();
      }
    });
  });
}
