import type { Propagation } from '../../../src/coherence/propagation.js';
import { digestOf, type Change, type Database } from './database.js';
import { RATE_ERROR } from './machine.js';

/** Remembered is a record of the cache under test: it tells of which versions of token and owner it was made. */
export interface Remembered {
  readonly version: number;
  readonly owner: { readonly username: string };
}

/** Floors are the oldest versions that an answer may show, by row. */
interface Floors {
  readonly tokens: number[];
  readonly owners: number[];
}

/** Question is a validation that a client has begun. */
export interface Question {
  readonly token: number;
  readonly begunAt: number;
  readonly tokenFloor: number;
  readonly ownerFloor: number;
}

/** Contradiction is an answer that the protocol rules out. */
export class Contradiction extends Error {
  override readonly name = 'Contradiction';
}

/** Milliseconds for which a replica may use a lease, after which stale answers are counted. */
const LEASE_MS = 3_000;

/**
 * Checker knows what was promised and holds every answer against it: none that began after a change was
 * reported complete, or after its `effective_by`, shows what was before, be it marked as stale or not; and no
 * stale answer is older than is allowed.
 */
export class Checker {
  readonly #database: Database;
  readonly #maxStaleMs: number;
  readonly #floors: Floors;
  /** Promises for a later time. */
  #later: { readonly at: number; readonly floors: Floors }[] = [];

  constructor(database: Database, maxStaleMs: number) {
    this.#database = database;
    this.#maxStaleMs = maxStaleMs;
    this.#floors = { tokens: database.tokens.map(() => 0), owners: database.owners.map(() => 0) };
  }

  /** versionsAfter is what a change promises that has just been committed. */
  versionsAfter({ tokens, deleted, unchanged, owners }: Change): Floors {
    const all = new Set([...tokens, ...deleted, ...unchanged]);
    const ownersChanged = new Set(owners);
    return {
      tokens: this.#database.tokens.map((row, place) => (all.has(place) ? row.latest : 0)),
      owners: this.#database.owners.map((row, place) => (ownersChanged.has(place) ? row.latest : 0)),
    };
  }

  /** returned takes in what a call promised when it returned. `effectiveBy` is in true time. */
  returned(floors: Floors, { complete }: Propagation, effectiveBy: number | undefined): void {
    if (complete) raise(this.#floors, floors);
    else if (effectiveBy === undefined) throw new Contradiction('a change is neither complete nor will be');
    else this.#later.push({ at: effectiveBy, floors });
  }

  ask(token: number, now: number): Question {
    for (const { floors } of this.#later.filter(({ at }) => at < now)) raise(this.#floors, floors);
    this.#later = this.#later.filter(({ at }) => at >= now);
    return {
      token,
      begunAt: now,
      tokenFloor: this.#floors.tokens[token] ?? 0,
      ownerFloor: this.#floors.owners[this.ownerOf(token)] ?? 0,
    };
  }

  answer(question: Question, record: Remembered | null, isStale: boolean, now: number): void {
    const { token, tokenFloor, ownerFloor } = question;
    const row = this.#database.tokens[token];
    const owner = this.#database.owners[this.ownerOf(token)];
    if (row === undefined || owner === undefined) throw new Error('the model has no such row');
    const about = `token ${digestOf(token)}, asked at ${question.begunAt.toFixed(3)}, answered at ${now.toFixed(3)}`;
    if (record === null) {
      if (isStale) throw new Contradiction(`${about}: unknown, and stale`);
      if (row.exists.slice(tokenFloor).includes(false)) return;
      throw new Contradiction(`${about}: unknown, though it exists since version ${tokenFloor}`);
    }
    const ownerVersion = Number(record.owner.username);
    if (record.version < tokenFloor || ownerVersion < ownerFloor) {
      throw new Contradiction(
        `${about}${isStale ? ', stale' : ''}: version ${record.version} of owner ${ownerVersion}, ` +
          `though ${tokenFloor} of owner ${ownerFloor} was promised`,
      );
    }
    if (!isStale) return;
    const replacedAt = Math.min(row.since[record.version + 1] ?? now, owner.since[ownerVersion + 1] ?? now);
    const allowed = this.#maxStaleMs === 0 ? 0 : (LEASE_MS + this.#maxStaleMs) / (1 - RATE_ERROR);
    if (this.#maxStaleMs === 0 || now - replacedAt > allowed) {
      throw new Contradiction(`${about}: stale by ${(now - replacedAt).toFixed(0)} ms`);
    }
  }

  ownerOf(token: number): number {
    return token % this.#database.owners.length;
  }
}

function raise(floors: Floors, by: Floors): void {
  by.tokens.forEach((version, place) => {
    floors.tokens[place] = Math.max(floors.tokens[place] ?? 0, version);
  });
  by.owners.forEach((version, place) => {
    floors.owners[place] = Math.max(floors.owners[place] ?? 0, version);
  });
}
