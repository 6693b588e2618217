import type { Knex } from 'knex';
import { codePoints, foldName } from '../lib/text.js';
import type { ChangedRow, Fresh } from './batch.js';
import { MAX_NAME } from './comparison.js';
import type { BatchReport } from './report.js';
import { textField, type SourceRow } from './source-rows.js';
import { park, query } from './target-store.js';
import type { TargetTable } from './target-tables.js';

/** NameWish is the name that a row should have among the rows of its owner. */
interface NameWish {
  readonly ownerId: string;
  readonly name: string;
  /** The row, where it is already here. */
  readonly id: string | undefined;
}

/** numbered puts `-2`, `-3`, ... behind a name, and shortens it where it would become too long. */
export function numbered(name: string, number: number): string {
  const suffix = `-${number}`;
  if (codePoints(name) + suffix.length <= MAX_NAME) return name + suffix;
  return (
    Array.from(name)
      .slice(0, MAX_NAME - suffix.length)
      .join('') + suffix
  );
}

/** Wanted is one name of one owner, the rows that still want it, and the next number to try. */
interface Wanted {
  readonly ownerId: string;
  readonly name: string;
  readonly wishes: number[];
  next: number;
}

/** Most names whose numbers are remembered from batch to batch. */
const REMEMBERED = 10_000;

/**
 * FreeNames gives every token or secret its name if no other of its owner has it, or else the first free one of
 * `name-2`, `name-3`, ...
 */
export class FreeNames {
  readonly #table: TargetTable;
  // Only saves time where very many rows share a name.
  readonly #next = new Map<string, number>();

  constructor(table: TargetTable) {
    this.#table = table;
  }

  /** name gives rows their names; those with an `id` are already here. */
  async name<T extends Fresh & { readonly id?: string }>(
    trx: Knex.Transaction,
    rows: readonly T[],
    report: BatchReport,
  ): Promise<T[]> {
    const wishes = rows.map(({ columns, id }) => ({
      ownerId: textField(columns, 'user_profile_id'),
      name: textField(columns, 'name'),
      id,
    }));
    const granted = await this.#grant(trx, wishes);
    return rows.map((row, index) => {
      const name = granted[index] ?? '';
      this.#note(row.row, textField(row.columns, 'name'), name, report);
      return { ...row, columns: { ...row.columns, name } };
    });
  }

