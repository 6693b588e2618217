import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Keyring } from '../../../../src/crypto/keyring.js';
import type { ExportReport } from '../../../../src/smarter/export/export-report.js';
import { exportSmarter } from '../../../../src/smarter/export/export-smarter.js';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import { bind } from '../../../../src/secret/binding/binding.js';
import { testAuditLog } from '../../../support/audit.js';
import { IS_FULL } from '../../../support/extent.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../../support/import-target.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import { keysOf, readExpected, type SmarterDatabase } from '../../../support/smarter-source.js';

const NOTHING_WRITTEN = { created: 0, updated: 0, deleted: 0 };
/** alice's profile, and alice. */
const PROFILE = 2;
const USER = 2;
const DIGEST = (keyId: string): string => `sha512('${keyId}'::bytea)`;

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available || (engine !== 'PostgreSQL' && !IS_FULL))(
    `an export to ${engine} that is cut off between the commits of the two sides`,
    () => {
      let source: SmarterDatabase;
      let target: ImportTarget;
      let keyring: Keyring;

      beforeEach(async () => {
        keyring = ringOf(...keysOf(await readExpected()));
        source = await make();
        target = await createImportTarget();
        await target.run(source.url);
        await exportBack();
      });

      afterEach(async () => {
        await target.drop();
        await source.drop();
      });

      function exportBack(audit = testAuditLog(target.knex)): Promise<ExportReport> {
        return exportSmarter({
          platformUrl: source.url,
          target: target.knex,
          keyring,
          keyId: keyring.primaryId,
          audit,
          allScopes: false,
          dryRun: false,
        });
      }

      /** exportCutOff commits a batch on the platform, and ends before Keyward has committed what it remembers of it. */
      async function exportCutOff(): Promise<void> {
        const audit = testAuditLog(target.knex);
        const record = audit.record.bind(audit);
        audit.record = (trx, entries) => {
          if (entries.some(({ action }) => action === 'DATA_EXPORTED')) throw new Error('cut off');
          return record(trx, entries);
        };
        await expect(exportBack(audit)).rejects.toThrow('cut off');
      }

      async function there(sql: string): Promise<Record<string, string | null>[]> {
        const connection = await connectSource(source.url);
        try {
          const rows: Record<string, string | null>[] = [];
          for await (const batch of connection.rows(sql, 100)) rows.push(...batch);
          return rows;
        } finally {
          await connection.close();
        }
      }

      const keysThere = (name: string) =>
        there(`SELECT name, is_active FROM drf_smarterauthtoken WHERE name = '${name}'`);

      async function makeToken(name: string): Promise<string> {
        const keyId = randomUUID();
        await target.knex.raw(
          `WITH made AS (
           INSERT INTO tokens (key_id, user_profile_id, name, created_at) VALUES (?, ?, ?, now()) RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key) SELECT ${DIGEST(keyId)}, id, 'made' FROM made`,
          [keyId, PROFILE, name],
        );
        return keyId;
      }

      async function makeSecret(name: string, value: string): Promise<string> {
        const [{ id } = { id: 0n }] = await target
          .knex('secrets')
          .insert({ user_profile_id: PROFILE, name, name_key: name })
          .returning<{ id: bigint }[]>('id');
        await addVersion(String(id), 1, value);
        return String(id);
      }

      async function addVersion(id: string, number: number, value: string): Promise<void> {
        const { keyId, ciphertext } = keyring.encrypt(Buffer.from(value));
        const sealed = { format: 'TEXT', keyId, ciphertext } as const;
        const { mac, keyId: macKeyId } = bind(keyring, { secretId: BigInt(id), number }, sealed);
        await target.knex('secret_versions').insert({
          ...{ secret_id: id, number, format: 'TEXT', key_id: keyId, ciphertext },
          ...{ binding: mac, binding_key_id: macKeyId },
        });
      }

      /** settle lets both sides tell each other all, and sees that they end with that. */
      async function settle(): Promise<void> {
        await target.run(source.url);
        await exportBack();
        const { counts } = await target.run(source.url);
        for (const kind of ['token', 'secret', 'user'] as const)
          expect(counts[kind]).toMatchObject({ created: 0, updated: 0, merged: 0, deleted: 0 });
        const back = await exportBack();
        for (const kind of ['token', 'secret', 'user'] as const)
          expect(back.counts[kind]).toMatchObject(NOTHING_WRITTEN);
      }

      test('a key that was made and is revoked since does not come back', async () => {
        const keyId = await makeToken('short-lived');
        await exportCutOff();
        expect(await keysThere('short-lived')).toHaveLength(1);
        await target.knex('tokens').where({ key_id: keyId }).delete();

        await settle();
        expect((await target.tokens()).has(keyId)).toBe(false);
        expect(await keysThere('short-lived')).toEqual([]);
      });

      test('a key that was made, and is changed since, keeps that change and what the platform changed', async () => {
        const keyId = await makeToken('made here');
        await exportCutOff();
        await target.knex('tokens').where({ key_id: keyId }).update({ is_active: false });
        await source.run(`UPDATE drf_smarterauthtoken SET version = '9' WHERE name = 'made here'`);

        await settle();
        expect((await target.tokens()).get(keyId)).toMatchObject({ is_active: false, version: '9' });
        expect(await keysThere('made here')).toMatchObject([{ is_active: 'f' }]);
      });

      test('a key that was switched on, and is off since, stays off', async () => {
        const keyId = await makeToken('switched');
        const set = (isActive: boolean) =>
          target.knex('tokens').where({ key_id: keyId }).update({ is_active: isActive });
        await set(false);
        await exportBack();
        await set(true);
        await exportCutOff();
        expect(await keysThere('switched')).toMatchObject([{ is_active: 't' }]);
        await set(false);

        await settle();
        expect((await target.tokens()).get(keyId)?.is_active).toBe(false);
        expect(await keysThere('switched')).toMatchObject([{ is_active: 'f' }]);
      });

      test('a user who was switched off, and is on since, is on', async () => {
        const set = (isActive: boolean) =>
          target.knex('users').where({ id: USER }).update({ is_active: isActive });
        await set(false);
        await exportCutOff();
        await set(true);

        await settle();
        expect(await target.knex('users').where({ id: USER }).first('is_active')).toEqual({
          is_active: true,
        });
        expect(await there(`SELECT is_active FROM auth_user WHERE id = ${USER}`)).toEqual([
          { is_active: 't' },
        ]);
      });

      test('a secret that was made, and is renamed and has another value since, is there once', async () => {
        const id = await makeSecret('first name', 'first value');
        await exportCutOff();
        await target.knex('secrets').where({ id }).update({ name: 'second name', name_key: 'second name' });
        await addVersion(id, 2, 'second value');
        await target
          .knex('secrets')
          .where({ id })
          .catch(() => undefined);

        await settle();
        const names = await there(`SELECT name FROM secret_secret WHERE name LIKE '% name'`);
        expect(names).toEqual([{ name: 'second name' }]);
        const secrets = [...(await target.secrets()).values()].filter(({ name }) => name.endsWith(' name'));
        expect(secrets).toMatchObject([{ name: 'second name', versions: [{ number: 1 }, { number: 2 }] }]);
      });

      test('a secret that was made and is deleted since does not come back', async () => {
        const id = await makeSecret('short-lived', 'value');
        await exportCutOff();
        await target.knex.raw(
          `UPDATE secrets SET deleted_at = now(), purge_at = now() + '1 day' WHERE id = ?`,
          [id],
        );

        await settle();
        expect(await there(`SELECT id FROM secret_secret WHERE name = 'short-lived'`)).toEqual([]);
      });

      test('what was announced and never committed is made by the next export, and is nothing that an import misses', async () => {
        const keyId = await makeToken('made here');
        const id = await makeSecret('made here', 'value');
        await target.knex.raw(
          `INSERT INTO import_records (kind, source_key, target_id, fields, announced)
         SELECT 'token', key_id::text, id, '{}'::jsonb, '{"name": "made here"}'::jsonb FROM tokens WHERE key_id = ?
         UNION ALL SELECT 'secret', '987654', ?, '{}', '{"name": "made here"}'`,
          [keyId, id],
        );
        await exportBack();
        expect(await keysThere('made here')).toHaveLength(1);
        expect(await there(`SELECT id FROM secret_secret WHERE name = 'made here'`)).toHaveLength(1);
        await settle();
        expect((await target.tokens()).has(keyId)).toBe(true);
        expect((await target.secrets()).has(Number(id))).toBe(true);
      });

      test('a secret that was deleted on both sides and is brought back is there again', async () => {
        const id = await makeSecret('brought back', 'value');
        await exportBack();
        const set = (times: string) => target.knex.raw(`UPDATE secrets SET ${times} WHERE id = ?`, [id]);
        await set(`deleted_at = now(), purge_at = now() + '1 day'`);
        await exportBack();
        expect(await there(`SELECT id FROM secret_secret WHERE name = 'brought back'`)).toEqual([]);
        await set('deleted_at = NULL, purge_at = NULL');

        await settle();
        expect((await target.secrets()).has(Number(id))).toBe(true);
        expect(await there(`SELECT id FROM secret_secret WHERE name = 'brought back'`)).toHaveLength(1);
      });

      test('what a use on the platform sets back that had read the row before is written again', async () => {
        const keyId = await makeToken('hot');
        await exportBack();
        await target.knex('tokens').where({ key_id: keyId }).update({ is_active: false, description: 'off' });
        await exportBack();
        expect(await keysThere('hot')).toMatchObject([{ is_active: 'f' }]);
        // Django saves whole rows.
        await source.run(
          `UPDATE drf_smarterauthtoken SET is_active = true, description = '', last_used_at = '2026-11-30 10:00:00'
         WHERE name = 'hot'`,
        );

        await settle();
        expect((await target.tokens()).get(keyId)).toMatchObject({ is_active: false, description: 'off' });
        expect(await keysThere('hot')).toMatchObject([{ is_active: 'f' }]);
      });

      test('what a use sets back that had read the row between two exports is written again', async () => {
        const keyId = await makeToken('hot');
        await exportBack();
        for (const change of [{ description: 'first' }, { is_active: false }, { description: 'last' }]) {
          await target.knex('tokens').where({ key_id: keyId }).update(change);
          await exportBack();
        }
        await source.run(
          `UPDATE drf_smarterauthtoken SET is_active = true, description = 'first', last_used_at = '2026-11-30 10:00:00'
         WHERE name = 'hot'`,
        );

        await settle();
        expect((await target.tokens()).get(keyId)).toMatchObject({ is_active: false, description: 'last' });
        expect(await keysThere('hot')).toMatchObject([{ is_active: 'f' }]);
      });

      test('what somebody on the platform sets back is taken', async () => {
        const keyId = await makeToken('decided');
        await exportBack();
        await target.knex('tokens').where({ key_id: keyId }).update({ is_active: false });
        await exportBack();
        await source.run(`UPDATE drf_smarterauthtoken SET is_active = true WHERE name = 'decided'`);

        await settle();
        expect((await target.tokens()).get(keyId)?.is_active).toBe(true);
      });

      test('a revoked key that a request of the platform saves once more is deleted again', async () => {
        const keyId = await makeToken('hot');
        await exportBack();
        const copies = ['knox_authtoken', 'drf_smarterauthtoken'];
        for (const table of copies) await source.run(`CREATE TABLE read_${table} AS SELECT * FROM ${table}`);
        await target.knex('tokens').where({ key_id: keyId }).delete();
        await exportBack();
        expect(await keysThere('hot')).toEqual([]);
        for (const table of copies) {
          const key = table === 'knox_authtoken' ? 'digest' : 'authtoken_ptr_id';
          await source.run(
            `INSERT INTO ${table} SELECT * FROM read_${table} r WHERE r.${key} NOT IN (SELECT ${key} FROM ${table})`,
          );
        }

        await settle();
        expect((await target.tokens()).has(keyId)).toBe(false);
        expect(await keysThere('hot')).toEqual([]);
      });
    },
  );
}
