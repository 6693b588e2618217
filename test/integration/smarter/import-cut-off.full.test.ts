import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IS_FULL } from '../../support/extent.js';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { addKey, ENGINES, logOut, type Engine } from '../../support/smarter-platform.js';
import type { SmarterDatabase } from '../../support/smarter-source.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';

/** At how many places a read is cut off; most of them are early, where the keys of all rows are read. */
const CUTS = IS_FULL ? 9 : 4;
const ALICE = 2;
const HEIDI = 10;

for (const [name, start] of Object.entries(ENGINES)) {
  if (start === undefined)
    console.warn(`NOT TESTED: a cut connection to ${name}, which is not installed here`);

  describe.skipIf(start === undefined)(`from ${name}`, () => {
    let engine: Engine;
    let target: ImportTarget;
    let source: SmarterDatabase;
    let proxy: TcpProxy;

    beforeAll(async () => {
      if (start !== undefined) engine = await start();
    });

    beforeEach(async () => {
      target = await createImportTarget();
      source = await engine.create();
      proxy = await startTcpProxy(source.url);
    });

    afterEach(async () => {
      await proxy.close();
      await target.drop();
      await source.drop();
    });

    afterAll(async () => {
      await engine.stop();
    });

    const keyIds = async (): Promise<string[]> => [...(await target.tokens()).keys()].sort();
    const secretIds = async (): Promise<unknown[]> =>
      target.knex('secrets').whereNull('deleted_at').orderBy('id').pluck('id');

    test(
      'a read that is cut off half-way deletes nothing that the source has, and the next one takes all',
      { timeout: 120_000 },
      async () => {
        await target.run(proxy.url);
        const whole = proxy.received();
        const secrets = await secretIds();
        const [gone = '', ...staying] = await target
          .knex('tokens')
          .where({ user_profile_id: HEIDI })
          .orderBy('name')
          .pluck<string[]>('name');
        await logOut(source, `s.user_profile_id = ${HEIDI} AND s.name = '${gone}'`);
        await addKey(source, ALICE, ALICE, 'made since');
        await source.run(`UPDATE secret_secret SET description = 'changed since' WHERE id = 1`);
        const before = new Map(await target.tokens());

        for (let cut = 1; cut <= CUTS; cut += 1) {
          proxy.cutAfter(Math.floor(whole * (cut / (CUTS + 1)) ** 3));
          await expect(target.run(proxy.url)).rejects.toThrow();
          proxy.mend();

          const kept = await keyIds();
          const lost = [...before.values()].filter(({ key_id: keyId }) => !kept.includes(keyId));
          expect(lost.filter((token) => token.name !== gone)).toEqual([]);
          expect(await secretIds()).toEqual(secrets);
        }

        await target.run(proxy.url);
        const names = [...(await target.tokens()).values()].map((token) => token.name);
        expect(names).toContain('made since');
        expect(
          await target.knex('tokens').where({ user_profile_id: HEIDI }).orderBy('name').pluck('name'),
        ).toEqual(staying);
        expect((await target.secrets()).get(1)?.description).toBe('changed since');
        const { counts } = await target.run(source.url);
        for (const kind of ['account', 'user', 'user_profile', 'token', 'secret'] as const)
          expect(counts[kind]).toMatchObject({ created: 0, updated: 0, deleted: 0, merged: 0 });
      },
    );
  });
}
