import type { Knex } from 'knex';
import { vi } from 'vitest';
import type { AuditLog } from '../../src/audit/audit-log.js';
import { openDatabase } from '../../src/db/knex.js';
import { systemClock } from '../../src/lib/clock.js';
import { MICROSECONDS_A_DAY } from '../../src/lib/instant.js';
import type { ExportReport } from '../../src/smarter/export/export-report.js';
import { followExport, type FollowExportOptions } from '../../src/smarter/export/follow-export.js';
import { FollowStatus } from '../../src/smarter/follow/follow-status.js';
import { followImport, type FollowImportOptions } from '../../src/smarter/follow/follow-import.js';
import type { ImportReport } from '../../src/smarter/report.js';
import { testAuditLog } from './audit.js';
import { ringOf, type ImportTarget } from './import-target.js';
import { keysOf, readExpected } from './smarter-source.js';

/** PATIENCE is how long a test waits for a follower. */
export const PATIENCE = { timeout: 20_000, interval: 20 };

/** Cycles in which a follower looks at all rows of a small platform, and at its own last writes. */
const ROUND = 8;

/** Running is a follower that runs in this process. */
export interface Running<Report = ImportReport> {
  readonly status: FollowStatus;
  /** What an operator was told. */
  readonly told: string[];
  readonly reports: Report[];
  /** inStep waits until it has begun. */
  inStep(patienceMs?: number): Promise<void>;
  /** round waits until all rows were looked at once more. */
  round(): Promise<void>;
  /** stop ends it in order, as a signal does. */
  stop(): Promise<void>;
  /** ended is its end, by whatever. */
  readonly ended: Promise<void>;
}

/** startImportFollower starts one, and waits until it is in step. */
export async function startImportFollower(
  target: ImportTarget,
  sourceUrl: string,
  options: Partial<FollowImportOptions> = {},
  patienceMs = PATIENCE.timeout,
): Promise<Running> {
  const running = await beginImportFollower(target, sourceUrl, options);
  await running.inStep(patienceMs);
  return running;
}

/** beginImportFollower starts one that may have to wait. */
export async function beginImportFollower(
  target: ImportTarget,
  sourceUrl: string,
  options: Partial<FollowImportOptions> = {},
): Promise<Running> {
  const keyring = ringOf(...keysOf(await readExpected()));
  return run<ImportReport>(target.url, (common, signal) =>
    followImport(
      {
        ...{ ...common, sourceUrl, keyring },
        ...{ keepTokens: false, prefer: 'safer', retention: MICROSECONDS_A_DAY },
        deletions: { mode: 'apply', maxPercent: 10, force: false },
        ...options,
      },
      signal,
    ),
  );
}

/** startExportFollower starts one in the other direction, and waits until it is in step. */
export async function startExportFollower(
  target: ImportTarget,
  platformUrl: string,
  options: Partial<FollowExportOptions> = {},
): Promise<Running<ExportReport>> {
  const keyring = ringOf(...keysOf(await readExpected()));
  const running = run<ExportReport>(target.url, (common, signal) =>
    followExport(
      {
        ...{ ...common, platformUrl, keyring, keyId: keyring.primaryId },
        ...{ allScopes: false, ...options },
      },
      signal,
    ),
  );
  await running.inStep();
  return running;
}

interface Common<Report> {
  readonly target: Knex;
  readonly audit: AuditLog;
  readonly clock: typeof systemClock;
  readonly status: FollowStatus;
  readonly intervalMs: number;
  readonly tell: (line: string) => void;
  readonly onReport: (report: Report) => void;
}

function run<Report>(
  targetUrl: string,
  start: (common: Common<Report>, signal: AbortSignal) => Promise<void>,
): Running<Report> {
  const status = new FollowStatus(systemClock);
  const told: string[] = [];
  const reports: Report[] = [];
  const stopping = new AbortController();
  const knex = openDatabase({ url: targetUrl, poolSize: 4, connectTimeoutMs: 5000 });
  const common = {
    ...{ target: knex, audit: testAuditLog(knex) },
    ...{ clock: systemClock, status, intervalMs: 50 },
    tell: (line: string) => void told.push(line),
    onReport: (report: Report) => void reports.push(report),
  };
  const ended = start(common, stopping.signal).finally(() => knex.destroy());
  // A test waits for its end, or for what it should have done.
  ended.catch(() => undefined);
  const reach = (cycles: number, timeout = PATIENCE.timeout): Promise<void> =>
    vi.waitFor(
      () => {
        if (status.cycles < cycles) throw new Error(`it does not go on: ${told.join()}`);
      },
      { ...PATIENCE, timeout },
    );
  return {
    status,
    told,
    reports,
    ended,
    inStep: (patienceMs) => reach(1, patienceMs),
    round: () => reach(status.cycles + ROUND),
    stop: async () => {
      stopping.abort();
      await ended;
    },
  };
}
