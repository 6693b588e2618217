import type { Propagation } from '../../../src/coherence/propagation.js';
import type { Database } from './database.js';
import { RATE_ERROR } from './machine.js';
import { ownerOf, rowsMeant, type Change, type Row } from './rows.js';

/** Answered is what an answer was made of: versions of a row and, if it is a token, of its owner; null for a row that is gone. */
export type Answered = { readonly version: number; readonly ownerVersion?: number } | null;

/** Floors are the oldest versions that an answer may show, by row. */
type Floors = readonly number[];

/** Question is something that somebody has begun to ask for. */
export interface Question {
  readonly row: Row;
  readonly begunAt: number;
  readonly floor: number;
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
  readonly #floors: number[];
  /** Promises for a later time. */
  #later: { readonly at: number; readonly floors: Floors }[] = [];

  constructor(database: Database, maxStaleMs: number) {
    this.#database = database;
    this.#maxStaleMs = maxStaleMs;
    this.#floors = database.rows.map(() => 0);
  }

  /** versionsAfter is what a change promises that has just been committed. */
  versionsAfter(change: Change): Floors {
    const meant = new Set(rowsMeant(change));
    return this.#database.rows.map(({ latest }, row) => (meant.has(row) ? latest : 0));
  }

  /** returned takes in what a call promised when it returned. `effectiveBy` is in true time. */
  returned(floors: Floors, { complete }: Propagation, effectiveBy: number | undefined): void {
    if (complete) this.#raise(floors);
    else if (effectiveBy === undefined) throw new Contradiction('a change is neither complete nor will be');
    else this.#later.push({ at: effectiveBy, floors });
  }

  ask(row: Row, now: number): Question {
    if (this.#later.length > 0) {
      for (const { floors } of this.#later.filter(({ at }) => at < now)) this.#raise(floors);
      this.#later = this.#later.filter(({ at }) => at >= now);
    }
    const owner = ownerOf(row);
    return {
      row,
      begunAt: now,
      floor: this.#floors[row] ?? 0,
      ownerFloor: owner === undefined ? 0 : (this.#floors[owner] ?? 0),
    };
  }

  /** may holds it against a question whether there is anybody any more who may hold or be given anything. */
  may({ row, floor, begunAt }: Question, now: number): void {
    if (this.#database.row(row).exists.slice(floor).includes(true)) return;
    throw new Contradiction(
      `answered at ${now.toFixed(3)}, asked at ${begunAt.toFixed(3)} by one who had lost the right to it`,
    );
  }

  answer(question: Question, answered: Answered, isStale: boolean, now: number): void {
    const { row, floor, ownerFloor } = question;
    const { exists, since } = this.#database.row(row);
    const about = `row ${row}, asked at ${question.begunAt.toFixed(3)}, answered at ${now.toFixed(3)}`;
    if (answered === null) {
      if (isStale) throw new Contradiction(`${about}: unknown, and stale`);
      if (exists.slice(floor).includes(false)) return;
      throw new Contradiction(`${about}: unknown, though it exists since version ${floor}`);
    }
    const { version, ownerVersion = 0 } = answered;
    if (version < floor || ownerVersion < ownerFloor) {
      throw new Contradiction(
        `${about}${isStale ? ', stale' : ''}: version ${version} of owner ${ownerVersion}, ` +
          `though ${floor} of owner ${ownerFloor} was promised`,
      );
    }
    if (!isStale) return;
    const owner = ownerOf(row);
    const ownerSince = owner === undefined ? undefined : this.#database.row(owner).since[ownerVersion + 1];
    const replacedAt = Math.min(since[version + 1] ?? now, ownerSince ?? now);
    const allowed = this.#maxStaleMs === 0 ? 0 : (LEASE_MS + this.#maxStaleMs) / (1 - RATE_ERROR);
    if (this.#maxStaleMs === 0 || now - replacedAt > allowed) {
      throw new Contradiction(`${about}: stale by ${(now - replacedAt).toFixed(0)} ms`);
    }
  }

  #raise(by: Floors): void {
    by.forEach((version, row) => {
      this.#floors[row] = Math.max(this.#floors[row] ?? 0, version);
    });
  }
}
