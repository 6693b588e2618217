import { hashOfId, type Handle } from './handles.js';

/** OwnerIds are those of whom a token belongs to. */
export interface OwnerIds {
  readonly profileId: bigint;
  readonly userId: bigint;
  readonly accountId: bigint;
}

const FIRST_CAPACITY = 64;
/** Of the places, so many may be those of entries that are gone. */
const SLACK = 1.25;

/**
 * Registrations are the tokens that one client holds: by handle, with hashes of whose they are. They stand in the order in
 * which they came, 20 bytes each, and an index finds them, of 8 to 16 bytes each. What is removed leaves its place empty until
 * all are moved together.
 */
export class Registrations {
  readonly #most: number;
  #low = new Int32Array(FIRST_CAPACITY);
  #high = new Int32Array(FIRST_CAPACITY);
  #profiles = new Int32Array(FIRST_CAPACITY);
  #users = new Int32Array(FIRST_CAPACITY);
  #accounts = new Int32Array(FIRST_CAPACITY);
  /** Places, counted from 1, by the hash of their handle; 0 for none. Never more than half full. */
  #index = new Int32Array(2 * FIRST_CAPACITY);
  #end = 0;
  #first = 0;
  #size = 0;

  /** `most` is how many there may be. */
  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** add holds a token. Nothing is done, and false given, if there are as many as there may be. */
  add(handle: Handle, owner: OwnerIds): boolean {
    const hashes = [hashOfId(owner.profileId), hashOfId(owner.userId), hashOfId(owner.accountId)] as const;
    // Another text may share the handle, and be somebody else's: then both are held.
    const known = this.#find(lowOf(handle), highOf(handle), (place) => this.#isOf(place, hashes));
    if (known !== undefined) this.#empty(known);
    if (this.#size >= this.#most) return false;
    if (this.#end === this.#low.length) this.#makeRoom();
    const place = this.#end;
    this.#end += 1;
    this.#size += 1;
    this.#low[place] = lowOf(handle);
    this.#high[place] = highOf(handle);
    [this.#profiles[place], this.#users[place], this.#accounts[place]] = hashes;
    this.#enter(place);
    return true;
  }

  /** remove tells whether it was there. */
  remove(handle: Handle): boolean {
    let wasThere = false;
    for (;;) {
      const place = this.#find(lowOf(handle), highOf(handle));
      if (place === undefined) return wasThere;
      this.#empty(place);
      wasThere = true;
    }
  }

  /** oldest gives the first that came of those that are there, at most so many. */
  oldest(number: number): Handle[] {
    const handles: Handle[] = [];
    while (this.#first < this.#end && this.#isEmpty(this.#first)) this.#first += 1;
    for (let place = this.#first; place < this.#end && handles.length < number; place += 1)
      if (!this.#isEmpty(place)) handles.push(handleFrom(this.#low[place] ?? 0, this.#high[place] ?? 0));
    return handles;
  }

  /** removeOf removes those that belong to any of the ids, and gives the ids of each kind that were met. */
  removeOf(ids: {
    readonly profileIds: readonly bigint[];
    readonly userIds: readonly bigint[];
    readonly accountIds: readonly bigint[];
  }): { profileIds: bigint[]; userIds: bigint[]; accountIds: bigint[] } {
    // All are looked for before any is removed: one token may be met by several of the ids.
    const profiles = this.#met(this.#profiles, ids.profileIds);
    const users = this.#met(this.#users, ids.userIds);
    const accounts = this.#met(this.#accounts, ids.accountIds);
    for (const place of [...profiles.places, ...users.places, ...accounts.places]) this.#empty(place);
    return { profileIds: profiles.ids, userIds: users.ids, accountIds: accounts.ids };
  }

  clear(): void {
    this.#first = 0;
    this.#end = 0;
    this.#size = 0;
    this.#resize(FIRST_CAPACITY);
  }

  #met(hashes: Int32Array, ids: readonly bigint[]): { ids: bigint[]; places: number[] } {
    if (ids.length === 0 || this.#size === 0) return { ids: [], places: [] };
    const wanted = new Set(ids.map(hashOfId));
    const found = new Set<number>();
    const places: number[] = [];
    for (let place = this.#first; place < this.#end; place += 1) {
      const hash = hashes[place] ?? 0;
      if (!wanted.has(hash) || this.#isEmpty(place)) continue;
      found.add(hash);
      places.push(place);
    }
    return { ids: ids.filter((id) => found.has(hashOfId(id))), places };
  }

  #isOf(place: number, [profile, user, account]: readonly [number, number, number]): boolean {
    return (
      this.#profiles[place] === profile && this.#users[place] === user && this.#accounts[place] === account
    );
  }

  #isEmpty(place: number): boolean {
    return this.#low[place] === 0 && this.#high[place] === 0;
  }

  #empty(place: number): void {
    if (this.#isEmpty(place)) return;
    this.#low[place] = 0;
    this.#high[place] = 0;
    this.#size -= 1;
  }

  /** #find passes over entries that are gone: they stand in the index until it is made anew. */
  #find(low: number, high: number, isMeant: (place: number) => boolean = () => true): number | undefined {
    const mask = this.#index.length - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const place = (this.#index[slot] ?? 0) - 1;
      if (place < 0) return undefined;
      if (this.#low[place] === low && this.#high[place] === high && isMeant(place)) return place;
    }
  }

  #enter(place: number): void {
    const mask = this.#index.length - 1;
    let slot = (this.#low[place] ?? 0) & mask;
    while (this.#index[slot] !== 0) slot = (slot + 1) & mask;
    this.#index[slot] = place + 1;
  }

  /** #makeRoom moves all together, into more places if few are empty. */
  #makeRoom(): void {
    const capacity = this.#low.length;
    const isSparse = this.#size * SLACK <= capacity;
    this.#resize(
      isSparse ? capacity : Math.min(2 * capacity, Math.ceil(this.#most * SLACK) + FIRST_CAPACITY),
    );
  }

  #resize(capacity: number): void {
    const places: number[] = [];
    for (let place = this.#first; place < this.#end; place += 1)
      if (!this.#isEmpty(place)) places.push(place);
    const moved = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const to = new Int32Array(capacity);
      places.forEach((place, at) => {
        to[at] = from[place] ?? 0;
      });
      return to;
    };
    [this.#low, this.#high] = [moved(this.#low), moved(this.#high)];
    [this.#profiles, this.#users, this.#accounts] = [
      moved(this.#profiles),
      moved(this.#users),
      moved(this.#accounts),
    ];
    this.#index = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity)));
    this.#first = 0;
    this.#end = places.length;
    for (let place = 0; place < this.#end; place += 1) this.#enter(place);
  }
}

function lowOf(handle: Handle): number {
  return Number(BigInt.asIntN(32, handle));
}

function highOf(handle: Handle): number {
  return Number(BigInt.asIntN(32, handle >> 32n));
}

function handleFrom(low: number, high: number): Handle {
  return (BigInt.asUintN(32, BigInt(high)) << 32n) | BigInt.asUintN(32, BigInt(low));
}
