import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { TEST_KEY } from '../../support/keyring.js';
import { runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { createSmarterDatabase, type SmarterDatabase } from '../../support/smarter-source.js';

const Counts = z.object({
  counts: z.object({ token: z.object({ read: z.number(), created: z.number() }) }),
  deactivatedTokens: z.number(),
});

let target: ImportTarget;
let source: SmarterDatabase;

beforeEach(async () => {
  target = await createImportTarget();
  source = await createSmarterDatabase();
});

afterEach(async () => {
  await target.drop();
  await source.drop();
});

function importSmarter(args: readonly string[], from: string): Promise<CommandResult> {
  const env = { DATABASE_URL: target.url, KEYWARD_FERNET_KEYS: TEST_KEY, KEYWARD_IMPORT_FROM: from };
  return runKeyward(['import-smarter', ...args], { env });
}

test('the command takes its source from the environment and prints the report', async () => {
  const dry = await importSmarter(['--dry-run', '--json'], source.url);
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  const { token } = Counts.parse(JSON.parse(dry.stdout)).counts;
  expect(token.created).toBe(token.read);
  expect((await target.tokens()).size).toBe(0);

  const real = await importSmarter([], source.url);
  expect(real).toMatchObject({ code: 0, stderr: '' });
  expect(real.stdout).toMatch(/^tokens +51 +51 +0 +0 +0 +0$/m);
  expect((await target.tokens()).size).toBe(token.read);
});

test('tokens that gain by an import are switched off and counted, but not with --keep-tokens', async () => {
  const frank = 8;
  await target.run(source.url);
  await target.knex.raw(
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), ?, 'foreign') RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key, issued_by_user_id) SELECT sha512('a'), id, '', 1 FROM made`,
    [frank],
  );
  await source.run(`UPDATE auth_user SET is_staff = true WHERE id = ${frank}`);
  const kept = await importSmarter(['--keep-tokens', '--json'], source.url);
  expect(Counts.parse(JSON.parse(kept.stdout)).deactivatedTokens).toBe(0);
  await source.run(`UPDATE auth_user SET is_superuser = true WHERE id = ${frank}`);
  const { stdout } = await importSmarter([], source.url);
  expect(stdout).toMatch(/^Switched off, since their owners gained rights: 1 token\.$/m);
  expect(await target.knex('tokens').where({ name: 'foreign', is_active: false })).toHaveLength(1);
});

test.each([
  ['postgres://reader:s3cr%2Ft@127.0.0.1:1/smarter'],
  ['mysql://reader:s3cr%2Ft@127.0.0.1:1/smarter'],
  ['mysql://reader:s3cr%2Ft@[broken/smarter'],
  ['oracle://reader:s3cr%2Ft@127.0.0.1/smarter'],
])('a source that cannot be read ends the command with one line, without the password: %s', async (url) => {
  const { code, stdout, stderr } = await importSmarter([], url);

  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^keyward: .+\n$/);
  expect(stderr).not.toContain('s3cr');
});
