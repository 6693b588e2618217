import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../../src/lib/clock.js';
import { exportSmarter } from '../../../src/smarter/export/export-smarter.js';
import { shadowKeys, shadowTexts } from '../../../src/smarter/shadow/shadow.js';
import { testAuditLog } from '../../support/audit.js';
import { IS_FULL } from '../../support/extent.js';
import { PATIENCE, startExportFollower, startImportFollower } from '../../support/follower.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../support/import-target.js';
import { TEST_KEY } from '../../support/keyring.js';
import { startKeyward } from '../../support/keyward-command.js';
import { ENGINES, type Engine } from '../../support/smarter-platform.js';
import { keysOf, readExpected, type SmarterDatabase } from '../../support/smarter-source.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';

const LIMIT_MS = 2_000;
const SILENT = "the platform's database has not answered for 2 seconds";
/** alice's profile. */
const PROFILE = 2;
/** What each reads or writes when its platform falls silent. */
const [KEYS, SECRETS] = ['knox_authtoken', 'secret_secret'];

for (const [name, start] of Object.entries(ENGINES)) {
  describe.skipIf(start === undefined)(
    `where ${name} of the platform falls silent and closes nothing`,
    () => {
      let engine: Engine;
      let target: ImportTarget;
      let source: SmarterDatabase;
      let proxy: TcpProxy;
      let keys: string[];

      beforeAll(async () => {
        engine = await (start as () => Promise<Engine>)();
        keys = keysOf(await readExpected());
      });

      afterAll(() => engine.stop());

      beforeEach(async () => {
        source = await engine.create();
        target = await createImportTarget();
        proxy = await startTcpProxy(source.url);
      });

      afterEach(async () => {
        await proxy.close();
        await target.drop();
        await source.drop();
      });

      const limited = { answerLimitMs: LIMIT_MS };
      const once = () => target.run(proxy.url, limited);
      const exportOnce = () => {
        const keyring = ringOf(...keys);
        return exportSmarter({
          ...{ platformUrl: proxy.url, target: target.knex, keyring, keyId: keyring.primaryId },
          ...{ audit: testAuditLog(target.knex), allScopes: false, dryRun: false, ...limited },
        });
      };
      const shadow = () => ({ sourceUrl: proxy.url, target: target.knex, clock: systemClock, ...limited });

      async function makeToken(): Promise<void> {
        const keyId = randomUUID();
        await target.knex.raw(
          `WITH made AS (
           INSERT INTO tokens (key_id, user_profile_id, name, created_at) VALUES (?, ?, 'made', now()) RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key)
         SELECT sha512('${keyId}'::bytea), id, 'made' FROM made`,
          [keyId, PROFILE],
        );
      }

      test('an import ends within its limit, and the next one takes all', async () => {
        proxy.loseAnswersTo(SECRETS);
        await expect(once()).rejects.toThrow(SILENT);
        proxy.mend();
        await once();
        const { counts } = await once();
        expect(counts.secret).toMatchObject({ created: 0, updated: 0 });
      });

      test('so does one that is accepted and never greeted', async () => {
        proxy.silence();
        await expect(once()).rejects.toThrow();
      });

      test('an export ends within its limit, and the next one knows what has become of its batch', async () => {
        await once();
        await makeToken();
        proxy.loseAnswersTo('COMMIT');
        await expect(exportOnce()).rejects.toThrow(SILENT);
        proxy.mend();
        const { counts } = await exportOnce();
        expect(counts.token.created).toBeLessThanOrEqual(1);
        const again = await once();
        expect(again.counts.token).toMatchObject({ created: 0, updated: 0, deleted: 0 });
      });

      test('shadow judging ends within its limit', async () => {
        proxy.loseAnswersTo(KEYS);
        await expect(shadowKeys(shadow(), false)).rejects.toThrow(SILENT);
        proxy.mend();
        proxy.loseAnswersTo(KEYS);
        await expect(shadowTexts(shadow(), texts())).rejects.toThrow(SILENT);
      });

      test('followers of both directions tell it in one line, and go on when it answers again', async () => {
        const into = await startImportFollower(target, proxy.url, limited);
        const back = await startExportFollower(target, proxy.url, limited);
        proxy.silence();
        for (const follower of [into, back]) {
          await vi.waitFor(() => expect(follower.status.failures).toBeGreaterThan(0), PATIENCE);
        }
        proxy.mend();
        for (const follower of [into, back]) {
          await vi.waitFor(() => expect(follower.told.at(-1)).toBe('in step again'), PATIENCE);
          const failed: unknown = expect.stringContaining('failed, and goes on: ');
          expect(follower.told.filter((line) => !line.includes('waiting'))).toEqual([
            ...['in step', failed, 'in step again'],
          ]);
          await follower.stop();
        }
        expect(into.told.join()).toContain(SILENT);
      });

      test.runIf(IS_FULL)(
        'each command is a process that ends, with one line',
        { timeout: 120_000 },
        async () => {
          await once();
          const keyring = ringOf(...keys);
          const env = { DATABASE_URL: target.url, KEYWARD_FERNET_KEYS: [TEST_KEY, ...keys].join() };
          const commands: [string, string[]][] = [
            [SECRETS, ['import-smarter', '--from', proxy.url]],
            [
              'drf_smarterauthtoken',
              ['export-smarter', '--to', proxy.url, '--secret-key', keyring.primaryId],
            ],
            [KEYS, ['shadow', '--from', proxy.url]],
          ];
          for (const [text, command] of commands) {
            proxy.loseAnswersTo(text);
            const { code, stderr } = await startKeyward([...command, '--answer-limit', '2'], { env }).ended;
            expect({ command, code }).toEqual({ command, code: 1 });
            expect(stderr.split('\n').filter((line) => line.includes(SILENT))).toHaveLength(1);
          }
        },
      );
    },
  );
}

// eslint-disable-next-line @typescript-eslint/require-await -- as what is piped in comes
async function* texts(): AsyncGenerator<readonly string[]> {
  yield ['a text'];
}
