import type { DeactivationCause } from '../account/account-entries.js';
import type { DeactivatedToken } from '../account/user-profile-repository.js';

/** Kind is what an import takes over, in the order in which it does. */
export const KINDS = ['account', 'user', 'user_profile', 'token', 'secret'] as const;
export type Kind = (typeof KINDS)[number];

/** Counts of the rows of one kind: `read` is the sum of the others, but for `deleted`. */
export interface Counts {
  read: number;
  created: number;
  /** updated rows had changed in the source since the last import. */
  updated: number;
  unchanged: number;
  /** merged rows were found in Keyward under their natural key, at their first import. */
  merged: number;
  leftOut: number;
  /** deleted rows are gone from the source. */
  deleted: number;
}

/** HeldDeletions are rows of one kind that are gone from the source, and more than may be deleted at once. */
export interface HeldDeletions {
  readonly kind: Kind;
  readonly vanished: number;
  readonly allowed: number;
}

/** Note tells what happened to one row. It never holds digests, values of secrets, keys or values of annotations. */
export interface Note {
  readonly kind: Kind;
  /** Account number, user name, number of the profile or secret, or key id. */
  readonly key: string;
  readonly what: string;
}

/** ReferenceCounts is what became of the source's foreign keys that point at tokens and secrets. */
export interface ReferenceCounts {
  read: number;
  /** What Keyward did not have before. */
  added: number;
  /** What the source does not have any more. */
  removed: number;
  /** What they point at was not taken over, or is deleted. */
  leftOut: number;
}

export interface ImportReport {
  readonly dryRun: boolean;
  readonly counts: Readonly<Record<Kind, Readonly<Counts>>>;
  /** Tokens that were switched off because of what their owner became: someone else had issued them in Keyward. */
  readonly deactivatedTokens: number;
  /** What the source's foreign keys tell of who uses tokens and secrets. */
  readonly references: Readonly<ReferenceCounts>;
  /** Why nothing was deleted, where the source lacks too many rows; empty otherwise. */
  readonly heldDeletions: readonly HeldDeletions[];
  /** Conflicts that nobody has settled yet, those of earlier imports included. */
  readonly openConflicts: number;
  /** What Keyward has no place for, by column or table of the source. */
  readonly staysInSource: readonly { readonly name: string; readonly values: number }[];
  readonly notes: readonly Note[];
  /** How many more notes there were of a sort, after the first 1000. */
  readonly notesLeftOff: readonly { readonly kind: Kind; readonly sort: string; readonly count: number }[];
}

export type Outcome = Exclude<keyof Counts, 'read' | 'deleted'>;

/** Most notes of one sort and kind that a report holds, so that a large import stays within its memory. */
const NOTES_PER_SORT = 1000;

const CAUSES: Readonly<Record<DeactivationCause, string>> = {
  owner_promoted: 'its owner was promoted',
  owner_joined_account: 'its owner joined another account',
  owner_changed: 'it belongs to another user now',
};

/** BatchReport is what one batch adds to the report, once it is committed. */
export class BatchReport {
  readonly outcomes: Outcome[] = [];
  readonly notes: (Note & { readonly sort: string })[] = [];
  readonly deactivated: { readonly token: DeactivatedToken; readonly cause: DeactivationCause }[] = [];
  readonly #renamed: ReadonlySet<string>;

  /** @param renamed keys of rows that this import has renamed already */
  constructor(renamed: ReadonlySet<string> = new Set()) {
    this.#renamed = renamed;
  }

  /** unchanged counts a row that needs nothing more. */
  unchanged(key: string): void {
    this.outcomes.push(this.#renamed.has(key) ? 'updated' : 'unchanged');
  }

  note(kind: Kind, key: string, sort: string, what: string): void {
    this.notes.push({ kind, key, sort, what });
  }

  switchedOff(token: DeactivatedToken, cause: DeactivationCause): void {
    this.deactivated.push({ token, cause });
    const what = `switched off: ${CAUSES[cause]}, and someone else had issued it in Keyward`;
    this.note('token', token.keyId, 'switched-off', what);
  }
}

/** ReportBuilder gathers the report of one import. */
export class ReportBuilder {
  readonly #counts = Object.fromEntries(
    KINDS.map((kind) => [
      kind,
      { read: 0, created: 0, updated: 0, unchanged: 0, merged: 0, leftOut: 0, deleted: 0 },
    ]),
  ) as Record<Kind, Counts>;
  references: Readonly<ReferenceCounts> = { read: 0, added: 0, removed: 0, leftOut: 0 };
  #deactivatedTokens = 0;
  #heldDeletions: readonly HeldDeletions[] = [];
  #openConflicts = 0;
  readonly #stays = new Map<string, number>();
  readonly #notes: Note[] = [];
  readonly #noted = new Map<string, { kind: Kind; sort: string; count: number; held: number }>();

  /** addBatch adds what one batch did; its rows are not `counted` where they come again in another. */
  addBatch(kind: Kind, batch: BatchReport, { counted = true } = {}): void {
    const counts = this.#counts[kind];
    const outcomes = counted ? batch.outcomes : [];
    counts.read += outcomes.length;
    for (const outcome of outcomes) counts[outcome] += 1;
    this.#deactivatedTokens += batch.deactivated.length;
    for (const note of batch.notes) this.addNotes(note.sort, [note], 1);
  }

  /** addNotes adds notes of one sort and kind, of which there are `count`, more perhaps than are given. */
  addNotes(sort: string, notes: readonly Note[], count: number): void {
    const kind = notes[0]?.kind;
    if (kind === undefined) return;
    const noted = this.#noted.get(`${kind} ${sort}`) ?? { kind, sort, count: 0, held: 0 };
    this.#noted.set(`${kind} ${sort}`, noted);
    const held = notes.slice(0, NOTES_PER_SORT - noted.held);
    noted.count += count;
    noted.held += held.length;
    this.#notes.push(...held.map(({ key, what }) => ({ kind, key, what })));
  }

  /** addDeleted adds what one batch of deletions did. */
  addDeleted(kind: Kind, count: number, notes: BatchReport['notes']): void {
    this.#counts[kind].deleted += count;
    for (const note of notes) this.addNotes(note.sort, [note], 1);
  }

  holdDeletions(held: readonly HeldDeletions[]): void {
    this.#heldDeletions = held;
  }

  setOpenConflicts(count: number): void {
    this.#openConflicts = count;
  }

  /** addStaying counts values of the source that Keyward has no place for. */
  addStaying(name: string, values: number): void {
    if (values > 0) this.#stays.set(name, (this.#stays.get(name) ?? 0) + values);
  }

  rowsRead(kind: Kind): number {
    return this.#counts[kind].read;
  }

  build(dryRun: boolean): ImportReport {
    return {
      dryRun,
      counts: this.#counts,
      deactivatedTokens: this.#deactivatedTokens,
      references: this.references,
      heldDeletions: this.#heldDeletions,
      openConflicts: this.#openConflicts,
      staysInSource: [...this.#stays].map(([name, values]) => ({ name, values })),
      notes: this.#notes,
      notesLeftOff: [...this.#noted.values()]
        .map(({ kind, sort, count, held }) => ({ kind, sort, count: count - held }))
        .filter(({ count }) => count > 0),
    };
  }
}
