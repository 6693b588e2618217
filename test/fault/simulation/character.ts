import type { Random } from '../../support/random.js';
import type { Database } from './database.js';
import { CALLERS, NO_CHANGE, ownerOf, SECRETS, TOKENS, type Change } from './rows.js';

/** Character is what a whole schedule is like. */
export interface Character {
  readonly replicas: number;
  readonly clients: number;
  readonly maxStaleMs: number;
  readonly delayMs: number;
  readonly commitMs: number;
  readonly notifyMs: number;
  readonly faultEveryMs: number;
  readonly changeEveryMs: number;
  readonly lengthMs: number;
  readonly checksRecovery: boolean;
  readonly hasTurns: boolean;
}

export function drawCharacter(random: Random): Character {
  return {
    replicas: random.pick([2, 3, 3, 4]),
    clients: random.pick([0, 1, 2, 3, 3]),
    maxStaleMs: random.pick([0, 0, 1_000, 3_000]),
    delayMs: random.pick([0.3, 0.3, 5, 40]),
    commitMs: random.pick([0.3, 5, 200]),
    notifyMs: random.pick([0.3, 0.3, 50, 300]),
    faultEveryMs: random.pick([300, 1_000, 3_000]),
    changeEveryMs: random.pick([200, 500, 1_500]),
    lengthMs: random.pick([4_000, 7_000, 10_000]),
    checksRecovery: random.chance(0.2),
    hasTurns: random.chance(0.5),
  };
}

/** drawChange thinks of a change. */
export function drawChange(random: Random, database: Database): Change {
  const lost = CALLERS.filter((row) => !database.row(row).isThere);
  if (lost.length > 0 && random.chance(0.3)) return { ...NO_CHANGE, changed: [random.pick(lost)] };
  const token = random.pick(TOKENS);
  const kind = random.below(100);
  if (kind < 40) return { ...NO_CHANGE, changed: [token] };
  if (kind < 48) return { ...NO_CHANGE, gone: [token] };
  if (kind < 60) return { ...NO_CHANGE, changed: [ownerOf(token) ?? token] };
  if (kind < 65) return { ...NO_CHANGE, changed: [token, random.pick(TOKENS)], isUntold: true };
  if (kind < 70) return { ...NO_CHANGE, unchanged: [token] };
  if (kind < 84) return { ...NO_CHANGE, changed: [random.pick(SECRETS)] };
  if (kind < 92) return { ...NO_CHANGE, gone: [random.pick(SECRETS)] };
  const caller = random.pick(CALLERS);
  return kind < 96 ? { ...NO_CHANGE, gone: [caller] } : { ...NO_CHANGE, changed: [caller] };
}
