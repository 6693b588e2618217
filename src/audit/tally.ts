import type { Clock } from '../lib/clock.js';
import { PeriodicTask } from '../lib/periodic-task.js';
import type { Logger } from '../telemetry/logger.js';
import type { AuditEntry } from './audit-entry.js';
import type { AuditLog } from './audit-log.js';

/** Place is one of the records that something may be counted in. */
export interface Place {
  readonly key: string;
  /** Of one group only so many are told apart that it does not take the room of others. */
  readonly group?: string;
  /** The record but for the count. */
  readonly entry: () => AuditEntry;
}

/** Places lead from the narrowest record to the widest, of which there are few. */
export type Places = readonly [narrowest: Place, ...wider: Place[]];

/** Counted stands for many of the same. */
interface Counted {
  readonly places: Places;
  readonly entry: AuditEntry;
  /** Milliseconds since 1970 of the first of them. */
  since: number;
  count: number;
}

interface TallyDependencies {
  readonly audit: Pick<AuditLog, 'append'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Whether a record that was written stays open, for what goes on to be counted and not to be opened anew. */
  readonly staysOpen: boolean;
}

/** Records of one width that are told apart between two writes. */
const MAX_TOLD_APART = 1000;
const MAX_OF_GROUP = 100;
const INTERVAL_MS = 60_000;

/**
 * Tally counts what happens often, and appends a record a minute for all of the same: a record of each would cost more
 * than most calls. What there is no room for is counted in a wider record. A crash loses the counts of the last minute.
 */
export class Tally {
  readonly #deps: TallyDependencies;
  /** By the number of places that are wider. */
  #tiers = new Map<number, Map<string, Counted>>();
  #groups = new Map<string, number>();
  readonly #writing = new PeriodicTask(() => this.#write());

  constructor(deps: TallyDependencies) {
    this.#deps = deps;
  }

  /** add counts one in the narrowest place that there is or is room for. */
  add(places: Places): void {
    this.#add(places, 1, this.#deps.clock.now());
  }

  /**
   * open makes the narrowest place, with nothing counted in it yet, and gives true: what happens first is recorded
   * by itself. Where there is such a place, or no room for it, it counts as add does, and gives false.
   */
  open(places: Places): boolean {
    const [narrowest] = places;
    const tier = this.#tier(places.length - 1);
    const opens = !tier.has(narrowest.key) && this.#hasRoom(tier, narrowest);
    this.#add(places, opens ? 0 : 1, this.#deps.clock.now());
    return opens;
  }

  /** remove forgets what was counted in a record. */
  remove(key: string): void {
    for (const tier of this.#tiers.values()) tier.delete(key);
  }

  /** start writes every minute, until stopped. */
  start(): void {
    this.#writing.start(INTERVAL_MS);
  }

  /** stop writes what is left. */
  stop(): Promise<void> {
    return this.#writing.finish();
  }

  /** flush writes all counts so far. What cannot be written is kept for the next time. */
  flush(): Promise<void> {
    return this.#writing.run();
  }

  async #write(): Promise<void> {
    const open = [...this.#tiers.values()].flatMap((tier) => [...tier.values()]);
    const counts = open.filter(({ count }) => count > 0);
    this.#tiers = new Map();
    this.#groups = new Map();
    const written = await Promise.allSettled(counts.map((each) => this.#deps.audit.append(entryOf(each))));
    const kept = counts.filter((_, index) => written[index]?.status === 'rejected');
    for (const { places, since, count } of kept) this.#add(places, count, since);
    if (this.#deps.staysOpen) for (const { places, since } of counts) this.#add(places, 0, since);
    const failure = written.find((result) => result.status === 'rejected');
    if (failure === undefined) return;
    this.#deps.logger.warn(
      { err: failure.reason as unknown, records: kept.length },
      'counts for the audit log are kept for later',
    );
  }

  #add(places: Places, count: number, since: number): void {
    for (const [index, place] of places.entries()) {
      const width = places.length - 1 - index;
      const tier = this.#tier(width);
      const known = tier.get(place.key);
      if (known !== undefined) {
        if (count > 0) known.since = known.count === 0 ? since : Math.min(known.since, since);
        known.count += count;
        return;
      }
      if (width > 0 && !this.#hasRoom(tier, place)) continue;
      const { key, group, entry } = place;
      if (group !== undefined) this.#groups.set(group, (this.#groups.get(group) ?? 0) + 1);
      tier.set(key, { places: [place, ...places.slice(index + 1)], entry: entry(), since, count });
      return;
    }
  }

  #hasRoom(tier: ReadonlyMap<string, Counted>, { group }: Place): boolean {
    const ofGroup = group === undefined ? 0 : (this.#groups.get(group) ?? 0);
    return tier.size < MAX_TOLD_APART && ofGroup < MAX_OF_GROUP;
  }

  #tier(width: number): Map<string, Counted> {
    const known = this.#tiers.get(width);
    if (known !== undefined) return known;
    const tier = new Map<string, Counted>();
    this.#tiers.set(width, tier);
    return tier;
  }
}

function entryOf({ entry, since, count }: Counted): AuditEntry {
  const counted = { count: String(count), since: new Date(since).toISOString() };
  return { ...entry, detail: { ...entry.detail, ...counted } };
}
