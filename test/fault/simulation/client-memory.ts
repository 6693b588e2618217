import type { Timers } from '../../../src/lib/timers.js';
import type { Grant, Invalidation, LookedUp } from '../../../src/holders/holder-outlet.js';
import type { Coming } from '../../../src/holders/holder-hub.js';
import type { Head } from '../../../src/coherence/ports.js';
import type { ClientParts, TokenRecord } from './simulated-replica.js';

/** Entry is a fact that a client holds, by the streams under whose leases it may be used. */
interface Entry {
  readonly handle: bigint;
  readonly record: TokenRecord;
  readonly streams: Set<number>;
}

/** Moment is one moment by both clocks of the client. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** Stream is what a client knows of one of its streams. */
interface Stream {
  lease: Moment;
  position: Head | undefined;
  readonly renewals: Map<bigint, Moment>;
  /** By the id of the look-up: whether it may be kept, and what of handles was told meanwhile. */
  readonly lookUps: Map<
    bigint,
    { readonly digest: string; isOvertaken: boolean; readonly handles: Set<bigint> }
  >;
}

const NEVER: Moment = { monotonicMs: -Infinity, wallMs: -Infinity };

/** ClientMemory is what a client has to do by docs/callers-memory.md, and nothing that makes it fast. */
export class ClientMemory {
  readonly #timers: Timers;
  readonly #parts: ClientParts;
  readonly #entries = new Map<string, Entry>();
  readonly #streams = new Map<number, Stream>();

  constructor(timers: Timers, parts: ClientParts) {
    this.#timers = timers;
    this.#parts = parts;
  }

  get size(): number {
    return this.#entries.size;
  }

  hasLease(stream: number): boolean {
    const { monotonicMs, wallMs } = this.#streams.get(stream)?.lease ?? NEVER;
    return this.#timers.monotonicMs() < monotonicMs && this.#timers.wallMs() < wallMs;
  }

  /** validate judges from memory; undefined if a look-up must tell. */
  validate(digest: string): TokenRecord | undefined {
    const entry = this.#entries.get(digest);
    if (entry === undefined) return undefined;
    return [...entry.streams].some((stream) => this.hasLease(stream)) ? entry.record : undefined;
  }

  /** begin begins a stream, and gives what the client holds by another, up to where that is right. */
  begin(stream: number, from: number | undefined): Coming | undefined {
    this.#streams.set(stream, { lease: NEVER, position: undefined, renewals: new Map(), lookUps: new Map() });
    const known = from === undefined ? undefined : this.#streams.get(from);
    const held = [...this.#entries.values()].filter(({ streams }) => from !== undefined && streams.has(from));
    if (known?.position === undefined || held.length === 0) return undefined;
    for (const { streams } of held) streams.add(stream);
    this.#of(stream).position = known.position;
    const tokens = held.map(({ handle, record: { owner } }) => ({ owner, handles: [handle] }));
    return {
      position: known.position,
      tokens: this.#parts.comesWithoutHandles === true ? [] : tokens,
      secretIds: [],
    };
  }

  opened(_stream: number, isResumed: boolean): void {
    if (!isResumed) this.#entries.clear();
  }

  lookUp(stream: number, id: bigint, digest: string): void {
    this.#of(stream).lookUps.set(id, { digest, isOvertaken: false, handles: new Set() });
  }

  facts(stream: number, facts: readonly LookedUp<TokenRecord>[]): void {
    for (const { id, fact, keep, handle } of facts) {
      const lookUp = this.#of(stream).lookUps.get(id);
      this.#of(stream).lookUps.delete(id);
      if (lookUp === undefined || !fact || handle === undefined) continue;
      const mayKeep = keep && !lookUp.isOvertaken && !lookUp.handles.has(handle);
      if (!mayKeep && this.#parts.keepsWhatItMayNot !== true) continue;
      this.#entries.set(lookUp.digest, { handle, record: fact, streams: new Set([stream]) });
    }
  }

  /** renew notes the time before a renewal is sent. */
  renew(stream: number, number: bigint): void {
    this.#of(stream).renewals.set(number, this.#moment());
  }

  granted(stream: number, { number, granted, position }: Grant): void {
    const known = this.#of(stream);
    const sent = this.#parts.countsFromReceipt === true ? this.#moment() : known.renewals.get(number);
    known.renewals.delete(number);
    if (position !== undefined) known.position = position;
    if (sent === undefined || !('leaseMs' in granted)) return;
    known.lease = { monotonicMs: sent.monotonicMs + granted.leaseMs, wallMs: sent.wallMs + granted.leaseMs };
  }

  forget(stream: number, invalidation: Invalidation): void {
    const { everything, handles, owners, position } = invalidation;
    const known = this.#of(stream);
    const gone = new Set(handles);
    const isOf = ({ profileId, userId, accountId }: TokenRecord['owner']): boolean =>
      owners.profileIds.includes(profileId) ||
      owners.userIds.includes(userId) ||
      owners.accountIds.includes(accountId);
    for (const [digest, { handle, record }] of [...this.#entries])
      if (everything || gone.has(handle) || isOf(record.owner)) this.#entries.delete(digest);
    const isByHandle =
      !everything && owners.profileIds.length + owners.userIds.length + owners.accountIds.length === 0;
    for (const lookUp of known.lookUps.values()) {
      if (!isByHandle) lookUp.isOvertaken = true;
      for (const handle of handles) lookUp.handles.add(handle);
    }
    if (position !== undefined) known.position = position;
  }

  /** over is for a stream that has ended: what it still grants runs on, what it was asked will not come. */
  over(stream: number): void {
    this.#of(stream).lookUps.clear();
    this.#of(stream).renewals.clear();
    for (const each of this.#streams.keys()) if (each < stream - 20) this.#streams.delete(each);
  }

  #of(stream: number): Stream {
    const known = this.#streams.get(stream);
    if (known === undefined) throw new Error('there is no such stream');
    return known;
  }

  #moment(): Moment {
    return { monotonicMs: this.#timers.monotonicMs(), wallMs: this.#timers.wallMs() };
  }
}
