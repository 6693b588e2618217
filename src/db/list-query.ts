import type { Knex } from 'knex';
import type { Comparison, FieldType } from '../lib/filter.js';
import { KeywardError } from '../lib/errors.js';
import { nextPageToken, type Page, type PageQuery } from '../lib/page.js';
import { firstPage, PIECE, type Rows } from '../lib/page-size.js';
import { isDataException } from './pg-errors.js';
import { readingFor } from './transaction.js';

/** Column is where a field of a list lives: an SQL expression written in this program, never taken from a request. */
export interface Column {
  readonly type: FieldType;
  readonly sql: string;
  /** The field that a list which is ordered by this one is ordered by next, before the id. */
  readonly then?: string;
}

/** ListColumns says which fields a list can be filtered and ordered by. */
export interface ListColumns {
  readonly filter: Readonly<Record<string, Column>>;
  readonly order: Readonly<Record<string, Column>>;
}

const CAST: Readonly<Record<FieldType, string>> = {
  text: 'text',
  boolean: 'boolean',
  integer: 'bigint',
  time: 'timestamptz',
  uuid: 'uuid',
  tag: 'text',
  annotation: 'text',
};

/**
 * listPage runs `query` for one page. Pages continue after the last row seen, so rows that come or go
 * between two pages neither repeat nor hide others. A page ends early where it would take too many bytes.
 */
export async function listPage<T>(
  knex: Knex,
  query: Knex.QueryBuilder,
  columns: ListColumns,
  page: PageQuery,
  fromRow: (row: never) => T,
): Promise<Page<T>> {
  if (page.afterId !== undefined) throw notAValue('page_token');
  const order = orderOf(columns, page);
  for (const comparison of page.comparisons)
    addComparison(query, filterColumn(columns, comparison.field), comparison);
  addOrder(query, order, page.after);
  selectOrder(query, order);
  void query.limit(page.size + 1);
  const { rows, hasMore } = await readingPage(knex, page, (connection) =>
    page.size < PIECE
      ? firstPage(page.size, async () => (await query.connection(connection)) as Row[])
      : knex.transaction((trx) => readPieces(trx, query, page.size), { connection }),
  );
  const last = hasMore ? rows.at(-1) : undefined;
  return {
    items: rows.map((row) => fromRow(row as never)),
    nextPageToken:
      last === undefined
        ? ''
        : nextPageToken(
            page,
            order.map((_, index) => last[`order_${index}`] ?? ''),
          ),
  };
}

type Row = Readonly<Record<string, string>>;

/** Ordered is what a list is ordered by, and which way. */
export type Ordered = Column & { readonly descending: boolean };

export function orderOf(columns: ListColumns, page: PageQuery): Ordered[] {
  return page.order.map(({ field, descending }) => ({ ...column(columns.order, field), descending }));
}

/** addOrder orders a query, behind the row that had the values of `after`. */
export function addOrder(
  query: Knex.QueryBuilder,
  order: readonly Ordered[],
  after: readonly string[] | undefined,
): void {
  if (after !== undefined) addAfter(query, order, after);
  for (const { sql, descending } of order) void query.orderByRaw(`${sql} ${descending ? 'DESC' : 'ASC'}`);
}

/** selectOrder selects what a query is ordered by as order_0, order_1 and so on. */
export function selectOrder(query: Knex.QueryBuilder, order: readonly Ordered[]): void {
  order.forEach(({ sql }, index) => void query.select(raw(query, `(${sql})::text AS order_${index}`)));
}

/** readingPage reads on a connection for the reader of a page, and tells which value of the request is none. */
export async function readingPage<T>(
  knex: Knex,
  page: PageQuery,
  read: (connection: unknown) => Promise<T>,
): Promise<T> {
  try {
    return await readingFor(page.reader, knex, read);
  } catch (error) {
    // Of all values only these come from the request: February 30th, or a page token that was tampered with.
    if (!isDataException(error)) throw error;
    throw notAValue(page.after === undefined ? 'filter' : 'page_token', error);
  }
}

