import type { Knex } from 'knex';
import type { Comparison } from '../lib/filter.js';
import { nextPageToken, pageTokenById, type Page, type PageQuery } from '../lib/page.js';
import {
  addComparison,
  addOrder,
  filterColumn,
  notAValue,
  orderOf,
  readingPage,
  readPieces,
  selectOrder,
  type Column,
  type ListColumns,
  type Ordered,
} from './list-query.js';

/**
 * How many rows a page looks at, at most, where no index leads to those that it shows. It then ends before it is full,
 * perhaps without any, and the next page goes on from there.
 */
export const MOST_LOOKED_AT = 10_000;

type Query = Knex.QueryBuilder;
/** Held keeps a query from being run by those who wait for it. */
type Held = { readonly query: Query };

/** LargeList is a list of rows of a table that may have very many. */
export interface LargeList<T> {
  readonly table: string;
  /** What the table is called in the SQL of columns. */
  readonly alias: string;
  readonly columns: ListColumns;
  /** Fields of the table that have an index, alone or with others. */
  readonly indexed: readonly string[];
  /** Fields that an index of another table finds, there in a column, with the one that holds the numbers of rows. */
  readonly parts?: Readonly<
    Record<string, { readonly table: string; readonly sql: string; readonly id: string }>
  >;
  /** select selects all that is shown of rows that may be seen, from the table and what is joined with it. */
  readonly select: () => Query;
  /** visible restricts a query of the table alone to rows that may be seen. */
  readonly visible: (query: Query) => Query;
  /** The numbers of all rows that may be seen, where not all may. */
  readonly narrow: Query | undefined;
  /** Not given where rows have no owners. Restricts user profiles `p` to those that may own what is seen. */
  readonly owners?: (query: Query) => Query;
  readonly fromRow: (row: never) => T;
}

/**
 * Whatever the statistics say: other plans go through all rows of a table, or of all that an index finds, before they give
 * the first one.
 */
const LOOK_UP_BY_INDEX = ['seqscan', 'bitmapscan', 'hashjoin', 'mergejoin']
  .map((way) => `SET LOCAL enable_${way} = off`)
  .join('; ');

/** Picked is a row of a page, or where the page has looked at enough. */
interface Picked extends Readonly<Record<string, unknown>> {
  readonly id: bigint;
  readonly is_end: boolean;
}

const TOP: Readonly<Record<'first' | 'last', string>> = { first: '0', last: '9223372036854775807' };

/**
 * largePage gives a page of a list in three steps. It looks for an index that leads to a small set of rows with all that
 * can be on the page, by what the caller may see or by the filter. Of that set, or else of the next rows in the list's own
 * order, it picks those of the page. Then it reads these.
 */
export async function largePage<T>(knex: Knex, list: LargeList<T>, asked: PageQuery): Promise<Page<T>> {
  const order = orderOf(list.columns, asked);
  const { picked, rows, isCut, page } = await readingAtOneMoment(knex, asked, async (trx) => {
    await trx.raw(LOOK_UP_BY_INDEX);
    const page = { ...asked, after: asked.after ?? (await placeOf(trx, list, asked.afterId, order)) };
    const set = await smallSet(trx, list, page.comparisons);
    const picked = (await pickingOf(trx, list, page, order, set).transacting(trx)) as Picked[];
    const shown = picked.filter(({ is_end }) => !is_end).slice(0, page.size);
    if (shown.length === 0) return { picked, rows: [], isCut: false, page };
    const { rows, hasMore } = await readPieces(trx, whole(list, page, shown), shown.length);
    return { picked, rows: rows as unknown as { id: bigint }[], isCut: hasMore, page };
  });
  const lastRow = rows.at(-1);
  const end =
    isCut && lastRow !== undefined
      ? picked.find(({ id, is_end }) => id === lastRow.id && !is_end)
      : picked.length > page.size
        ? picked[page.size - 1]
        : picked.find(({ is_end }) => is_end);
  return {
    items: rows.map((row) => list.fromRow(row as never)),
    nextPageToken: end === undefined ? '' : tokenOf(list, page, end, order),
  };
}

