import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../../support/import-target.js';
import { startKeyward, type Started } from '../../../support/keyward-command.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import { addKey, logOut } from '../../../support/smarter-platform.js';
import { keysOf, readExpected, type SmarterDatabase } from '../../../support/smarter-source.js';

/** alice's profile, and her user. */
const [PROFILE, USER] = [2, 2];
const ROUNDS = 4;
const PATIENCE = { timeout: 60_000, interval: 50 };

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available)(`followers of ${engine} in processes of their own`, () => {
    let source: SmarterDatabase;
    let target: ImportTarget;
    let env: NodeJS.ProcessEnv;
    let keyId: string;
    const running: Started[] = [];

    beforeEach(async () => {
      const keys = keysOf(await readExpected());
      keyId = ringOf(...keys).primaryId;
      source = await make();
      target = await createImportTarget();
      env = {
        DATABASE_URL: target.url,
        KEYWARD_FERNET_KEYS: keys.join(),
        KEYWARD_IMPORT_FROM: source.url,
        KEYWARD_EXPORT_TO: source.url,
      };
    });

    afterEach(async () => {
      await kill();
      await target.drop();
      await source.drop();
    });

    function follow(): void {
      running.push(
        startKeyward(['import-smarter', '--follow', '--interval', '50'], { env }),
        startKeyward(['export-smarter', '--follow', '--interval', '50', '--secret-key', keyId], { env }),
      );
    }

    async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<(number | null)[]> {
      const ended = running.splice(0);
      for (const follower of ended) follower.signal(signal);
      return Promise.all(ended.map(async (each) => (await each.ended).code));
    }

    async function makeToken(): Promise<void> {
      const token = randomUUID();
      const columns = { key_id: token, user_profile_id: PROFILE, name: token, created_at: '2026-01-01Z' };
      await target.knex.transaction(async (trx) => {
        const [made] = await trx('tokens').insert(columns).returning<{ id: bigint }[]>('id');
        await trx.raw(
          `INSERT INTO token_digests (digest, token_id, token_key) VALUES (sha512(?::bytea), ?, 'made')`,
          [token, String(made?.id)],
        );
      });
    }

    /** keysThere are the digests of the platform's keys, with what tells whether they pass. */
    async function keysThere(): Promise<Map<string, boolean>> {
      const there = await connectSource(source.url);
      try {
        const keys = new Map<string, boolean>();
        const sql = 'SELECT authtoken_ptr_id AS digest, is_active FROM drf_smarterauthtoken';
        for await (const batch of there.rows(sql, 1000))
          for (const { digest, is_active: isOn } of batch) keys.set(digest ?? '', isOn === 't');
        return keys;
      } finally {
        await there.close();
      }
    }

    async function keysHere(): Promise<Map<string, boolean>> {
      return new Map([...(await target.tokens()).values()].map((token) => [token.digest, token.is_active]));
    }

    test('lose nothing and double nothing when they are killed while both sides change', async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        follow();
        // The first ones begin with everything; those of later rounds are killed wherever they are by then.
        if (round === 0)
          await vi.waitFor(async () => expect((await keysHere()).size).toBeGreaterThan(0), PATIENCE);
        const [first, second] = [...(await target.tokens()).values()].filter((token) => token.is_active);
        const made = await addKey(source, PROFILE, USER, `made in round ${round}`);
        for (let count = 0; count < 5; count += 1) await makeToken();
        await target.knex('tokens').where({ key_id: first?.key_id }).update({ is_active: false });
        await logOut(source, `s.authtoken_ptr_id = '${second?.digest}'`);
        if (round % 2 === 0) {
          await vi.waitFor(async () => expect((await keysHere()).has(made)).toBe(true), PATIENCE);
        } else {
          await vi.waitFor(() => expect(running.some((each) => each.stdout() !== '')).toBe(true), PATIENCE);
        }
        await kill();
      }

      follow();
      await vi.waitFor(async () => {
        const [here, there] = [await keysHere(), await keysThere()];
        expect(here.size).toBeGreaterThan(ROUNDS * 6);
        expect([...here].sort()).toEqual([...there].sort());
      }, PATIENCE);
      const names = [...(await target.tokens()).values()].map(({ name }) => name);
      expect(names.filter((name) => /^[-0-9a-f]{36}-\d+$/.test(name))).toEqual([]);
      // Told to end, they do so in order.
      await vi.waitFor(
        () => expect(running.every((each) => each.stderr().includes('in step'))).toBe(true),
        PATIENCE,
      );
      expect(await kill('SIGTERM')).toEqual([0, 0]);
    }, 300_000);
  });
}
