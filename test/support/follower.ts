import { vi } from 'vitest';
import { systemClock } from '../../src/lib/clock.js';
import { MICROSECONDS_A_DAY } from '../../src/lib/instant.js';
import { FollowStatus } from '../../src/smarter/follow/follow-status.js';
import { followImport, type FollowImportOptions } from '../../src/smarter/follow/follow-import.js';
import type { ImportReport } from '../../src/smarter/report.js';
import { testAuditLog } from './audit.js';
import { ringOf, type ImportTarget } from './import-target.js';
import { keysOf, readExpected } from './smarter-source.js';

/** PATIENCE is how long a test waits for a follower. */
export const PATIENCE = { timeout: 20_000, interval: 20 };

/** Running is a follower that runs in this process. */
export interface Running {
  readonly status: FollowStatus;
  /** What an operator was told. */
  readonly told: string[];
  readonly reports: ImportReport[];
  /** round waits until all rows were looked at once more. */
  round(): Promise<void>;
  /** stop ends it in order, as a signal does. */
  stop(): Promise<void>;
}

/** startImportFollower starts one, and waits until it is in step. */
export async function startImportFollower(
  target: ImportTarget,
  sourceUrl: string,
  options: Partial<FollowImportOptions> = {},
): Promise<Running> {
  const running = await beginImportFollower(target, sourceUrl, options);
  await vi.waitFor(() => {
    if (running.status.cycles === 0) throw new Error(`not in step: ${running.told.join()}`);
  }, PATIENCE);
  return running;
}

/** beginImportFollower starts one that may have to wait. */
export async function beginImportFollower(
  target: ImportTarget,
  sourceUrl: string,
  options: Partial<FollowImportOptions> = {},
): Promise<Running> {
  const status = new FollowStatus(systemClock);
  const told: string[] = [];
  const reports: ImportReport[] = [];
  const stopping = new AbortController();
  const ended = followImport(
    {
      ...{ sourceUrl, target: target.knex, status, intervalMs: 50 },
      ...{ keyring: ringOf(...keysOf(await readExpected())), audit: testAuditLog(target.knex), clock: systemClock },
      ...{ keepTokens: false, prefer: 'safer', retention: MICROSECONDS_A_DAY },
      deletions: { mode: 'apply', maxPercent: 10, force: false },
      tell: (line) => told.push(line),
      onReport: (report) => reports.push(report),
      ...options,
    },
    stopping.signal,
  );
  // A test waits for its end, or for what it should have done.
  ended.catch(() => undefined);
  return {
    status,
    told,
    reports,
    round: async () => {
      const { cycles } = status;
      await vi.waitFor(() => {
        if (status.cycles < cycles + 8) throw new Error(`no further cycles: ${told.join()}`);
      }, PATIENCE);
    },
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
