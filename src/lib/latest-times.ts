/**
 * LatestTimes keeps the latest time of each id, for so many ids: of more, it drops those noted longest ago. An entry
 * takes about 100 bytes.
 */
export class LatestTimes<Time extends number | bigint> {
  readonly #most: number;
  readonly #times = new Map<bigint, Time>();
  #dropped = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#times.size;
  }

  /** dropped is how many times were lost so far. */
  get dropped(): number {
    return this.#dropped;
  }

  entries(): IterableIterator<[id: bigint, time: Time]> {
    return this.#times.entries();
  }

  note(id: bigint, time: Time): void {
    const known = this.#times.get(id);
    // Set anew, it is the last in the order of the map.
    if (known !== undefined) this.#times.delete(id);
    this.#times.set(id, known === undefined || time > known ? time : known);
    if (this.#times.size <= this.#most) return;
    // Many at once: to find the first of a map takes long where many were deleted before it.
    let excess = Math.ceil(this.#most / 10);
    this.#dropped += excess;
    for (const oldest of this.#times.keys()) {
      this.#times.delete(oldest);
      excess -= 1;
      if (excess === 0) return;
    }
  }

  /** take empties it, and gives what was in it in the order of ids, so that two writers do not deadlock. */
  take(): [id: bigint, time: Time][] {
    const times = [...this.#times].sort(([a], [b]) => (a < b ? -1 : 1));
    this.#times.clear();
    return times;
  }
}