/** placeOf gives the values that a list is ordered by of a row, which the caller need not see. */
async function placeOf<T>(
  trx: Knex.Transaction,
  { table, alias }: LargeList<T>,
  id: string | undefined,
  order: readonly Ordered[],
): Promise<string[] | undefined> {
  if (id === undefined) return undefined;
  const query = trx(`${table} as ${alias}`).where(`${alias}.id`, id);
  selectOrder(query, order);
  const [row] = (await query) as Picked[];
  // It was deleted since.
  if (row === undefined) throw notAValue('page_token');
  return valuesOf(row, order);
}

/** tokenOf tells of a row that the caller may not see nothing but its id. */
function tokenOf<T>(list: LargeList<T>, page: PageQuery, end: Picked, order: readonly Ordered[]): string {
  const isHidden = end.is_end && list.narrow !== undefined && order.every((column) => isOwn(list, column));
  return isHidden ? pageTokenById(page, end.id) : nextPageToken(page, valuesOf(end, order));
}

function readingAtOneMoment<T>(
  knex: Knex,
  page: PageQuery,
  read: (trx: Knex.Transaction) => Promise<T>,
): Promise<T> {
  return readingPage(knex, page, (connection) =>
    knex.transaction(read, { connection, isolationLevel: 'repeatable read', readOnly: true }),
  );
}

function valuesOf(picked: Picked, order: readonly Ordered[]): string[] {
  return order.map((_, index) => picked[`order_${index}`] as string);
}

/** whole reads rows that were picked. What may be seen is asked once more, with all that is joined. */
function whole<T>(list: LargeList<T>, page: PageQuery, picked: readonly Picked[]): Query {
  const ids = picked.map(({ id }) => String(id));
  const query = list.select().whereRaw(`${list.alias}.id = ANY (?::bigint[])`, [ids]);
  addComparisons(query, list, page.comparisons);
  return query.orderByRaw(`array_position(?::bigint[], ${list.alias}.id)`, [ids]);
}

/** pickingOf is the query that picks the rows of a page. */
function pickingOf<T>(
  knex: Knex,
  list: LargeList<T>,
  page: PageQuery,
  order: readonly Ordered[],
  set: Held | undefined,
): Query {
  if (set !== undefined) {
    const rows = knex(`${list.table} as ${list.alias}`)
      .select(`${list.alias}.*`)
      .whereRaw(`${list.alias}.id = ANY (ARRAY(?))`, [set.query]);
    return pick(knex, list, page, order, rows, page.after);
  }
  if (order.every((column) => isOwn(list, column))) return walkInOrder(knex, list, page, order);
  if (isByOwner(list, page)) return walkByOwner(knex, list, page, order);
  return pick(knex, list, page, order, knex(list.table).select('*'), page.after);
}

