import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import type { ExportReport } from '../../../../src/smarter/export/export-report.js';
import {
  PATIENCE,
  startExportFollower,
  startImportFollower,
  type Running,
} from '../../../support/follower.js';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { addKey, addSecret, ENGINES, logOut, type Engine } from '../../../support/smarter-platform.js';
import { readExpected, type SmarterDatabase, type StoredToken } from '../../../support/smarter-source.js';

/** alice's profile, and her user. */
const [PROFILE, USER] = [2, 2];

for (const [name, start] of Object.entries(ENGINES)) {
  describe.skipIf(start === undefined)(`both directions with ${name}`, () => {
    let engine: Engine;
    let source: SmarterDatabase;
    let target: ImportTarget;
    let back: Running<ExportReport>;
    let followers: { stop(): Promise<void>; round(): Promise<void> }[];
    let keys: StoredToken[];

    beforeAll(async () => {
      engine = await (start as () => Promise<Engine>)();
      const expected = await readExpected();
      keys = expected.tokens.filter(({ is_active: isOn, expiry }) => isOn && expiry === null);
    });

    afterAll(() => engine.stop());

    beforeEach(async () => {
      source = await engine.create();
      target = await createImportTarget();
      const there = await startImportFollower(target, source.url);
      back = await startExportFollower(target, source.url);
      followers = [there, back];
    });

    afterEach(async () => {
      for (const follower of followers) await follower.stop();
      await target.drop();
      await source.drop();
    });

    function keyAt(index: number): StoredToken {
      const key = keys[index];
      if (!key) throw new Error('there are too few keys');
      return key;
    }

    async function read(sql: string): Promise<Record<string, string | null>[]> {
      const there = await connectSource(source.url);
      try {
        const rows: Record<string, string | null>[] = [];
        for await (const batch of there.rows(sql, 100)) rows.push(...batch);
        return rows;
      } finally {
        await there.close();
      }
    }

    async function keyThere(digest: string): Promise<Record<string, string | null> | undefined> {
      const [row] = await read(
        `SELECT name, description, is_active, last_used_at FROM drf_smarterauthtoken WHERE authtoken_ptr_id = '${digest}'`,
      );
      return row;
    }

    async function makeToken(tokenName: string): Promise<string> {
      const keyId = randomUUID();
      const columns = { key_id: keyId, user_profile_id: PROFILE, name: tokenName, created_at: '2026-01-01Z' };
      await target.knex.transaction(async (trx) => {
        const [made] = await trx('tokens').insert(columns).returning<{ id: bigint }[]>('id');
        await trx.raw(
          `INSERT INTO token_digests (digest, token_id, token_key) VALUES (sha512(?::bytea), ?, 'made')`,
          [keyId, String(made?.id)],
        );
      });
      return (await target.tokens()).get(keyId)?.digest ?? '';
    }

    async function quiet(): Promise<void> {
      for (const follower of followers) await follower.round();
    }

    /** written is all that both sides hold, with what tells that a row was written again. */
    async function written(): Promise<unknown> {
      const stamps = name === 'PostgreSQL' ? ', xmin AS version' : '';
      const platform = [];
      for (const table of ['knox_authtoken', 'drf_smarterauthtoken', 'secret_secret', 'taggit_taggeditem'])
        platform.push(await read(`SELECT row_.* ${stamps} FROM ${table} row_ ORDER BY 1`));
      return [await target.newestWrites(), platform];
    }

    test('what is made, changed, used and revoked in Keyward is so on the platform', async () => {
      const [changed, off, used, revoked] = [keyAt(0), keyAt(1), keyAt(2), keyAt(3)];
      const made = await makeToken('made in Keyward');
      await target
        .knex('tokens')
        .where({ key_id: changed.key_id })
        .update({ description: 'changed in Keyward' });
      await target.knex('tokens').where({ key_id: off.key_id }).update({ is_active: false });
      await target
        .knex('tokens')
        .where({ key_id: used.key_id })
        .update({ last_used_at: target.knex.fn.now() });
      await target.knex('tokens').where({ key_id: revoked.key_id }).delete();

      await vi.waitFor(async () => {
        expect(await keyThere(made)).toMatchObject({ name: 'made in Keyward', is_active: 't' });
        expect(await keyThere(changed.digest)).toMatchObject({ description: 'changed in Keyward' });
        expect(await keyThere(off.digest)).toMatchObject({ is_active: 'f' });
        expect((await keyThere(used.digest))?.['last_used_at']).not.toBe(used.last_used_at);
        expect(await keyThere(revoked.digest)).toBeUndefined();
      }, PATIENCE);
      expect(back.told).toEqual(['in step']);
    });

    test('neither takes what the other wrote for a change: both are quiet after changes on both sides', async () => {
      const [here, there, both] = [keyAt(0), keyAt(1), keyAt(2)];
      const made = await makeToken('made in Keyward');
      const madeThere = await addKey(source, PROFILE, USER, 'made in Django');
      await addSecret(source, 800, 1, "name = 'made in Django'");
      await target.knex('tokens').where({ key_id: here.key_id }).update({ is_active: false });
      await target.knex('secrets').where({ id: 2 }).update({ description: 'changed in Keyward' });
      await logOut(source, `s.authtoken_ptr_id = '${there.digest}'`);
      await target.knex('tokens').where({ key_id: both.key_id }).update({ description: 'Keyward says' });
      await source.run(
        `UPDATE drf_smarterauthtoken SET description = 'Django says' WHERE authtoken_ptr_id = '${both.digest}'`,
      );
      await vi.waitFor(async () => {
        const tokens = [...(await target.tokens()).values()];
        expect(tokens.map(({ digest }) => digest)).toContain(madeThere);
        expect(tokens.map(({ digest }) => digest)).not.toContain(there.digest);
        expect((await target.secrets()).has(800)).toBe(true);
        expect(await keyThere(made)).toBeDefined();
        expect((await keyThere(here.digest))?.['is_active']).toBe('f');
        const here_ = tokens.find(({ digest }) => digest === both.digest)?.description;
        expect((await keyThere(both.digest))?.['description']).toBe(here_);
      }, PATIENCE);

      await quiet();
      const before = await written();
      await quiet();
      expect(await written()).toEqual(before);
    });

    test('what an import left to the value of Keyward goes to the platform, although it is no change here', async () => {
      const key = keyAt(4);
      await target.knex.raw(
        `UPDATE import_records SET fields = fields || '{"description": "of the platform"}'
         WHERE kind = 'token' AND source_key = ?`,
        [key.key_id],
      );
      await source.run(
        `UPDATE drf_smarterauthtoken SET description = 'of the platform' WHERE authtoken_ptr_id = '${key.digest}'`,
      );
      await vi.waitFor(async () => {
        expect((await keyThere(key.digest))?.['description'] ?? '').toBe(key.description ?? '');
      }, PATIENCE);
    });
  });
}
