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
  const order = page.order.map(({ field, descending }) => ({ ...orderColumn(columns, field), descending }));
  for (const comparison of page.comparisons)
    addComparison(query, filterColumn(columns, comparison.field), comparison);
  const after = page.after;
  if (after !== undefined) void query.where((builder) => addAfter(builder, order, after));
  order.forEach(({ sql, descending }, index) => {
    void query.select(raw(query, `(${sql})::text AS order_${index}`));
    void query.orderByRaw(`${sql} ${descending ? 'DESC' : 'ASC'}`);
  });
  const { rows, hasMore } = await run(knex, query.limit(page.size + 1), page);
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

async function run(knex: Knex, query: Knex.QueryBuilder, page: PageQuery): Promise<Rows<Row>> {
  try {
    return await readingFor(page.reader, knex, (connection) => readPage(knex, connection, query, page.size));
  } catch (error) {
    // Of all values only these come from the request: February 30th, or a page token that was tampered with.
    if (!isDataException(error)) throw error;
    const field = page.after === undefined ? 'filter' : 'page_token';
    throw new KeywardError('INVALID_FIELDS', `Invalid request: ${field} holds a value that is none.`, {
      violations: [{ field, rule: 'holds a value that is none' }],
      cause: error,
    });
  }
}

/** readPage never holds more than a piece besides what the page does: rows may be large, and a list long. */
async function readPage(
  knex: Knex,
  connection: unknown,
  query: Knex.QueryBuilder,
  size: number,
): Promise<Rows<Row>> {
  if (size < PIECE) return firstPage(size, async () => (await query.connection(connection)) as Row[]);
  const read = async (trx: Knex.Transaction): Promise<Rows<Row>> => {
    await trx.raw('DECLARE list NO SCROLL CURSOR FOR ?', [query]);
    return firstPage(size, async (count) => {
      const { rows } = await trx.raw<{ rows: Row[] }>(`FETCH ${count} FROM list`);
      return rows;
    });
  };
  return knex.transaction(read, { connection });
}

type Ordered = Column & { readonly descending: boolean };

function addAfter(builder: Knex.QueryBuilder, order: readonly Ordered[], after: readonly string[]): void {
  const [first, ...rest] = order;
  const [value, ...others] = after;
  if (first === undefined || value === undefined) return;
  const cast = `?::${CAST[first.type]}`;
  void builder.whereRaw(`${first.sql} ${first.descending ? '<' : '>'} ${cast}`, [value]);
  if (rest.length === 0) return;
  void builder.orWhere((equal) => {
    void equal.whereRaw(`${first.sql} = ${cast}`, [value]).andWhere((inner) => addAfter(inner, rest, others));
  });
}

function addComparison(
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

function orderColumn(columns: ListColumns, field: string): Column {
  return column(columns.order, field);
}

function filterColumn(columns: ListColumns, field: string): Column {
  return column(columns.filter, field);
}

function column(columns: Readonly<Record<string, Column>>, field: string): Column {
  const found = columns[field];
  if (found === undefined) throw new Error(`no column for the field ${field}`);
  return found;
}
