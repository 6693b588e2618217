import { KINDS, type Kind } from '../report.js';
import type { Subset } from '../seen-rows.js';
import type { Source } from '../source.js';
import type { Slice } from './slices.js';
import { WatchedRows, type Finding } from './watched-rows.js';
import { watchedTables, type RowKey } from './watched-tables.js';

/** Found is what may have changed in the source since it was looked there last. */
export interface Found {
  readonly subset: Subset;
  readonly count: number;
  /** keep is for when all of it was taken over: what is there now is known from then on. */
  keep(): void;
}

/** If more rows are gone at once, all slices are read at once too: it must be known how many they are. */
const FEW_GONE = 3;

/** ChangeFinder finds which rows of the source have changed, by the indexes it has, and without writing anything there. */
export class ChangeFinder {
  readonly #tables: readonly WatchedRows[];

  private constructor(tables: readonly WatchedRows[]) {
    this.#tables = tables;
  }

  /** begin reads what is there in the present view of the source. */
  static async begin(source: Source): Promise<ChangeFinder> {
    const tables: WatchedRows[] = [];
    for (const table of await watchedTables(source)) tables.push(await WatchedRows.read(source, table));
    return new ChangeFinder(tables);
  }

  /** isOutgrown tells whether to begin anew, since the source has become much larger. */
  get isOutgrown(): boolean {
    return this.#tables.some((table) => table.isOutgrown);
  }

  /** round is how many cycles it takes to look at all rows, but for those whose changes alone are of less weight. */
  get round(): number {
    return Math.max(...this.#tables.map(({ slices, table }) => slices / table.slower));
  }

  /** find looks at what was written a moment ago, and at the next slice of each table that may have been written. */
  async find(source: Source): Promise<Found> {
    const recent = await this.#recent(source);
    const writes = await source.writes(this.#tables.flatMap(({ table }) => table.tables));
    const due = this.#tables.flatMap((table) => table.due(writes).map((slice) => ({ table, slice })));
    const looked = await this.#look(source, due, recent);
    if (goneOf(looked) > FEW_GONE) {
      const others = this.#tables.flatMap((table) =>
        Array.from({ length: table.slices }, () => ({ table, slice: table.nextSlice() })),
      );
      looked.push(...(await this.#look(source, others, recent)));
    }
    return foundIn([...recent.values(), ...looked]);
  }

  async #recent(source: Source): Promise<Map<WatchedRows, Finding>> {
    const queries = this.#tables.flatMap((table, index) => table.recentSql(String(index)));
    const rows = queries.length === 0 ? [] : await source.few(queries.join(' UNION ALL '));
    return new Map(
      this.#tables.map((table, index) => [
        table,
        table.recent(rows.filter(({ name }) => name === String(index))),
      ]),
    );
  }

  async #look(
    source: Source,
    places: readonly { readonly table: WatchedRows; readonly slice: Slice }[],
    recent: ReadonlyMap<WatchedRows, Finding>,
  ): Promise<Finding[]> {
    if (places.length === 0) return [];
    const queries = places.map(({ table, slice }, index) => table.sumSql(String(index), slice));
    const findings: Finding[] = [];
    for (const row of await source.few(queries.join(' UNION ALL '))) {
      const place = places[Number(row['name'])];
      if (place === undefined || place.table.isAs(place.slice, row)) continue;
      const moved = recent.get(place.table)?.ids ?? new Set();
      findings.push(await place.table.look(source, place.slice, moved));
    }
    return findings;
  }
}

function goneOf(findings: readonly Finding[]): number {
  return findings.reduce((sum, { gone }) => sum + gone, 0);
}

function foundIn(findings: readonly Finding[]): Found {
  const subset = new Map(KINDS.map((kind): [Kind, Set<string>] => [kind, new Set()]));
  const changed: RowKey[] = findings.flatMap((finding) => finding.changed);
  for (const { kind, key } of changed) subset.get(kind)?.add(key);
  return {
    subset,
    count: [...subset.values()].reduce((sum, { size }) => sum + size, 0),
    keep: () => {
      for (const finding of findings) finding.keep();
    },
  };
}