/** notAValue is for what only the database, or what it holds, can tell. */
export function notAValue(field: 'filter' | 'page_token', cause?: unknown): KeywardError {
  return new KeywardError('INVALID_FIELDS', `Invalid request: ${field} holds a value that is none.`, {
    violations: [{ field, rule: 'holds a value that is none' }],
    cause,
  });
}

/**
 * readPieces reads in a transaction, and never holds more than a piece besides what the page does: rows may be large, and a
 * list long.
 */
export async function readPieces(
  trx: Knex.Transaction,
  query: Knex.QueryBuilder,
  size: number,
): Promise<Rows<Row>> {
  await trx.raw('DECLARE list NO SCROLL CURSOR FOR ?', [query]);
  return firstPage(size, async (count) => {
    const { rows } = await trx.raw<{ rows: Row[] }>(`FETCH ${count} FROM list`);
    return rows;
  });
}

/** addAfter compares rows as wholes where all fields go one way: an index then leads to the first of them. */
function addAfter(query: Knex.QueryBuilder, order: readonly Ordered[], after: readonly string[]): void {
  const [first, ...rest] = order;
  if (first === undefined) return;
  const values = after.slice(0, order.length);
  const casts = order.map(({ type }) => `?::${CAST[type]}`);
  if (rest.every(({ descending }) => descending === first.descending)) {
    const fields = order.map(({ sql }) => sql).join(', ');
    void query.whereRaw(`(${fields}) ${first.descending ? '<' : '>'} (${casts.join(', ')})`, values);
    return;
  }
  const [value = '', ...others] = values;
  const way = first.descending ? '<' : '>';
  void query.whereRaw(`${first.sql} ${way}= ${casts[0] ?? ''}`, [value]).where((either) => {
    void either.whereRaw(`${first.sql} ${way} ${casts[0] ?? ''}`, [value]);
    void either.orWhere((equal) => {
      addAfter(equal, rest, others);
    });
  });
}

/** addComparison restricts a query by a comparison with a column. */
export function addComparison(
  query: Knex.QueryBuilder,
  { sql, type }: Column,
  { key, operator, value }: Comparison,
): void {
  if (key !== undefined) {
    const annotation = { type: 'text', sql: `(${sql} ->> ?::text)`, bindings: [key] } as const;
    compare(query, annotation, operator, value);
  } else if (type === 'tag') {
    if (value === null) void query.whereRaw(`cardinality(${sql}) ${operator === '=' ? '=' : '>'} 0`);
    else void query.whereRaw(`${operator === '!=' ? 'NOT ' : ''}(?::text = ANY (${sql}))`, [value]);
  } else {
    compare(query, { type, sql, bindings: [] }, operator, value);
  }
}

/** compare adds a comparison with an expression, which may hold bindings of its own. */
function compare(
  query: Knex.QueryBuilder,
  { type, sql, bindings }: Column & { readonly bindings: readonly string[] },
  operator: Comparison['operator'],
  value: string | null,
): void {
  if (value === null) {
    void query.whereRaw(`${sql} IS ${operator === '=' ? '' : 'NOT '}NULL`, [...bindings]);
  } else if (operator === ':') {
    void query.whereRaw(`strpos(lower(${sql}), lower(?::text)) > 0`, [...bindings, value]);
  } else {
    const comparison = operator === '!=' ? 'IS DISTINCT FROM' : operator;
    void query.whereRaw(`${sql} ${comparison} ?::${CAST[type]}`, [...bindings, value]);
  }
}

function raw(query: Knex.QueryBuilder, sql: string): Knex.Raw {
  const client = query.client as { raw(text: string): Knex.Raw };
  return client.raw(sql);
}

export function filterColumn(columns: ListColumns, field: string): Column {
  return column(columns.filter, field);
}

function column(columns: Readonly<Record<string, Column>>, field: string): Column {
  const found = columns[field];
  if (found === undefined) throw new Error(`no column for the field ${field}`);
  return found;
}