/** smallSet is the first of the sets of rows that an index leads to, and that has all of the page, which is small. */
async function smallSet<T>(
  knex: Knex,
  list: LargeList<T>,
  comparisons: readonly Comparison[],
): Promise<Held | undefined> {
  const isIndexed = ({ field, operator, value }: Comparison): boolean =>
    list.indexed.includes(field) && operator !== '!=' && operator !== ':' && value !== null;
  const among = (chosen: readonly Comparison[]): Query | undefined => {
    if (chosen.length === 0) return undefined;
    const query = knex(`${list.table} as ${list.alias}`).select(`${list.alias}.id`);
    // The index is one of what lists are ordered by: it may lead to rows without a value besides.
    for (const comparison of chosen)
      addComparison(
        query,
        list.columns.order[comparison.field] ?? filterColumn(list.columns, comparison.field),
        comparison,
      );
    return query;
  };
  const inParts = comparisons.flatMap((comparison) => {
    const part = comparison.operator === '=' ? list.parts?.[comparison.field] : undefined;
    if (part === undefined) return [];
    const query = knex(part.table).select(`${part.id} as id`);
    addComparison(query, { ...filterColumn(list.columns, comparison.field), sql: part.sql }, comparison);
    return [query];
  });
  const indexed = comparisons.filter(isIndexed);
  const owned = comparisons.filter(({ field, operator }) => isOfOwner(list, field) && operator === '=');
  const sets = [
    among(indexed.filter(({ operator }) => operator === '=')),
    owned.length === 0
      ? undefined
      : ownedBy(knex, list, (query) => {
          addComparisons(query, list, owned);
          return query;
        }),
    ...inParts,
    list.narrow,
    among(indexed.filter(({ operator }) => operator !== '=')),
  ];
  for (const set of sets) {
    if (set === undefined) continue;
    const counted = knex.select(knex.raw('count(*) AS count')).from(
      set
        .clone()
        .limit(MOST_LOOKED_AT + 1)
        .as('some'),
    );
    const [row] = (await counted) as { count: bigint }[];
    if (row !== undefined && row.count <= MOST_LOOKED_AT) return { query: set };
  }
  return undefined;
}

/** ownedBy are the numbers of rows whose owners are among some user profiles `p` of users `u` and accounts `a`. */
export function ownedBy(
  knex: Knex,
  { table }: Pick<LargeList<unknown>, 'table'>,
  restrict: (query: Query) => Query,
): Query {
  return knex
    .select('owned.id')
    .from(restrict(owners(knex).select('p.id')).as('p'))
    .joinRaw(
      `CROSS JOIN LATERAL (SELECT id FROM ${table} WHERE user_profile_id = p.id LIMIT ${MOST_LOOKED_AT + 1}) owned`,
    );
}

function owners(knex: Knex): Query {
  return knex('user_profiles as p')
    .join('users as u', 'u.id', 'p.user_id')
    .join('accounts as a', 'a.id', 'p.account_id');
}

/** walkInOrder looks at the next rows in the order of an index. */
function walkInOrder<T>(knex: Knex, list: LargeList<T>, page: PageQuery, order: readonly Ordered[]): Query {
  const next = (): Query => {
    const query = knex(`${list.table} as ${list.alias}`);
    addOrder(query, order, page.after);
    return query;
  };
  const picking = pick(
    knex,
    list,
    page,
    order,
    next().select(`${list.alias}.*`).limit(MOST_LOOKED_AT),
    undefined,
  );
  const end = next().select(`${list.alias}.id`);
  selectOrder(end, order);
  return endingWith(
    knex,
    page,
    picking,
    end
      .select(knex.raw('true AS is_end'))
      .offset(MOST_LOOKED_AT - 1)
      .limit(1),
  );
}

