import type { HoldUse } from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Entry } from './entry.js';

/** Keys that a renewal reports at most. */
const MAX_REPORTED = 1_000;

/** Uses are how often tokens passed since that was last told. */
export class Uses {
  #used: Entry[] = [];

  add(entry: Entry, nowMs: number): void {
    entry.wasUsed = true;
    entry.lastUsedMs = nowMs;
    entry.uses += 1;
    if (entry.uses === 1) this.#used.push(entry);
  }

  /** take gives what is to be told now. The rest is told with the next renewal. */
  take(nowMs: number): HoldUse[] {
    const byKey = new Map<string, HoldUse>();
    let taken = 0;
    for (const entry of this.#used) {
      const before = byKey.get(entry.keyId);
      if (before === undefined && byKey.size === MAX_REPORTED) break;
      const ago = Math.max(nowMs - entry.lastUsedMs, 0);
      byKey.set(entry.keyId, {
        keyId: entry.keyId,
        count: (before?.count ?? 0) + entry.uses,
        lastUsedAgo: Math.min(before?.lastUsedAgo ?? ago, ago),
      });
      entry.uses = 0;
      taken += 1;
    }
    this.#used = this.#used.slice(taken);
    return [...byKey.values()];
  }
}
