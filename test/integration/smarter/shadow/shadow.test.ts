import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { TEST_KEY } from '../../../support/keyring.js';
import { runKeyward } from '../../../support/keyward-command.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import { readFixture, type SmarterDatabase } from '../../../support/smarter-source.js';

const Finding = z.object({
  key: z.string(),
  name: z.string(),
  django: z.string(),
  keyward: z.string(),
  causes: z.array(z.object({ fact: z.string(), django: z.string(), keyward: z.string() })),
});
const Report = z.object({
  judged: z.number(),
  same: z.number(),
  different: z.number(),
  failing: z.number(),
  onlyHere: z.number(),
  differences: z.array(Finding),
  failures: z.array(Finding),
});
const Case = z.object({
  case: z.string(),
  token: z.string(),
  digest: z.string().nullish(),
  key_id: z.string().nullish(),
  account_number: z.string().nullish(),
  expected: z.object({ valid: z.boolean(), reason: z.string() }),
});
const Oracle = z.object({
  tokens: z.array(Case),
  rejected_tokens: z.array(Case),
  quirk_tokens: z.array(Case),
  accounts: z.array(z.object({ account_number: z.string(), is_active: z.boolean() })),
});

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available)(`beside a platform on ${engine}`, () => {
    let source: SmarterDatabase;
    let target: ImportTarget;

    beforeEach(async () => {
      source = await make();
      target = await createImportTarget();
      await target.run(source.url);
    });

    afterEach(async () => {
      await target.drop();
      await source.drop();
    });

    async function shadow(args: readonly string[] = [], input = '') {
      const env = {
        DATABASE_URL: target.url,
        KEYWARD_FERNET_KEYS: TEST_KEY,
        KEYWARD_IMPORT_FROM: source.url,
      };
      const { code, stdout, stderr } = await runKeyward(['shadow', '--json', ...args], { env, input });
      return { code, stdout, stderr, report: Report.parse(JSON.parse(stdout)) };
    }

    async function readOracle() {
      return Oracle.parse(JSON.parse(await readFixture('expected.json')));
    }

    test('after an import the verdicts are the same but for accounts that are switched off', async () => {
      const { tokens, quirk_tokens: quirks, accounts } = await readOracle();
      const { code, report } = await shadow();
      expect(report.judged).toBe(tokens.length + quirks.length);
      const off = accounts.filter((account) => !account.is_active).map((account) => account.account_number);
      const expected = tokens.filter(
        ({ expected, account_number }) => expected.valid && off.includes(account_number ?? ''),
      );
      expect(report.differences.map(({ key }) => key).sort()).toEqual(
        expected.map(({ key_id: id }) => id).sort(),
      );
      expect(report.failing).toBe(quirks.length);
      expect(code).toBe(expected.length === 0 ? 0 : 1);
    });

    test('texts are judged as the original judged them, and none of them is printed', async () => {
      const oracle = await readOracle();
      const cases = [...oracle.tokens, ...oracle.rejected_tokens, ...oracle.quirk_tokens];
      const input = cases.map(({ token }) => `${JSON.stringify(token)}\n`).join('');
      const { report, stdout, stderr } = await shadow(['-'], input);
      expect(report).toMatchObject({ judged: cases.length, failing: oracle.quirk_tokens.length });
      expect(report.different).toBe(0);
      for (const { token, digest } of cases.filter(({ token: text }) => text.length > 20)) {
        expect(stdout + stderr).not.toContain(token.trim());
        if (typeof digest === 'string') expect(stdout + stderr).not.toContain(digest);
      }
    });

    test('what changes on either side is a difference, with its cause', async () => {
      const { tokens } = await readOracle();
      const good = tokens.filter(({ expected }) => expected.valid);
      const [gone, off, expired, offHere, goneHere] = good;
      if (!gone || !off || !expired || !offHere || !goneHere) throw new Error('there are too few keys');
      await source.run(`DELETE FROM drf_smarterauthtoken WHERE authtoken_ptr_id = '${gone.digest}'`);
      await source.run(`DELETE FROM knox_authtoken WHERE digest = '${gone.digest}'`);
      await source.run(
        `UPDATE drf_smarterauthtoken SET is_active = false WHERE authtoken_ptr_id = '${off.digest}'`,
      );
      await source.run(`UPDATE knox_authtoken SET expiry = '2020-01-01' WHERE digest = '${expired.digest}'`);
      await target.knex('tokens').where({ key_id: offHere.key_id }).update({ is_active: false });
      await target.knex('tokens').where({ key_id: goneHere.key_id }).delete();

      const { code, report, stderr } = await shadow();
      expect(code).toBe(1);
      expect(stderr).toContain(`${report.different} of ${report.judged} verdicts differ`);
      const found = new Map(report.differences.map((finding) => [finding.key, finding]));
      const cause = (key: typeof gone) => found.get(key.key_id ?? '')?.causes.map(({ fact }) => fact);
      expect(found.get(gone.key_id ?? '')).toMatchObject({ django: 'UNKNOWN', keyward: 'OK' });
      expect([gone, off, expired, offHere, goneHere].map(cause)).toEqual([
        ['presence'],
        ['switch'],
        ['expiry'],
        ['switch'],
        ['presence'],
      ]);
    });

    test('a key that was made in Keyward counts as a difference before a way back only', async () => {
      await target.knex.raw(
        `WITH made AS (
           INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), 2, 'made here') RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512('a'), id, 'a' FROM made`,
      );
      const before = await shadow();
      const back = await shadow(['--back']);
      expect(before.report.onlyHere).toBe(1);
      expect(back.report.onlyHere).toBe(0);
      expect(back.report.different).toBe(before.report.different + 1);
      expect(back.report.differences.find(({ name }) => name === 'made here')).toMatchObject({
        django: 'UNKNOWN',
        keyward: 'OK',
      });
    });
  });
}
