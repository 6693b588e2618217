/**
 * `holders/` lets clients judge in their own process: it knows what each of them holds, tells them what was changed, grants
 * them leases cut from that of this replica, and tells what they have not forgotten yet. The argument why this is right is in
 * docs/callers-memory.md.
 *
 *     const holder = hub.open(identity, held, outlet);
 *     holder.lookUp(texts);
 */

import { lentMs, TTL_MS, type Lease } from '../coherence/lease.js';
import type { OutagePolicy } from '../coherence/outage-policy.js';
import type {
  ClientCounts,
  ClientGroup,
  ClientsTold,
  Eviction,
  Head,
  Holders,
  OwnClients,
} from '../coherence/ports.js';
import { KeywardError, stopping } from '../lib/errors.js';
import type { Timer, Timers } from '../lib/timers.js';
import { heldChange, type HeldChange } from './held-change.js';
import { Holder } from './holder.js';
import { keyOf, type HolderIdentity } from './holder-identity.js';
import type { HeldFact, HolderOutlet, Refusal } from './holder-outlet.js';
import type { Named } from './holding.js';
import { Patience } from './patience.js';
import { Settlement } from './settlement.js';
import { ACKNOWLEDGE_WITHIN_MS } from './unacknowledged.js';

/** From one renewal of a client to the next. */
export const RENEW_EVERY_MS = Math.floor(lentMs(TTL_MS) / 3);
/** Changes that are read one by one for a client that comes from another stream. */
const MAX_MISSED = 1_000n;
/** Groups of clients that people are told of. */
const MAX_GROUPS = 50;
const NONE: ClientCounts = { acknowledged: 0, expired: 0 };

/** HolderMetrics are told what goes on. */
interface HolderMetrics {
  invalidated(): void;
  /** A client has kept a change waiting for longer than it may. */
  strained(label: string): void;
  refused(refusal: Refusal): void;
}

export interface HolderHubDependencies<Fact> {
  readonly lease: Pick<Lease, 'holds' | 'leftMs' | 'isRenewedSince'>;
  readonly facts: Pick<OutagePolicy<Fact>, 'lookUp' | 'get'>;
  /** missed reads what was changed after one head up to another; undefined if that is not known any more. */
  readonly missed: (after: Head, upTo: Head) => Promise<readonly Eviction[] | undefined>;
  readonly timers: Timers;
  readonly metrics: HolderMetrics;
  /** Tokens that one client may hold. */
  readonly maxEntries: number;
  /** Clients of all users. */
  readonly maxHolders: number;
  /** Clients of one user, with those that are gone and may have a lease. */
  readonly maxHoldersOfUser: number;
}

/** Coming is a client that comes from another stream. */
export interface Coming extends Named {
  readonly position: Head;
}

/** Required is a head before which no lease is granted. */
interface Required {
  readonly head: Head;
  readonly atMs: number;
}

/** OwnWait is a change of this replica that waits for its clients. */
interface OwnWait {
  readonly head: Head;
  readonly resolve: (counts: ClientCounts) => void;
}

/** HolderHub is all clients of this replica. */
export class HolderHub<Fact extends HeldFact> implements Holders, OwnClients {
  readonly #deps: HolderHubDependencies<Fact>;
  readonly #settlement: Settlement;
  readonly #patience: Patience;
  /** Those that are gone are among them while they may have a lease. */
  readonly #holders = new Set<Holder<Fact>>();
  readonly #waits = new Set<OwnWait>();
  #required: Required | undefined;
  #isStopping = false;
  /** onSettled is called when more is settled than was when it was applied. */
  onSettled: () => void = () => undefined;
  #planned: { readonly atMs: number; readonly timer: Timer } | undefined;
  #onFewer: () => void = () => undefined;