/** walkByOwner looks at the first rows of each of the next owners, as many as can be on the page. */
function walkByOwner<T>(knex: Knex, list: LargeList<T>, page: PageQuery, order: readonly Ordered[]): Query {
  const { alias, table } = list;
  const [by] = order;
  if (by === undefined) throw new Error('a list is ordered at least by the id');
  const most = Math.max(1, Math.floor(MOST_LOOKED_AT / (page.size + 1)));
  const [way, direction, beginning, last] = by.descending
    ? (['<', 'DESC', TOP.last, TOP.first] as const)
    : (['>', 'ASC', TOP.first, TOP.last] as const);
  const next = (): Query => {
    const query = owners(knex).orderByRaw(`${by.sql} ${direction}, p.id ${direction}`);
    void list.owners?.(query);
    addComparisons(
      query,
      list,
      page.comparisons.filter(({ field }) => isOfOwner(list, field)),
    );
    const [value, profile] = page.after ?? [];
    if (value !== undefined && profile !== undefined)
      void query.whereRaw(`(${by.sql}, p.id) ${way}= (?::text, ?::bigint)`, [value, profile]);
    return query;
  };
  const [, profile = '0', id = beginning] = page.after ?? [];
  const owned = list.visible(knex(`${table} as ${alias}`).select(`${alias}.*`));
  void owned.whereRaw(`${alias}.user_profile_id = o.id`);
  void owned.whereRaw(`${alias}.id ${way} CASE WHEN o.id = ?::bigint THEN ?::bigint ELSE ${beginning} END`, [
    profile,
    id,
  ]);
  addComparisons(
    owned,
    list,
    page.comparisons.filter(({ field }) => !isOfOwner(list, field)),
  );
  void owned.orderByRaw(`${alias}.id ${direction}`).limit(page.size + 1);
  const window = next().select('p.id').limit(most);
  const rows = knex
    .select(`${alias}.*`)
    .from(knex.raw(`(?) AS o CROSS JOIN LATERAL (?) AS ${alias}`, [window, owned]));
  const end = next()
    .select('p.id')
    .select(knex.raw(`${by.sql} AS order_0, p.id::text AS order_1, '${last}' AS order_2, true AS is_end`));
  return endingWith(
    knex,
    page,
    pick(knex, list, page, order, rows, undefined),
    end.offset(most - 1).limit(1),
  );
}

/** endingWith tells where the rows end that were looked at, if the page is not full. */
function endingWith(knex: Knex, page: PageQuery, picking: Query, end: Query): Query {
  return knex
    .select('*')
    .from(knex.raw('((?) UNION ALL (?)) AS picked', [picking, end]))
    .limit(page.size + 1);
}

/** pick picks those of some rows of the table that are on the page, with their places in the order. */
function pick<T>(
  knex: Knex,
  list: LargeList<T>,
  page: PageQuery,
  order: readonly Ordered[],
  rows: Query,
  after: readonly string[] | undefined,
): Query {
  const compared = page.comparisons.map(({ field }) => filterColumn(list.columns, field));
  const from = rows.as(list.alias);
  const query: Query = [...compared, ...order].every((column) => isOwn(list, column))
    ? list.visible(knex.from(from))
    : list.select().clearSelect().from(from);
  addComparisons(query, list, page.comparisons);
  addOrder(query, order, after);
  void query.select(`${list.alias}.id`);
  selectOrder(query, order);
  return query.select(knex.raw('false AS is_end')).limit(page.size + 1);
}

function addComparisons<T>(
  query: Query,
  { columns }: LargeList<T>,
  comparisons: readonly Comparison[],
): void {
  for (const comparison of comparisons)
    addComparison(query, filterColumn(columns, comparison.field), comparison);
}

/** isOwn tells whether a column needs nothing but a row of the table. */
function isOwn<T>({ alias }: LargeList<T>, { sql }: Column): boolean {
  return new RegExp(`\\b${alias}\\.`).test(sql);
}

/** isOfOwner tells whether a field is one of the user profile that owns a row, of its user or of its account. */
function isOfOwner<T>({ columns, owners: hasOwners }: LargeList<T>, field: string): boolean {
  return hasOwners !== undefined && /^[pua]\./.test(filterColumn(columns, field).sql);
}

/** isByOwner tells whether a list is ordered by its owners first, and by nothing else. */
function isByOwner<T>(list: LargeList<T>, { order, comparisons }: PageQuery): boolean {
  const [first, second, third, ...others] = order;
  return (
    first !== undefined &&
    isOfOwner(list, first.field) &&
    second?.field === 'user_profile_id' &&
    third?.field === 'id' &&
    others.length === 0 &&
    order.every(({ descending }) => descending === first.descending) &&
    comparisons.every(({ field }) => isOfOwner(list, field) || isOwn(list, filterColumn(list.columns, field)))
  );
}
