import type { HoldInvalidation, HoldOwned } from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Principal } from '../gen/keyward/token/v1/token.js';
import type { Entry } from './entry.js';

/** Handles that a renewal takes at most. */
const MAX_RELEASED = 10_000;

interface Owner {
  principal: Principal;
  entries: number;
}

/** Entries are those that a client holds, of a bounded number: those that were not used for long make room. */
export class Entries {
  /** In the order in which they came, or were last found in use when room was made. */
  readonly #byKey = new Map<string, Entry>();
  readonly #byHandle = new Map<bigint, Entry>();
  readonly #owners = new Map<bigint, Owner>();
  /** Handles, by keys, that the client has let go of by itself since the last renewal. */
  readonly #released = new Map<string, bigint>();
  #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get(key: string): Entry | undefined {
    return this.#byKey.get(key);
  }

  all(): Entry[] {
    return [...this.#byKey.values()];
  }

  limit(max: number): void {
    this.#max = max;
    this.#makeRoom();
  }

  /** ownerOf gives the one object of an owner that all entries share as long as it says the same. */
  ownerOf(principal: Principal): Principal {
    const held = this.#owners.get(principal.userProfileId)?.principal;
    const fields = Object.keys(principal) as (keyof Principal)[];
    return held !== undefined && fields.every((field) => held[field] === principal[field]) ? held : principal;
  }

  add(entry: Entry): void {
    for (const other of [this.#byKey.get(entry.key), this.#byHandle.get(entry.handle)])
      if (other !== undefined) this.forget(other);
    this.#byKey.set(entry.key, entry);
    this.#byHandle.set(entry.handle, entry);
    const owner = this.#owners.get(entry.owner.userProfileId);
    this.#owners.set(entry.owner.userProfileId, {
      principal: entry.owner,
      entries: (owner?.entries ?? 0) + 1,
    });
    this.#released.delete(entry.key);
    this.#makeRoom();
  }

  forget(entry: Entry): void {
    if (!entry.isHeld) return;
    entry.isHeld = false;
    this.#byKey.delete(entry.key);
    if (this.#byHandle.get(entry.handle) === entry) this.#byHandle.delete(entry.handle);
    const owner = this.#owners.get(entry.owner.userProfileId);
    if (owner === undefined) return;
    owner.entries -= 1;
    if (owner.entries === 0) this.#owners.delete(entry.owner.userProfileId);
  }

  /** release forgets an entry that the replica still takes for held. */
  release(entry: Entry): void {
    this.forget(entry);
    this.#released.set(entry.key, entry.handle);
    const [oldest] = this.#released.keys();
    if (this.#released.size > MAX_RELEASED && oldest !== undefined) this.#released.delete(oldest);
  }

  /** takeReleased gives what is to be told to the replica: not what is being looked up, which it may have registered again. */
  takeReleased(isLookedUp: (key: string) => boolean): bigint[] {
    const released = [...this.#released].filter(
      ([key, handle]) => !isLookedUp(key) && !this.#byHandle.has(handle),
    );
    this.#released.clear();
    return released.map(([, handle]) => handle);
  }

  /** clear forgets all, and gives them. */
  clear(): Entry[] {
    const all = this.all();
    for (const entry of all) this.forget(entry);
    this.#released.clear();
    return all;
  }

  /** invalidate forgets what is meant, and gives it. */
  invalidate(invalidation: HoldInvalidation): Entry[] {
    if (invalidation.everything) return this.clear();
    const meant = invalidation.handles.flatMap((handle) => this.#byHandle.get(handle) ?? []);
    const profiles = new Set(invalidation.userProfileIds);
    const users = new Set(invalidation.userIds);
    const accounts = new Set(invalidation.accountIds);
    if (profiles.size + users.size + accounts.size > 0) {
      for (const entry of this.#byKey.values()) {
        const { userProfileId, userId, accountId } = entry.owner;
        if (profiles.has(userProfileId) || users.has(userId) || accounts.has(accountId)) meant.push(entry);
      }
    }
    for (const entry of meant) this.forget(entry);
    return meant;
  }

  /** owned lists the handles of all entries by owner. */
  owned(): HoldOwned[] {
    const byProfile = new Map<bigint, HoldOwned>();
    for (const { owner, handle } of this.#byKey.values()) {
      const { userProfileId, userId, accountId } = owner;
      const owned = byProfile.get(userProfileId) ?? { userProfileId, userId, accountId, handles: [] };
      owned.handles.push(handle);
      byProfile.set(userProfileId, owned);
    }
    return [...byProfile.values()];
  }

  #makeRoom(): void {
    for (const entry of this.#byKey.values()) {
      if (this.#byKey.size <= this.#max) return;
      if (entry.wasUsed) {
        entry.wasUsed = false;
        this.#byKey.delete(entry.key);
        this.#byKey.set(entry.key, entry);
      } else this.release(entry);
    }
  }
}
