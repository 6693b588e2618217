import { readFile } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { extent } from '../../../support/extent.js';
import { startImportFollower, type Running } from '../../../support/follower.js';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { KEYED_SOURCES, type KeyedSource } from '../../../support/keyed-source.js';
import { execute } from '../../../support/sql.js';

const KEYS = extent('MANY_KEYS', 0, 20_000);
/** Cycles over which is counted. */
const CYCLES = 30;
/** Rows of a slice of either table, and some, since the source counts late. Only an eighth of knox rows is read a round. */
const MAX_ROWS = (KEYS / 6 + KEYS / 24) * 1.3;
const PATIENCE = { timeout: 60_000, interval: 50 };
/** For how long it is measured what the source and the follower cost while nothing changes. */
const QUIET_MS = 30_000;
const CHANGES = 60;
/** A clock tick of the kernel, in milliseconds. */
const TICK_MS = 10;

for (const [name, start] of Object.entries(KEYED_SOURCES)) {
  describe.skipIf(start === undefined)(`with ${KEYS} keys in ${name}`, () => {
    let source: KeyedSource;
    let target: ImportTarget;
    let follower: Running;

    beforeAll(async () => {
      source = await (start as (keys: number) => Promise<KeyedSource>)(KEYS);
      target = await createImportTarget();
      follower = await startImportFollower(target, source.url, { intervalMs: 250 }, 500_000);
    }, 600_000);

    afterAll(async () => {
      await follower.stop();
      await target.drop();
      await source.drop();
    });

    async function cyclesFrom(cycles: number): Promise<void> {
      await vi.waitFor(
        () => expect(follower.status.cycles).toBeGreaterThanOrEqual(cycles + CYCLES),
        PATIENCE,
      );
    }

    async function isActiveHere(key: number): Promise<boolean | undefined> {
      const sql = `SELECT t.is_active FROM tokens t JOIN token_digests d ON d.token_id = t.id WHERE d.digest = sha512($1)`;
      const [token] = await execute(target.url, sql, [Buffer.from(String(key))]);
      return token === undefined ? undefined : token['is_active'] === true;
    }

    test('a cycle reads one slice of the keys and scans no table when nothing changes', async () => {
      // Counts are a second late.
      await cyclesFrom(follower.status.cycles);
      const [from, before] = [follower.status.cycles, await source.reads()];
      await cyclesFrom(from);
      const [cycles, after] = [follower.status.cycles - from, await source.reads()];

      expect(after.scans - before.scans).toBeLessThan(0.5);
      expect((after.rows - before.rows) / cycles).toBeLessThan(MAX_ROWS);
      expect(after.rows - before.rows).toBeGreaterThan(KEYS);
    });

    test('what it costs while nothing changes is told', { timeout: 2 * QUIET_MS }, async () => {
      const processes = await source.processes();
      const [own, theirs, at] = [process.cpuUsage(), await cpuMsOf(processes), performance.now()];
      await setTimeout(QUIET_MS);
      const [ownAfter, tookMs] = [process.cpuUsage(own), performance.now() - at];
      const sourceMs = (await cpuMsOf(processes)) - theirs;
      const ownMs = (ownAfter.user + ownAfter.system) / 1000;
      const percent = (ms: number): string => `${((100 * ms) / tookMs).toFixed(1)} % of a core`;
      console.log(`${name}, ${KEYS} keys unchanged: follower ${percent(ownMs)}, source ${percent(sourceMs)}`);
      expect(sourceMs / tookMs).toBeLessThan(0.1);
    });

    test('a change that leaves no time is seen in a round, and reads little more', async () => {
      const [from, before, seen] = [follower.status.cycles, await source.reads(), follower.reports.length];
      await source.setActive(77, false);
      await vi.waitFor(async () => expect(await isActiveHere(77)).toBe(false), PATIENCE);
      await cyclesFrom(from);
      const [cycles, after] = [follower.status.cycles - from, await source.reads()];

      expect(after.scans - before.scans).toBeLessThan(0.5);
      expect((after.rows - before.rows) / cycles).toBeLessThan(MAX_ROWS);
      const since = follower.reports.slice(seen);
      expect(since.map(({ counts }) => counts.token.updated)).toContain(1);
      for (const { counts } of since) expect(counts.token.read).toBeLessThanOrEqual(1);
    });

    test(
      'changes without a time, deletions and creations are true here within seconds',
      { timeout: 300_000 },
      async () => {
        const latencies: number[] = [];
        for (let change = 0; change < CHANGES; change += 1) {
          const key = 1 + ((1000 + change * 997) % KEYS);
          const committedAt = await [
            () => source.setActive(key, false),
            () => source.remove(key),
            () => source.add(KEYS + 1 + change),
          ][change % 3]?.();
          const made = change % 3 === 2;
          const expected = made ? true : change % 3 === 0 ? false : undefined;
          await vi.waitFor(
            async () => expect(await isActiveHere(made ? KEYS + 1 + change : key)).toBe(expected),
            { timeout: 20_000, interval: 10 },
          );
          latencies.push(performance.now() - (committedAt ?? 0));
          // At any place of a round.
          await setTimeout((change * 137) % 500);
        }
        const sorted = latencies.toSorted((a, b) => a - b);
        const at = (share: number): number =>
          Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
        console.log(
          `${name}: of ${CHANGES} changes p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, last ${at(1)} ms`,
        );
        expect(at(0.5)).toBeLessThan(5_000);
      },
    );
  });
}

/** cpuMsOf is the processor time of processes, by the kernel. */
async function cpuMsOf(pids: readonly number[]): Promise<number> {
  let ticks = 0;
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}
