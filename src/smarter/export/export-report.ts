import { printable } from '../../lib/text.js';
import type { Kind, Note } from '../report.js';

/** EXPORTED_KINDS are what an export writes: of users whether they are active, of the others the whole row. */
const EXPORTED_KINDS = ['user', 'token', 'secret'] as const satisfies readonly Kind[];
export type ExportedKind = (typeof EXPORTED_KINDS)[number];

const OUTCOMES = ['created', 'updated', 'deleted', 'used', 'unchanged', 'leftOut'] as const;
/** `used`: nothing but the time of use was written. `leftOut`: not written, for a reason that a note tells. */
export type ExportOutcome = (typeof OUTCOMES)[number];
type ExportCounts = Readonly<Record<ExportOutcome, number>>;

export interface ExportReport {
  readonly dryRun: boolean;
  readonly counts: Readonly<Record<ExportedKind, ExportCounts>>;
  /** What the platform has no place for, by what it is. */
  readonly staysInKeyward: readonly { readonly name: string; readonly values: number }[];
  readonly notes: readonly Note[];
  /** How many more notes there were of a sort, after the first 1000. */
  readonly notesLeftOff: readonly { readonly sort: string; readonly count: number }[];
}

const NOTES_PER_SORT = 1000;

/** BatchTally is what one batch adds to the report, once it is committed on both sides. */
export class BatchTally {
  readonly outcomes: ExportOutcome[] = [];
  readonly notes: (Note & { readonly sort: string })[] = [];
  readonly kind: ExportedKind;

  constructor(kind: ExportedKind) {
    this.kind = kind;
  }

  note(key: string, sort: string, what: string): void {
    this.notes.push({ kind: this.kind, key, sort, what });
  }

  leaveOut(key: string, sort: string, what: string): void {
    this.outcomes.push('leftOut');
    this.note(key, sort, what);
  }

  addUnchanged(count: number): void {
    for (let added = 0; added < count; added += 1) this.outcomes.push('unchanged');
  }

  /** written counts the rows that were created, updated or deleted, as text for the audit log. */
  written(): Readonly<Record<string, string>> {
    const counts = (['created', 'updated', 'deleted'] as const).map((outcome) => {
      return [outcome, this.outcomes.filter((each) => each === outcome).length] as const;
    });
    return Object.fromEntries(counts.filter(([, n]) => n > 0).map(([outcome, n]) => [outcome, String(n)]));
  }
}

/** ExportTally gathers the report of one export. */
export class ExportTally {
  readonly #counts = Object.fromEntries(
    EXPORTED_KINDS.map((kind) => [kind, Object.fromEntries(OUTCOMES.map((outcome) => [outcome, 0]))]),
  ) as Record<ExportedKind, Record<ExportOutcome, number>>;
  readonly #notes: Note[] = [];
  readonly #noted = new Map<string, number>();
  #done = 0;

  add({ kind, outcomes, notes }: BatchTally): void {
    this.#done += outcomes.length;
    for (const outcome of outcomes) this.#counts[kind][outcome] += 1;
    for (const { sort, key, what } of notes) {
      const count = (this.#noted.get(sort) ?? 0) + 1;
      this.#noted.set(sort, count);
      if (count <= NOTES_PER_SORT) this.#notes.push({ kind, key, what });
    }
  }

  get done(): number {
    return this.#done;
  }

  build(dryRun: boolean, staysInKeyward: ExportReport['staysInKeyward']): ExportReport {
    return {
      dryRun,
      counts: this.#counts,
      staysInKeyward,
      notes: this.#notes,
      notesLeftOff: [...this.#noted]
        .map(([sort, count]) => ({ sort, count: count - NOTES_PER_SORT }))
        .filter(({ count }) => count > 0),
    };
  }
}

/** formatExport writes a report for people. */
export function formatExport({ dryRun, counts, staysInKeyward, notes, notesLeftOff }: ExportReport): string {
  const titles = OUTCOMES.map((outcome) => (outcome === 'leftOut' ? 'left out' : outcome));
  const rows = EXPORTED_KINDS.map((kind) => [
    `${kind}s`,
    ...OUTCOMES.map((outcome) => String(counts[kind][outcome])),
  ]);
  const lines = [['', ...titles], ...rows].map(
    ([title = '', ...cells]) => title.padEnd(10) + cells.map((cell) => cell.padStart(10)).join(''),
  );
  if (dryRun) lines.unshift('Dry run: nothing was written.', '');
  if (notes.length > 0) lines.push('', 'Notes:');
  for (const { kind, key, what } of notes) lines.push(`  ${printable(`${kind} ${key}: ${what}`)}`);
  for (const { sort, count } of notesLeftOff) lines.push(`  ${count} more notes of this sort: ${sort}`);
  if (staysInKeyward.length > 0) lines.push('', 'Stays in Keyward, since Smarter has no place for it:');
  for (const { name, values } of staysInKeyward) lines.push(`  ${name}: ${values}`);
  return `${lines.join('\n')}\n`;
}