  /** settle finds free names for rows whose name or owner changed in the source. */
  async settle(trx: Knex.Transaction, changes: readonly ChangedRow[], report: BatchReport): Promise<void> {
    const moved = changes.filter(({ changed }) => changed.has('name') || changed.has('user_profile_id'));
    if (moved.length === 0) return;
    const present = await query<{ id: string; name: string; owner_id: string }>(
      trx,
      `SELECT id::text AS id, name, user_profile_id::text AS owner_id
       FROM ${this.#table.table} WHERE id = ANY (?::bigint[])`,
      [moved.map(({ targetId }) => targetId)],
    );
    const current = new Map(present.map((row) => [row.id, row]));
    const wishes = moved.map(({ targetId, columns, changed }) => ({
      id: targetId,
      // What the source did not change may have been changed in Keyward.
      ownerId: changed.has('user_profile_id')
        ? textField(columns, 'user_profile_id')
        : (current.get(targetId)?.owner_id ?? ''),
      name: changed.has('name') ? textField(columns, 'name') : (current.get(targetId)?.name ?? ''),
    }));
    await this.#makeWay(trx, wishes);
    const granted = await this.#grant(trx, wishes);
    moved.forEach(({ row, replaced }, index) => {
      const name = granted[index] ?? '';
      replaced.set('name', name);
      if ('name_key' in this.#table.columns) replaced.set('name_key', foldName(name));
      this.#note(row, wishes[index]?.name ?? name, name, report);
    });
  }

  /** #makeWay takes names that are wished for from rows that get others, in this same transaction. */
  async #makeWay(trx: Knex.Transaction, wishes: readonly NameWish[]): Promise<void> {
    const movedIds = new Set(wishes.map(({ id }) => id));
    const holders = await findHolders(trx, this.#table, wishes);
    const inTheWay = wishes.flatMap(({ ownerId, name, id }) => {
      const holder = holders.get(wishKey(ownerId, name));
      return holder !== undefined && holder !== id && movedIds.has(holder) ? [holder] : [];
    });
    await park(trx, this.#table, 'name', inTheWay);
  }

  #note(row: SourceRow, wanted: string, name: string, report: BatchReport): void {
    if (name === wanted) return;
    const { kind } = this.#table;
    const what = `another ${kind} of its owner is called ${JSON.stringify(wanted)}: it is called ${JSON.stringify(name)}`;
    report.note(kind, row.label, 'name-taken', what);
  }

  /** #grant answers the wishes in their order. */
  async #grant(trx: Knex.Transaction, wishes: readonly NameWish[]): Promise<string[]> {
    const granted = new Map<number, string>();
    const taken = new Set<string>();
    const holders = await findHolders(trx, this.#table, wishes);
    const wanted = new Map<string, Wanted>();
    wishes.forEach(({ ownerId, name, id }, index) => {
      const key = wishKey(ownerId, name);
      const holder = holders.get(key);
      if (!taken.has(key) && (holder === undefined || holder === id)) {
        taken.add(key);
        granted.set(index, name);
        return;
      }
      const others = wanted.get(key);
      if (others) others.wishes.push(index);
      else wanted.set(key, { ownerId, name, wishes: [index], next: this.#next.get(key) ?? 2 });
    });

    for (let spare = 4, open = [...wanted.values()]; open.length > 0; spare *= 4) {
      await grantNumbered(trx, this.#table, open, spare, { wishes, granted, taken });
      open = open.filter((names) => names.wishes.length > 0);
    }

    if (this.#next.size > REMEMBERED) this.#next.clear();
    for (const [key, { next }] of wanted) this.#next.set(key, next);
    return wishes.map(({ name }, index) => granted.get(index) ?? name);
  }

  /** forget is for when names that were granted did not come to stay. */
  forget(): void {
    this.#next.clear();
  }
}

/** grantNumbered asks for as many numbered names as are wanted, and some to spare, and grants those that are free. */
async function grantNumbered(
  trx: Knex.Transaction,
  table: TargetTable,
  open: readonly Wanted[],
  spare: number,
  state: { wishes: readonly NameWish[]; granted: Map<number, string>; taken: Set<string> },
): Promise<void> {
  const candidates = open.map(({ ownerId, name, wishes, next }) =>
    Array.from({ length: wishes.length + spare }, (_, offset) => ({
      ownerId,
      name: numbered(name, next + offset),
    })),
  );
  const holders = await findHolders(trx, table, candidates.flat());
  open.forEach((wanted, position) => {
    for (const { ownerId, name } of candidates[position] ?? []) {
      const index = wanted.wishes[0];
      if (index === undefined) return;
      wanted.next += 1;
      const key = wishKey(ownerId, name);
      const holder = holders.get(key);
      if (state.taken.has(key) || (holder !== undefined && holder !== state.wishes[index]?.id)) continue;
      state.taken.add(key);
      state.granted.set(index, name);
      wanted.wishes.shift();
    }
  });
}

function wishKey(ownerId: string, name: string): string {
  return `${ownerId} ${name}`;
}

/** findHolders tells which row has which of these names. */
async function findHolders(
  trx: Knex.Transaction,
  { table, present }: TargetTable,
  names: readonly { readonly ownerId: string; readonly name: string }[],
): Promise<Map<string, string>> {
  const holders = await query<{ owner_id: string; name: string; id: string }>(
    trx,
    `SELECT t.user_profile_id::text AS owner_id, t.name, t.id::text AS id
     FROM unnest(?::bigint[], ?::text[]) AS r (owner_id, name)
     JOIN ${table} t ON t.user_profile_id = r.owner_id AND t.name = r.name AND ${present}`,
    [names.map(({ ownerId }) => ownerId), names.map(({ name }) => name)],
  );
  return new Map(holders.map((holder) => [wishKey(holder.owner_id, holder.name), holder.id]));
}
