import { setTimeout } from 'node:timers/promises';
import type { Knex } from 'knex';
import type { Clock } from '../../lib/clock.js';
import { reasonOf } from '../import-commits.js';
import { ImportsBusy } from '../import-lock.js';
import { SmarterImportError } from '../smarter-import-error.js';
import { query } from '../target-store.js';
import type { FollowStatus } from './follow-status.js';

/** Session is a follower at work, with its connections. */
export interface Session {
  /** begin brings all rows into step. */
  begin(): Promise<void>;
  /** cycle brings into step what has changed since. */
  cycle(): Promise<void>;
  close(): Promise<void>;
}

export interface FollowerOptions {
  /** Keyward's database. Of its connections one is held for as long as this runs. */
  readonly target: Knex;
  /** The advisory lock of which there is one for all followers of a kind. */
  readonly lock: number;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly status: FollowStatus;
  /** tell is told, once each, what an operator has to know. */
  readonly tell: (line: string) => void;
  readonly open: () => Promise<Session>;
}

const MAX_PAUSE_MS = 30_000;
const FIRST_PAUSE_MS = 250;
/** How often a follower that waits looks whether the other one is gone. */
const WAITING_MS = 1_000;

/**
 * follow runs cycles until the signal is aborted, and then ends in order. It goes on after failures, ever more slowly, and
 * begins from the start then: what comes back may not be what went away. Of several followers one is at work.
 *
 * @throws SmarterImportError where it cannot begin at all, because a database is not what it should be
 */
export async function follow(options: FollowerOptions, signal: AbortSignal): Promise<void> {
  const { tell, status } = options;
  const state = { failures: 0, hasBegun: false };
  const isEnding = (): boolean => signal.aborted;
  while (!isEnding()) {
    try {
      await work(options, signal, () => {
        tell(state.failures > 0 ? 'in step again' : 'in step');
        state.failures = 0;
        state.hasBegun = true;
      });
    } catch (error) {
      if (isEnding()) return;
      if (error instanceof SmarterImportError && !state.hasBegun) throw error;
      state.failures += 1;
      status.failed();
      if (state.failures === 1) tell(`failed, and goes on: ${reasonOf(error)}`);
      await pause(backoff(state.failures), signal);
    }
  }
}

async function work(options: FollowerOptions, signal: AbortSignal, onBegun: () => void): Promise<void> {
  const { target, clock, intervalMs } = options;
  const holder = await target.transaction();
  try {
    await holder.raw('SET LOCAL idle_in_transaction_session_timeout = 0');
    if (!(await becomeTheOne(holder, options, signal))) return;
    const session = await options.open();
    try {
      await takingTurns(options, signal, async () => {
        await session.begin();
        onBegun();
      });
      while (!signal.aborted) {
        const startedAt = clock.now();
        // Fails where the connection is lost, and the lock with it.
        await query(holder, 'SELECT 1');
        await takingTurns(options, signal, () => session.cycle());
        await pause(Math.max(0, intervalMs - (clock.now() - startedAt)), signal);
      }
    } finally {
      await session.close().catch(() => undefined);
    }
  } finally {
    await holder.rollback().catch(() => undefined);
  }
}

/** takingTurns does a step, again and again where another import or export does not let it have its turn. */
async function takingTurns(
  { tell, status }: FollowerOptions,
  signal: AbortSignal,
  step: () => Promise<void>,
): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      await step();
      return;
    } catch (error) {
      if (!(error instanceof ImportsBusy)) throw error;
      status.waiting();
      if (isFirst) tell('another import or export is running: waiting for its end');
    }
  }
}

/** becomeTheOne waits until no other follower holds the lock. Answers false where the signal came before. */
async function becomeTheOne(
  holder: Knex.Transaction,
  { lock, tell, status }: FollowerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    const sql = 'SELECT pg_try_advisory_xact_lock(?) AS got';
    const [row] = await query<{ got: boolean }>(holder, sql, [lock]);
    if (row?.got === true) return true;
    if (isFirst) {
      status.waiting();
      tell('another follower is at work: waiting until it ends');
    }
    await pause(WAITING_MS, signal);
  }
  return false;
}

function backoff(failures: number): number {
  return Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

/** pause ends early with the signal. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}
