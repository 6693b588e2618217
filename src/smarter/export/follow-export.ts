import { FOLLOW_EXPORT_LOCK } from '../../db/advisory-locks.js';
import type { Clock } from '../../lib/clock.js';
import type { Head } from '../../coherence/ports.js';
import { forgetGone } from '../announcements.js';
import { connectPlatform } from '../connect-source.js';
import type { FollowStatus } from '../follow/follow-status.js';
import { follow, type Session } from '../follow/follower.js';
import { alone } from '../import-lock.js';
import { ChangesHere } from './changes-here.js';
import type { ExportReport } from './export-report.js';
import { ExportRun, type ExportRunOptions } from './export-run.js';
import { FullRound } from './full-round.js';
import { isNothing, NOTHING, union, without, type ChangedHere } from './here.js';
import type { Platform } from './platform.js';

export interface FollowExportOptions extends Omit<ExportRunOptions, 'dryRun' | 'signal' | 'onProgress'> {
  /** URL of the Smarter platform's database; its account must be able to write. */
  readonly platformUrl: string;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly status: FollowStatus;
  readonly tell: (line: string) => void;
  /** onReport is given the report of each export that this makes. */
  readonly onReport: (report: ExportReport) => void;
}

/** How often uses are written, and it is looked whether the platform's database is there. */
const USES_MS = 5_000;
/**
 * A round through all rows begins so long after the one before, or after so many times what that took. It finds what an
 * import has left to Keyward's value, which is no change here.
 */
const ROUND_MS = 10_000;
const ROUND_SHARE = 4;
/** What the platform refuses is tried again, ever more slowly. */
const FIRST_AGAIN_MS = 1_000;
const LAST_AGAIN_MS = 600_000;

/**
 * followExport has a Smarter platform follow Keyward until the signal is aborted. It begins with an export of everything;
 * from then on it writes what the change feed tells of, and goes round all rows slowly.
 */
export function followExport(options: FollowExportOptions, signal: AbortSignal): Promise<void> {
  const open = async (): Promise<Session> => {
    const platform = await connectPlatform(options.platformUrl, options.answerLimitMs);
    return new ExportSession({ ...options, dryRun: false, signal }, platform);
  };
  return follow({ ...options, lock: FOLLOW_EXPORT_LOCK, open }, signal);
}

class ExportSession implements Session {
  readonly #options: FollowExportOptions & ExportRunOptions;
  readonly #platform: Platform;
  readonly #changes: ChangesHere;
  readonly #round: FullRound;
  #head: Head | undefined;
  #again: { readonly changed: ChangedHere; readonly at: number; readonly afterMs: number } | undefined;
  #usesAt = 0;
  #roundAt = 0;
  #nextRoundAt = 0;

  constructor(options: FollowExportOptions & ExportRunOptions, platform: Platform) {
    this.#options = options;
    this.#platform = platform;
    this.#changes = new ChangesHere(options.target);
    this.#round = new FullRound(options.target, options.allScopes);
  }

  async begin(): Promise<void> {
    const { clock, status } = this.#options;
    const viewedAt = clock.now();
    const head = await this.#changes.head();
    await this.#export((run) => run.everything());
    [this.#head, this.#usesAt, this.#again] = [head, viewedAt, undefined];
    this.#nextRoundAt = viewedAt + ROUND_MS;
    status.caughtUp(viewedAt);
  }

  async cycle(): Promise<void> {
    const { clock, status } = this.#options;
    const viewedAt = clock.now();
    const part = this.#head === undefined ? undefined : await this.#changes.after(this.#head);
    if (part === undefined) return this.begin();
    const changed = union([
      part.changed,
      await this.#uses(viewedAt),
      await this.#fullRound(viewedAt),
      this.#dueAgain(viewedAt),
    ]);
    if (!isNothing(changed)) {
      await this.#export((run) => run.only(changed));
      await this.#lookAgain(changed, viewedAt);
    }
    this.#head = part.head;
    status.done(viewedAt, 1);
  }

  async close(): Promise<void> {
    await this.#platform.close();
  }

  async #uses(now: number): Promise<ChangedHere> {
    if (now - this.#usesAt < USES_MS) return NOTHING;
    this.#usesAt = now;
    // Fails where the connection is lost.
    await this.#platform.run((trx) => trx.query('SELECT 1'), false);
    return { ...NOTHING, ...(await this.#changes.uses()) };
  }

  /** #fullRound takes the next step of a round, without what waits to be tried again. */
  async #fullRound(now: number): Promise<ChangedHere> {
    const round = this.#round;
    if (!round.isUnderway) {
      if (now < this.#nextRoundAt) return NOTHING;
      this.#roundAt = now;
      await forgetGone(this.#options.target);
    }
    const found = await round.step();
    if (!round.isUnderway) {
      const pause = Math.max(ROUND_MS, ROUND_SHARE * (this.#options.clock.now() - this.#roundAt));
      this.#nextRoundAt = now + pause;
    }
    return this.#again === undefined ? found : without(found, this.#again.changed);
  }

  #dueAgain(now: number): ChangedHere {
    return this.#again === undefined || now < this.#again.at ? NOTHING : this.#again.changed;
  }

  /** #lookAgain remembers what could not be written, to try it again. */
  async #lookAgain(changed: ChangedHere, now: number): Promise<void> {
    const left = await this.#round.left(changed);
    const before = this.#again;
    const isDue = before !== undefined && now >= before.at;
    const waiting = before === undefined || isDue ? left : union([before.changed, left]);
    if (isNothing(waiting)) {
      this.#again = undefined;
    } else if (!isNothing(left) || isDue) {
      const afterMs = isDue ? Math.min(before.afterMs * 2, LAST_AGAIN_MS) : FIRST_AGAIN_MS;
      this.#again = { changed: waiting, at: now + afterMs, afterMs };
    }
  }

  async #export(work: (run: ExportRun) => Promise<ExportReport>): Promise<void> {
    const { target, status, onReport } = this.#options;
    const report = await alone(target, () => work(new ExportRun(this.#options, this.#platform)));
    for (const [kind, { created, updated, deleted, used }] of Object.entries(report.counts)) {
      for (const [outcome, count] of Object.entries({ created, updated, deleted, used })) {
        status.wrote(kind, outcome, count);
      }
    }
    onReport(report);
  }
}