  constructor(deps: HolderHubDependencies<Fact>) {
    this.#deps = deps;
    this.#settlement = new Settlement(() => {
      this.#settled();
    });
    this.#patience = new Patience(deps.timers);
  }

  get settled(): Head | undefined {
    return this.#settlement.settled;
  }

  /** holders are those whose streams are open. */
  get holders(): Holder<Fact>[] {
    return [...this.#holders].filter(({ isLive }) => isLive);
  }

  /** description is what is told people of the clients: at most 50 groups, those with most clients first. */
  description(): { clients: number; groups: ClientGroup[] } {
    const groups = new Map<string, { label: string; agent: string; clients: number; entries: number }>();
    const { holders } = this;
    for (const { identity, size } of holders) {
      const { label, agent } = identity;
      const key = JSON.stringify([label, agent]);
      const { clients, entries } = groups.get(key) ?? { clients: 0, entries: 0 };
      groups.set(key, { label, agent, clients: clients + 1, entries: entries + size });
    }
    const first = [...groups.values()].sort((a, b) => b.clients - a.clients).slice(0, MAX_GROUPS);
    return { clients: holders.length, groups: first };
  }

  changed(eviction: Eviction, applied: Head, before: Head | undefined): void {
    this.#settlement.advance(applied, before, (step) => {
      if (this.#holders.size === 0) return;
      const change = heldChange(eviction, applied.epoch);
      for (const holder of this.#holders) holder.changed(change, step);
    });
    if (this.#waits.size > 0) this.#endWaits();
  }

  told(revisions: readonly bigint[]): readonly ClientsTold[] {
    return this.#settlement.told(revisions);
  }

  settle(head: Head): Promise<ClientCounts> | undefined {
    this.#require(head);
    const leftMs = this.#leftMs();
    if (leftMs <= 0) return undefined;
    return new Promise((resolve) => {
      const timer = this.#deps.timers.after(leftMs, () => {
        this.#look(false);
        end(NONE);
      });
      const end = (counts: ClientCounts): void => {
        timer.cancel();
        this.#waits.delete(wait);
        resolve(counts);
      };
      const wait = { head, resolve: end };
      this.#waits.add(wait);
      this.#endWaits();
    });
  }

  /**
   * open begins a client's stream. `coming` is what it holds already. Until `trust` nothing is granted: what the caller may do
   * has to be judged again, now that changes of it are told. TOO_MANY_HOLDERS or STOPPING if it may not begin.
   */
  open(identity: HolderIdentity, coming: Coming | undefined, outlet: HolderOutlet<Fact>): Holder<Fact> {
    if (this.#isStopping) throw stopping();
    this.#sweep();
    this.#replace(identity);
    this.#requireRoom(identity);
    const holder = new Holder(identity, this.#surroundings(), outlet);
    this.#holders.add(holder);
    const { applied } = this.#settlement;
    const isKnown =
      coming !== undefined &&
      coming.position.epoch === applied?.epoch &&
      applied.revision - coming.position.revision <= MAX_MISSED;
    holder.open(isKnown ? coming : undefined);
    if (isKnown) void this.#catchUp(holder, coming.position, applied);
    return holder;
  }

  /** close ends a client's stream, which has ended. What is left of its lease is kept. */
  close(holder: Holder<Fact>): void {
    holder.gone();
    this.#sweep();
    if (this.#holders.has(holder)) this.#watch(holder.nextMs);
  }

  /** leave sends all clients away, and resolves when none of them can have a lease any more. */
  async leave(): Promise<void> {
    this.#isStopping = true;
    for (const holder of this.#holders) holder.leave();
    for (let leftMs = this.#leftMs(); leftMs > 0; leftMs = this.#leftMs()) {
      await new Promise<void>((resolve) => {
        const timer = this.#deps.timers.after(leftMs, resolve);
        this.#onFewer = () => {
          timer.cancel();
          resolve();
        };
      });
    }
  }

  /** #leftMs is for how long any client may have a lease yet. */
  #leftMs(): number {
    let lastMs = -Infinity;
    for (const { leaseEnd } of this.#holders) lastMs = Math.max(lastMs, leaseEnd);
    return lastMs - this.#deps.timers.monotonicMs();
  }

  /** #surroundings are what holders see of this. */
  #surroundings(): ConstructorParameters<typeof Holder<Fact>>[1] {
    const { facts, timers, metrics, maxEntries } = this.#deps;
    return {
      maxEntries,
      nowMs: () => timers.monotonicMs(),
      applied: () => this.#settlement.applied,
      lend: () => this.#lend(),
      mayKeep: () => !this.#isStopping && this.#deps.lease.holds(),
      isStopping: () => this.#isStopping,
      lookUp: (digest) => facts.lookUp(digest, timers.wallMs()),
      get: (digest) => facts.get(digest),
      release: (step, outcome) => {
        this.#settlement.release(step, outcome);
      },
      isTooSlow: (holder) => this.#patience.isOver(keyOf(holder)),
      strained: (holder) => {
        this.#patience.strain(keyOf(holder));
        metrics.strained(holder.label);
      },
      refused: (refusal) => {
        metrics.refused(refusal);
      },
      invalidated: () => {
        metrics.invalidated();
      },
      watch: (atMs) => {
        this.#watch(atMs);
      },
    };
  }

  /** #lend cuts a lease from that of this replica, which must know of the changes that it has made itself. */
  #lend(): { spanMs: number; leaseMs: number } | undefined {
    const { lease } = this.#deps;
    const required = this.#required;
    const isMet =
      required === undefined ||
      this.#settlement.isApplied(required.head) ||
      lease.isRenewedSince(required.atMs);
    const spanMs = isMet && lease.holds() ? Math.min(TTL_MS, lease.leftMs()) : 0;
    return spanMs > 0 ? { spanMs, leaseMs: lentMs(spanMs) } : undefined;
  }

  /** #require: a client that comes between a commit and its notice must not get a lease for what was before. */
  #require(head: Head): void {
    const known = this.#required?.head;
    if (known?.epoch === head.epoch && known.revision >= head.revision) return;
    this.#required = { head, atMs: this.#deps.timers.monotonicMs() };
  }

  async #catchUp(holder: Holder<Fact>, position: Head, applied: Head): Promise<void> {
    const missed = await this.#missed(position, applied);
    if (holder.isLive) holder.catchUp(missed ?? 'unknown');
  }

  async #missed(position: Head, applied: Head): Promise<HeldChange[] | undefined> {
    if (position.revision >= applied.revision) return [];
    try {
      const evictions = await this.#deps.missed(position, applied);
      return evictions?.map((eviction) => heldChange(eviction, applied.epoch));
    } catch {
      // It is told to forget everything, as one that comes from too far back.
      return undefined;
    }
  }

  /** #replace ends the stream that the client has here already. */
  #replace(identity: HolderIdentity): void {
    for (const holder of this.#holders)
      if (holder.isLive && keyOf(holder.identity) === keyOf(identity))
        holder.end(new KeywardError('HOLDER_REPLACED', 'The client has opened another stream.'));
  }

  #requireRoom({ userId }: HolderIdentity): void {
    const { maxHolders, maxHoldersOfUser } = this.#deps;
    const ofUser = [...this.#holders].filter(({ identity }) => identity.userId === userId).length;
    const limit = ofUser >= maxHoldersOfUser ? maxHoldersOfUser : maxHolders;
    if (ofUser < maxHoldersOfUser && this.#holders.size < maxHolders) return;
    throw new KeywardError(
      'TOO_MANY_HOLDERS',
      `Too many clients hold verdicts here: ${limit} are the limit.`,
      {
        metadata: { limit: String(limit) },
      },
    );
  }

  /** #sweep forgets those that are gone and can have no lease any more. */
  #sweep(): void {
    let isFewer = false;
    for (const holder of this.#holders) {
      if (holder.isLive || holder.hasLease) continue;
      holder.look(this.#deps.timers.monotonicMs(), false);
      this.#holders.delete(holder);
      isFewer = true;
    }
    if (isFewer) this.#onFewer();
  }

  #settled(): void {
    if (this.#waits.size > 0) this.#endWaits();
    this.onSettled();
  }

  #endWaits(): void {
    for (const { head, resolve } of [...this.#waits]) {
      if (!this.#settlement.isApplied(head) || !this.#settlement.isSettled(head)) continue;
      const { acknowledged, expired } = this.#settlement.told([head.revision])[0] ?? NONE;
      resolve({ acknowledged, expired });
    }
  }

  /** #watch looks at the holders at a time, and then again whenever the next span of any is over. */
  #watch(atMs: number): void {
    const { timers } = this.#deps;
    if (atMs === Infinity || (this.#planned !== undefined && this.#planned.atMs <= atMs)) return;
    this.#planned?.timer.cancel();
    const timer = timers.after(Math.max(0, atMs - timers.monotonicMs()), () => {
      this.#planned = undefined;
      this.#look(timers.monotonicMs() - atMs > ACKNOWLEDGE_WITHIN_MS);
      this.#sweep();
      let nextMs = Infinity;
      for (const holder of this.#holders) nextMs = Math.min(nextMs, holder.nextMs);
      this.#watch(nextMs);
    });
    this.#planned = { atMs, timer };
  }

  #look(isLate: boolean): void {
    const nowMs = this.#deps.timers.monotonicMs();
    for (const holder of this.#holders) holder.look(nowMs, isLate);
  }
}
