import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../../src/lib/clock.js';
import { MICROSECONDS_A_DAY } from '../../../../src/lib/instant.js';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import { alone } from '../../../../src/smarter/import-lock.js';
import { ImportRun } from '../../../../src/smarter/import-run.js';
import type { ImportReport } from '../../../../src/smarter/report.js';
import { testAuditLog } from '../../../support/audit.js';
import { createImportTarget, ringOf, type ImportTarget } from '../../../support/import-target.js';
import { addKey, addUser, logOut } from '../../../support/smarter-platform.js';
import {
  createSmarterDatabase,
  keysOf,
  lastToken,
  readExpected,
  type SmarterDatabase,
} from '../../../support/smarter-source.js';

let source: SmarterDatabase;
let target: ImportTarget;

beforeEach(async () => {
  source = await createSmarterDatabase();
  target = await createImportTarget();
  await target.run(source.url);
});

afterEach(async () => {
  await target.drop();
  await source.drop();
});

/** importOnly takes over one key of the source, by its digest. */
async function importOnly(digest: string): Promise<ImportReport> {
  const keyring = ringOf(...keysOf(await readExpected()));
  const there = await connectSource(source.url);
  try {
    return await alone(target.knex, async (holder) => {
      const sql = `SELECT key_id FROM drf_smarterauthtoken WHERE authtoken_ptr_id = '${digest}'`;
      const [row] = await there.few(sql);
      const options = {
        ...{ target: target.knex, keyring, audit: testAuditLog(target.knex), clock: systemClock },
        ...{ keepTokens: false, prefer: 'safer' as const, retention: MICROSECONDS_A_DAY, dryRun: false },
        deletions: { mode: 'apply' as const, maxPercent: 10, force: false },
      };
      const run = await ImportRun.begin(options, there, holder, 'few rows');
      return run.only(new Map([['token' as const, new Set([row?.['key_id'] ?? ''])]]));
    });
  } finally {
    await there.close();
  }
}

test('with a key come its owners', async () => {
  await addUser(source, 950, 'dora', 2);
  const digest = await addKey(source, 950, 950, 'the key of dora');
  const { counts } = await importOnly(digest);
  expect(counts.token).toMatchObject({ read: 1, created: 1 });
  expect(counts.user).toMatchObject({ read: 1, created: 1 });
  expect(counts.user_profile).toMatchObject({ read: 1, created: 1 });
});

test('a key gets its name where the one that had it is gone, and that is revoked', async () => {
  const old = lastToken(await readExpected());
  await logOut(source, `s.authtoken_ptr_id = '${old.digest}'`);
  const digest = await addKey(source, old.user_profile_id, 2, old.name);
  const { counts } = await importOnly(digest);
  expect(counts.token).toMatchObject({ read: 1, created: 1, deleted: 1 });
  const tokens = await target.tokens();
  expect(tokens.has(old.key_id)).toBe(false);
  expect([...tokens.values()].find((token) => token.digest === digest)?.name).toBe(old.name);
});
