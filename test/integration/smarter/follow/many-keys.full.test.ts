import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startImportFollower, type Running } from '../../../support/follower.js';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { createSmarterDatabase, type SmarterDatabase } from '../../../support/smarter-source.js';
import { execute } from '../../../support/sql.js';

const KEYS = 100_000;
/** Cycles over which is counted. */
const CYCLES = 30;
/** Rows of a slice of either table, and some, since the source counts late. Only a quarter of knox rows is read a round. */
const MAX_ROWS = (KEYS / 6 + KEYS / 24) * 1.3;
const PATIENCE = { timeout: 60_000, interval: 50 };

let source: SmarterDatabase;
let target: ImportTarget;
let follower: Running;

beforeAll(async () => {
  source = await createSmarterDatabase();
  await source.run(`
    INSERT INTO knox_authtoken (digest, created, user_id, token_key)
      SELECT encode(sha512(i::text::bytea), 'hex'), now() - interval '1 day', 2, left(encode(sha512(i::text::bytea), 'hex'), 15)
      FROM generate_series(1, ${KEYS}) i`);
  await source.run(`
    INSERT INTO drf_smarterauthtoken
      (authtoken_ptr_id, created_at, updated_at, name, key_id, is_active, user_profile_id, tags)
      SELECT encode(sha512(i::text::bytea), 'hex'), now() - interval '1 day', now() - interval '1 day',
        'key ' || i, gen_random_uuid(), true, 2, '[]'
      FROM generate_series(1, ${KEYS}) i`);
  await source.run('ANALYZE');
  target = await createImportTarget();
  follower = await startImportFollower(target, source.url, { intervalMs: 100 }, 500_000);
}, 600_000);

afterAll(async () => {
  await follower.stop();
  await target.drop();
  await source.drop();
});

interface Reads {
  readonly scans: number;
  readonly rows: number;
}

/** reads are those of the tables of keys, by the source's own count. */
async function reads(): Promise<Reads> {
  const [counted] = await execute(
    source.url,
    `SELECT sum(seq_scan)::integer AS scans, sum(seq_tup_read + idx_tup_fetch)::integer AS rows
     FROM pg_stat_user_tables WHERE relname IN ('drf_smarterauthtoken', 'knox_authtoken')`,
  );
  return { scans: Number(counted?.['scans']), rows: Number(counted?.['rows']) };
}

async function cyclesFrom(cycles: number): Promise<void> {
  await vi.waitFor(() => expect(follower.status.cycles).toBeGreaterThanOrEqual(cycles + CYCLES), PATIENCE);
}

test('a cycle reads one slice of the keys and scans no table when nothing changes', async () => {
  // Counts are a second late.
  await cyclesFrom(follower.status.cycles);
  const [from, before] = [follower.status.cycles, await reads()];
  await cyclesFrom(from);
  const [cycles, after] = [follower.status.cycles - from, await reads()];

  expect(after.scans - before.scans).toBe(0);
  expect((after.rows - before.rows) / cycles).toBeLessThan(MAX_ROWS);
  expect(after.rows - before.rows).toBeGreaterThan(KEYS);
});

test('a change that leaves no time is seen in a round, and reads little more', async () => {
  const [from, before, seen] = [follower.status.cycles, await reads(), follower.reports.length];
  await source.run(
    `UPDATE drf_smarterauthtoken SET is_active = false WHERE authtoken_ptr_id = encode(sha512('77'::bytea), 'hex')`,
  );
  const digest = `sha512('77'::bytea)`;
  await vi.waitFor(async () => {
    const [token] = await execute(
      target.url,
      `SELECT t.is_active FROM tokens t JOIN token_digests d ON d.token_id = t.id WHERE d.digest = ${digest}`,
    );
    expect(token).toEqual({ is_active: false });
  }, PATIENCE);
  await cyclesFrom(from);
  const [cycles, after] = [follower.status.cycles - from, await reads()];

  expect(after.scans - before.scans).toBe(0);
  expect((after.rows - before.rows) / cycles).toBeLessThan(MAX_ROWS);
  const since = follower.reports.slice(seen);
  expect(since.map(({ counts }) => counts.token.updated)).toEqual([1]);
  expect(since.map(({ counts }) => counts.token.read)).toEqual([1]);
});
