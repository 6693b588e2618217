import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { foldName } from '../../../src/lib/text.js';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import type { SmarterDatabase } from '../../support/smarter-source.js';
import { whyNoMariaDb } from '../../support/mariadb.js';
import { addKey, addSecret, ENGINES, logOut, type Engine } from '../../support/smarter-platform.js';

const ALICE = 2;

for (const [engineName, start] of Object.entries(ENGINES)) {
  if (start === undefined) console.warn(`NOT TESTED: names from ${engineName} (${whyNoMariaDb()})`);

  describe.skipIf(start === undefined)(`from ${engineName}`, () => {
    let engine: Engine;
    let target: ImportTarget;
    let source: SmarterDatabase;

    beforeAll(async () => {
      if (start !== undefined) engine = await start();
    });

    beforeEach(async () => {
      target = await createImportTarget();
      source = await engine.create();
      await target.run(source.url);
    });

    afterEach(async () => {
      await target.drop();
      await source.drop();
    });

    afterAll(async () => {
      await engine.stop();
    });

    /** named is the names of rows, in the order of these ids. */
    async function named(
      table: string,
      ids: readonly (bigint | number)[],
      column = 'name',
    ): Promise<string[]> {
      const rows = await target
        .knex(table)
        .whereIn('id', ids.map(String))
        .select<Record<string, unknown>[]>('id', column);
      return ids.map((id) => String(rows.find((row) => String(row['id']) === String(id))?.[column]));
    }

    test('a secret that was deleted and made again under its name is found by it, and its old value is not', async () => {
      const old = await target
        .knex('secrets')
        .where({ user_profile_id: ALICE })
        .orderBy('id')
        .first<{ id: bigint; name: string }>();
      const like = Number(old.id);
      await addSecret(source, 900, like, "name = 'in between'");
      await source.run(`DELETE FROM secret_secret WHERE id = ${like};
        UPDATE secret_secret SET name = '${old.name}' WHERE id = 900`);

      const report = await target.run(source.url);

      expect(report.counts.secret).toMatchObject({ deleted: 1, created: 1 });
      expect(
        await target
          .knex('secrets')
          .where({ user_profile_id: ALICE, name: old.name, deleted_at: null })
          .pluck('id'),
      ).toEqual([900n]);
    });

    test('a key that was deleted and made again under its name keeps the name', async () => {
      const [old] = (await target
        .knex('tokens')
        .where({ user_profile_id: ALICE })
        .orderBy('id')
        .pluck('name')) as string[];
      await logOut(source, `s.user_profile_id = ${ALICE} AND s.name = '${old}'`);
      const digest = await addKey(source, ALICE, ALICE, String(old));

      await target.run(source.url);

      const tokens = [...(await target.tokens()).values()];
      expect(
        tokens.filter(({ user_profile_id: owner, name }) => owner === BigInt(ALICE) && name === old),
      ).toMatchObject([{ digest }]);
    });

    test('secrets that exchange their names in a circle, over batches, each get the name that they have in the source', async () => {
      const rows = await target
        .knex('secrets')
        .where({ user_profile_id: ALICE })
        .orderBy('id')
        .limit(3)
        .select<{ id: bigint; name: string }[]>('id', 'name');
      const ids = rows.map(({ id }) => id);
      const [first, second, third] = rows.map(({ name }) => name) as [string, string, string];
      await source.run(`
        UPDATE secret_secret SET name = 'between' WHERE id = ${ids[0]};
        UPDATE secret_secret SET name = '${first}' WHERE id = ${ids[1]};
        UPDATE secret_secret SET name = '${second}' WHERE id = ${ids[2]};
        UPDATE secret_secret SET name = '${third}' WHERE id = ${ids[0]}`);

      const report = await target.run(source.url, { batchSize: 1 });

      expect(await named('secrets', ids)).toEqual([third, first, second]);
      expect(await named('secrets', ids, 'name_key')).toEqual([third, first, second].map(foldName));
      expect(report.counts.secret).toMatchObject({ updated: 3, created: 0 });
    });

    test('keys that follow each other in a chain each get the name that the one before had', async () => {
      const rows = await target
        .knex('tokens')
        .where({ user_profile_id: ALICE })
        .orderBy('id')
        .limit(3)
        .select<{ id: bigint; name: string }[]>('id', 'name');
      const [first, second, third] = rows.map(({ name }) => name);
      const rename = (from?: string, to?: string): string =>
        `UPDATE drf_smarterauthtoken SET name = '${to}' WHERE user_profile_id = ${ALICE} AND name = '${from}';`;
      await source.run(rename(third, 'free') + rename(second, third) + rename(first, second));
      await addKey(source, ALICE, ALICE, String(first));

      await target.run(source.url, { batchSize: 1 });

      expect(
        await named(
          'tokens',
          rows.map(({ id }) => id),
        ),
      ).toEqual([second, third, 'free']);
      expect(
        await target
          .knex('tokens')
          .where({ user_profile_id: ALICE })
          .where('name', 'like', '%-2')
          .pluck('name'),
      ).toEqual([]);
    });

    test('users and accounts that exchange their names keep their numbers', async () => {
      const numbers = (await target
        .knex('accounts')
        .orderBy('id')
        .limit(3)
        .pluck('account_number')) as string[];
      await source.run(`
        UPDATE auth_user SET username = 'between' WHERE id = 2;
        UPDATE auth_user SET username = 'alice' WHERE id = 3;
        UPDATE auth_user SET username = 'bob' WHERE id = 2;
        UPDATE account_account SET account_number = 'between' WHERE id = 2;
        UPDATE account_account SET account_number = '${numbers[1]}' WHERE id = 3;
        UPDATE account_account SET account_number = '${numbers[2]}' WHERE id = 2`);

      const report = await target.run(source.url, { batchSize: 1 });

      expect(await named('users', [2, 3], 'username')).toEqual(['bob', 'alice']);
      expect(await named('accounts', [2, 3], 'account_number')).toEqual([numbers[2], numbers[1]]);
      expect(report.counts).toMatchObject({ user: { updated: 2 }, account: { updated: 2 } });
      expect((await target.run(source.url)).counts).toMatchObject({
        user: { updated: 0 },
        account: { updated: 0 },
      });
    });
  });
}
