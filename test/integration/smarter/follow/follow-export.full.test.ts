import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import type { Keyring } from '../../../../src/crypto/keyring.js';
import type { ExportReport } from '../../../../src/smarter/export/export-report.js';
import { readValue } from '../../../../src/smarter/secret-value.js';
import { addVersions } from '../../../../src/smarter/secret-versions.js';
import {
  PATIENCE,
  startExportFollower,
  startImportFollower,
  type Running,
} from '../../../support/follower.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../../support/import-target.js';
import { addKey, addSecret, ENGINES, logOut, type Engine } from '../../../support/smarter-platform.js';
import {
  keysOf,
  readExpected,
  type SmarterDatabase,
  type StoredToken,
} from '../../../support/smarter-source.js';

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
    let keyring: Keyring;

    beforeAll(async () => {
      engine = await (start as () => Promise<Engine>)();
      const expected = await readExpected();
      keyring = ringOf(...keysOf(expected));
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

    async function makeToken(tokenName: string, more: Record<string, unknown> = {}): Promise<string> {
      const keyId = randomUUID();
      const own = { key_id: keyId, user_profile_id: PROFILE, name: tokenName, created_at: '2026-01-01Z' };
      const columns = { ...own, ...more };
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

    test('what a use on the platform saves once more, as it was before, is written again', async () => {
      const [off, revoked] = [keyAt(0), keyAt(1)];
      const copies = { knox_authtoken: 'digest', drf_smarterauthtoken: 'authtoken_ptr_id' };
      for (const table of Object.keys(copies))
        await source.run(`CREATE TABLE read_${table} AS SELECT * FROM ${table}`);
      await target.knex('tokens').where({ key_id: off.key_id }).update({ is_active: false });
      await target.knex('tokens').where({ key_id: revoked.key_id }).delete();
      const settled = async (): Promise<void> => {
        expect((await keyThere(off.digest))?.['is_active']).toBe('f');
        expect(await keyThere(revoked.digest)).toBeUndefined();
      };
      await vi.waitFor(settled, PATIENCE);
      await quiet();

      // Django saves whole rows.
      const now = new Date().toISOString().slice(0, 19).replace('T', ' ');
      await source.run(
        `UPDATE drf_smarterauthtoken SET is_active = true, last_used_at = '${now}' WHERE authtoken_ptr_id = '${off.digest}'`,
      );
      for (const [table, key] of Object.entries(copies)) {
        await source.run(
          `INSERT INTO ${table} SELECT * FROM read_${table} r WHERE r.${key} = '${revoked.digest}'`,
        );
      }
      await vi.waitFor(settled, PATIENCE);
      expect((await target.tokens()).get(off.key_id)?.is_active).toBe(false);
      expect((await target.tokens()).has(revoked.key_id)).toBe(false);
    });

    test('what an export wrote, and was killed before it could remember, is no other key and no other secret', async () => {
      for (const follower of followers) await follower.stop();
      const made = await makeToken('made in Keyward', { scopes: ['keyward:token.validate'] });
      await target.knex.transaction(async (trx) => {
        const columns = { user_profile_id: PROFILE, name: 'made', name_key: 'made' };
        const [secret] = await trx('secrets').insert(columns).returning<{ id: bigint }[]>('id');
        const value = readValue(keyring.encryptWith(keyring.primaryId, Buffer.from('a value')), keyring);
        const place = { secretId: String(secret?.id), number: 1 };
        await addVersions(trx, keyring, [{ ...place, value, createdAt: null }]);
      });
      const records = await target
        .knex('import_records')
        .select<{ kind: string; source_key: string }[]>('kind', 'source_key');
      back = await startExportFollower(target, source.url);
      await back.stop();
      await target
        .knex('import_records')
        .whereNotIn(
          ['kind', 'source_key'],
          records.map(({ kind, source_key: key }) => [kind, key]),
        )
        .update({ announced: target.knex.ref('fields'), fields: {} });
      const tokens = await target.tokens();
      const secrets = await target.secrets();

      followers = [
        await startImportFollower(target, source.url),
        await startExportFollower(target, source.url),
      ];
      await quiet();
      expect((await target.tokens()).size).toBe(tokens.size);
      expect((await target.secrets()).size).toBe(secrets.size);
      expect([...(await target.tokens()).values()].find(({ digest }) => digest === made)).toMatchObject({
        is_active: true,
      });
      const madeThere = `SELECT key_id FROM drf_smarterauthtoken WHERE name = 'made in Keyward'`;
      expect(await read(madeThere)).toHaveLength(1);
      expect(await read(`SELECT id FROM secret_secret WHERE name LIKE 'made%'`)).toHaveLength(1);
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
