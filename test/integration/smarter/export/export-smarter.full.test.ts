import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Keyring } from '../../../../src/crypto/keyring.js';
import type { ExportReport } from '../../../../src/smarter/export/export-report.js';
import { exportSmarter, type ExportOptions } from '../../../../src/smarter/export/export-smarter.js';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import { testAuditLog } from '../../../support/audit.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../../support/import-target.js';
import { runKeyward } from '../../../support/keyward-command.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import {
  keysOf,
  readExpected,
  type SmarterDatabase,
  type StoredToken,
} from '../../../support/smarter-source.js';
import { execute } from '../../../support/sql.js';

const NOTHING_WRITTEN = { created: 0, updated: 0, deleted: 0, used: 0 };
/** alice's profile. */
const PROFILE = 2;

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available)(`to ${engine}`, () => {
    let source: SmarterDatabase;
    let target: ImportTarget;
    let keyring: Keyring;
    let keys: StoredToken[];

    beforeEach(async () => {
      const expected = await readExpected();
      keyring = ringOf(...keysOf(expected));
      keys = expected.tokens.filter(({ is_active: isOn, expiry }) => isOn && expiry === null);
      source = await make();
      target = await createImportTarget();
      await target.run(source.url);
    });

    afterEach(async () => {
      await target.drop();
      await source.drop();
    });

    function exportBack(options: Partial<ExportOptions> = {}): Promise<ExportReport> {
      return exportSmarter({
        platformUrl: source.url,
        target: target.knex,
        keyring,
        keyId: keyring.primaryId,
        audit: testAuditLog(target.knex),
        allScopes: false,
        dryRun: false,
        ...options,
      });
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

    function keyAt(index: number): StoredToken {
      const key = keys[index];
      if (!key) throw new Error('there are too few keys');
      return key;
    }

    async function makeToken(name: string, columns: Record<string, unknown> = {}): Promise<string> {
      const keyId = randomUUID();
      const row = { key_id: keyId, user_profile_id: PROFILE, name, created_at: '2026-01-01Z', ...columns };
      const [{ id } = { id: 0 }] = await target.knex('tokens').insert(row).returning<{ id: number }[]>('id');
      await target.knex.raw(
        `INSERT INTO token_digests (digest, token_id, token_key) VALUES (sha512(?::bytea), ?, 'made')`,
        [keyId, id],
      );
      return keyId;
    }

    async function rotate(keyId: string): Promise<void> {
      await target.knex.raw(
        `WITH old AS (
           UPDATE token_digests d SET retires_at = '-infinity' FROM tokens t
           WHERE t.id = d.token_id AND t.key_id = ? RETURNING t.id, t.key_id)
         INSERT INTO token_digests (digest, token_id, token_key)
         SELECT sha512(('new' || key_id)::bytea), id, 'new' FROM old`,
        [keyId],
      );
    }

    test('what refers to a key follows its rotation, and a revoked key that something refers to is switched off', async () => {
      const [rotated, revoked] = [keyAt(0), keyAt(1)];
      const collation = engine === 'MariaDB' ? 'CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci' : '';
      await source.run(
        `CREATE TABLE llm_client_key (id int PRIMARY KEY, api_key_id varchar(128) ${collation} NOT NULL,
           FOREIGN KEY (api_key_id) REFERENCES drf_smarterauthtoken (authtoken_ptr_id))`,
      );
      await source.run(
        `INSERT INTO llm_client_key VALUES (1, '${rotated.digest}'), (2, '${revoked.digest}')`,
      );
      await rotate(rotated.key_id);
      await target.knex('tokens').where({ key_id: revoked.key_id }).delete();

      const { counts, notes } = await exportBack();
      expect(counts.token).toMatchObject({ updated: 2, deleted: 0 });
      expect(notes.find(({ key }) => key === revoked.key_id)?.what).toContain('switched off there');
      const joined = await read(
        `SELECT held.id, smarter.is_active, smarter.name, knox.digest FROM llm_client_key held
         JOIN drf_smarterauthtoken smarter ON smarter.authtoken_ptr_id = held.api_key_id
         JOIN knox_authtoken knox ON knox.digest = held.api_key_id ORDER BY held.id`,
      );
      expect(joined).toMatchObject([
        { id: '1', is_active: 't', name: rotated.name },
        { id: '2', is_active: 'f', digest: revoked.digest },
      ]);
      expect(joined[0]?.['digest']).not.toBe(rotated.digest);
      expect(await read(`SELECT digest FROM knox_authtoken WHERE digest = '${rotated.digest}'`)).toEqual([]);
      expect((await exportBack()).counts.token).toMatchObject(NOTHING_WRITTEN);
    });

    test('a run that was interrupted before it could remember what it wrote is taken up again', async () => {
      const changed = keyAt(0);
      await makeToken('made here');
      await target.knex('tokens').where({ key_id: changed.key_id }).update({ description: 'changed here' });
      const records = await target.knex('import_records').select<object[]>();
      const first = await exportBack();
      expect(first.counts.token).toMatchObject({ created: 1, updated: 1 });
      await target.knex('import_records').delete();
      await target.knex.batchInsert(
        'import_records',
        records.map((record) => ({
          ...record,
          fields: JSON.stringify((record as { fields: object }).fields),
        })),
      );

      const second = await exportBack();
      expect(second.counts.token).toMatchObject(NOTHING_WRITTEN);
      expect(second.notes).toEqual(first.notes);
      const imported = await target.run(source.url);
      expect(imported.counts.token).toMatchObject({ created: 0, updated: 0, merged: 0 });
    });

    test('a field that both sides changed keeps the value of Keyward, but the earlier expiry, and is reported', async () => {
      const key = keyAt(0);
      await target
        .knex('tokens')
        .where({ key_id: key.key_id })
        .update({ description: 'of Keyward', expires_at: '2040-01-01Z' });
      await source.run(`UPDATE knox_authtoken SET expiry = '2030-01-01' WHERE digest = '${key.digest}'`);
      await source.run(
        `UPDATE drf_smarterauthtoken SET description = 'of Smarter', version = '9' WHERE authtoken_ptr_id = '${key.digest}'`,
      );

      const { notes } = await exportBack();
      const conflicts = notes.filter((note) => note.key === key.key_id).map(({ what }) => what);
      expect(conflicts.sort().map((what) => what.split(' ')[0])).toEqual(['description', 'expires_at']);
      const [row] = await read(
        `SELECT smarter.description, smarter.version, knox.expiry FROM drf_smarterauthtoken smarter
         JOIN knox_authtoken knox ON knox.digest = smarter.authtoken_ptr_id WHERE knox.digest = '${key.digest}'`,
      );
      expect(row).toMatchObject({ description: 'of Keyward', version: '9' });
      expect(row?.['expiry']).toMatch(/^2030-01-01/);
      // The next import takes what Smarter alone changed, and the earlier expiry.
      await target.run(source.url);
      expect((await target.tokens()).get(key.key_id)).toMatchObject({
        description: 'of Keyward',
        version: '9',
      });
      expect((await exportBack()).counts.token).toMatchObject(NOTHING_WRITTEN);
    });

    test('a key with narrower scopes is written switched off, unless all scopes are asked for', async () => {
      const keyId = await makeToken('narrow', { scopes: ['orders:read'] });
      const isOn = async (): Promise<unknown> => {
        const rows = await read(`SELECT key_id, is_active FROM drf_smarterauthtoken WHERE name = 'narrow'`);
        return rows.map((row) => row['is_active']);
      };
      const { notes } = await exportBack();
      expect(notes.find(({ key }) => key === keyId)?.what).toContain('its scopes would not count');
      expect(await isOn()).toEqual(['f']);
      await exportBack({ allScopes: true });
      expect(await isOn()).toEqual(['t']);
    });

    test('a row that the platform refuses does not hold up the others', async () => {
      const taken = await makeToken('taken');
      await makeToken('free');
      const [{ digest } = { digest: '' }] = await execute(
        target.url,
        `SELECT encode(d.digest, 'hex') AS digest FROM token_digests d JOIN tokens t ON t.id = d.token_id
         WHERE t.key_id = '${taken}'`,
      );
      await source.run(
        `INSERT INTO knox_authtoken (digest, token_key, user_id, created) VALUES ('${String(digest)}', 'k', 2, '2026-01-01')`,
      );
      await target
        .knex('secrets')
        .where({ id: 1 })
        .update({ tags: ['short', 'x'.repeat(101)] });

      const { counts, notes } = await exportBack();
      expect(counts.token).toMatchObject({ created: 1, leftOut: 1 });
      const what = notes.map((note) => note.what).join('\n');
      expect(what).toContain("the platform's database refuses it");
      expect(what).toContain('tags of more than 100 characters');
      expect(what).not.toContain(String(digest));
      expect((await exportBack()).counts.secret).toMatchObject(NOTHING_WRITTEN);
    });

    test('a batch of one row writes the same, and a dry run writes nothing', async () => {
      await makeToken('made here');
      await rotate(keyAt(0).key_id);
      const before = await target.newestWrites();
      const dry = await exportBack({ dryRun: true });
      expect(await target.newestWrites()).toEqual(before);
      expect(await read(`SELECT name FROM drf_smarterauthtoken WHERE name = 'made here'`)).toEqual([]);
      const real = await exportBack({ batchSize: 1 });
      expect(real).toEqual({ ...dry, dryRun: false });
    });
  });
}

test('the command says what is wrong with what it was given, and never the password', async () => {
  const target = await createImportTarget();
  try {
    const [key = ''] = keysOf(await readExpected());
    const to = 'postgres://writer:s3cr%2Ft@127.0.0.1:1/smarter';
    const env = { DATABASE_URL: target.url, KEYWARD_FERNET_KEYS: key, KEYWARD_EXPORT_TO: to };
    const run = (keyId: string) => runKeyward(['export-smarter', '--secret-key', keyId], { env });
    const unknown = await run('0123456789abcdef');
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toContain('KEYWARD_FERNET_KEYS has no key 0123456789abcdef');
    const unreachable = await run(ringOf(key).primaryId);
    expect(unreachable.code).toBe(1);
    expect(unreachable.stderr).toMatch(/^keyward: .+\n$/);
    expect(unreachable.stderr).not.toContain('s3cr');
    const other = await runKeyward(['export-smarter', '--secret-key', ringOf(key).primaryId], {
      env: { ...env, KEYWARD_EXPORT_TO: target.url },
    });
    expect(other.stderr).toContain('The target is not a Smarter database');
  } finally {
    await target.drop();
  }
});
