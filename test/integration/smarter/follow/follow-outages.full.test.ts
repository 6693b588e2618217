import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDatabase } from '../../../../src/db/knex.js';
import { testAuditLog } from '../../../support/audit.js';
import { beginImportFollower, PATIENCE, startImportFollower } from '../../../support/follower.js';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { addKey, ENGINES, type Engine } from '../../../support/smarter-platform.js';
import { readExpected, type SmarterDatabase, type StoredToken } from '../../../support/smarter-source.js';
import { startTcpProxy, type TcpProxy } from '../../../support/tcp-proxy.js';

/** alice's profile, and her user. */
const [PROFILE, USER] = [2, 2];

for (const [name, start] of Object.entries(ENGINES)) {
  describe.skipIf(start === undefined)(`a follower of ${name}`, () => {
    let engine: Engine;
    let source: SmarterDatabase;
    let target: ImportTarget;
    let key: StoredToken;
    let proxy: TcpProxy | undefined;

    beforeAll(async () => {
      engine = await (start as () => Promise<Engine>)();
      const found = (await readExpected()).tokens.find(({ is_active: isOn }) => isOn);
      if (found === undefined) throw new Error('there is no key');
      key = found;
    });

    afterAll(() => engine.stop());

    beforeEach(async () => {
      source = await engine.create();
      target = await createImportTarget();
    });

    afterEach(async () => {
      await proxy?.close();
      proxy = undefined;
      await target.drop();
      await source.drop();
    });

    async function hasKey(digest: string): Promise<void> {
      const tokens = [...(await target.tokens()).values()];
      expect(tokens.map((token) => token.digest)).toContain(digest);
    }

    test('goes on when the source was away, and says so once', async () => {
      const cut = (proxy = await startTcpProxy(source.url));
      const follower = await startImportFollower(target, cut.url);
      cut.cut();
      await vi.waitFor(() => expect(follower.status.failures).toBeGreaterThan(2), PATIENCE);
      expect(follower.status.isFollowing).toBe(false);
      const made = await addKey(source, PROFILE, USER, 'made meanwhile');
      cut.mend();
      await vi.waitFor(() => hasKey(made), PATIENCE);
      await vi.waitFor(() => expect(follower.status.isFollowing).toBe(true), PATIENCE);
      const failed: unknown = expect.stringContaining('failed, and goes on');
      expect(follower.told).toEqual(['in step', failed, 'in step again']);
      await follower.stop();
    });

    test('goes on when Keyward was away', async () => {
      const cut = (proxy = await startTcpProxy(target.url));
      const knex = openDatabase({ url: cut.url, poolSize: 4, connectTimeoutMs: 5000 });
      const follower = await startImportFollower(target, source.url, {
        ...{ target: knex, audit: testAuditLog(knex) },
      });
      cut.cut();
      await vi.waitFor(() => expect(follower.status.failures).toBeGreaterThan(2), PATIENCE);
      const made = await addKey(source, PROFILE, USER, 'made meanwhile');
      cut.mend();
      await vi.waitFor(() => hasKey(made), PATIENCE);
      expect(follower.told[1]).toContain('failed, and goes on');
      await follower.stop();
      await knex.destroy();
    });

    test('sees what a transaction had written long before it was committed', async () => {
      const follower = await startImportFollower(target, source.url);
      const change = `UPDATE drf_smarterauthtoken SET is_active = false,
        updated_at = '2026-01-01 00:00:00' WHERE authtoken_ptr_id = '${key.digest}'`;
      const commit = await openTransaction(source.url, change);
      await follower.round();
      expect((await target.tokens()).get(key.key_id)?.is_active).toBe(true);
      await commit();
      await vi.waitFor(async () => {
        expect((await target.tokens()).get(key.key_id)?.is_active).toBe(false);
      }, PATIENCE);
      await follower.stop();
    });

    test('ends at once where the source is no platform', async () => {
      const follower = await beginImportFollower(target, target.url);
      await expect(follower.ended).rejects.toThrow('The source is not a Smarter database');
    });
  });
}

/** openTransaction makes a change, and gives what commits it. */
async function openTransaction(url: string, change: string): Promise<() => Promise<void>> {
  if (url.startsWith('mariadb:')) {
    const connection = await mysql.createConnection(url.replace('mariadb:', 'mysql:'));
    await connection.beginTransaction();
    await connection.query(change);
    return async () => {
      await connection.commit();
      await connection.end();
    };
  }
  const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 5000 });
  const trx = await knex.transaction();
  await trx.raw(change);
  return async () => {
    await trx.commit();
    await knex.destroy();
  };
}
