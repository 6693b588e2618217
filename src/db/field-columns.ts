import type { FieldType } from '../lib/filter.js';
import { mapFields, protoName, type Fields, type Kind, type SettingsOf, type Values } from '../lib/fields.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import type { Column, ListColumns } from './list-query.js';

/** NOW is what times of making and changing are written with: one for all rows of a statement. */
export const NOW = 'statement_timestamp()';

/** Storage is how a kind of field is kept. */
interface Storage<Value> {
  readonly toColumn: (value: Value) => unknown;
  readonly fromColumn: (column: unknown) => Value;
  readonly filter?: FieldType;
  /** Where rows without a value come in a list: pages continue after a value. */
  readonly nullAs?: 'infinity';
}

const STORAGE: { readonly [K in Kind]: Storage<Values[K]> } = {
  text: { toColumn: same, fromColumn: (column) => column as string, filter: 'text' },
  boolean: { toColumn: same, fromColumn: (column) => column as boolean, filter: 'boolean' },
  texts: { toColumn: same, fromColumn: (column) => column as string[], filter: 'tag' },
  map: {
    toColumn: (entries) => JSON.stringify(Object.fromEntries(entries)),
    fromColumn: (column) => new Map(Object.entries(column as Record<string, string>)),
    filter: 'annotation',
  },
  expiry: {
    toColumn: (expiresAt) => (expiresAt === null ? null : formatPgTimestamp(expiresAt)),
    fromColumn: (column) => column as Instant | null,
    filter: 'time',
    nullAs: 'infinity',
  },
};

/** toColumns gives the columns of those of the fields that are given. */
export function toColumns<Table extends Fields>(
  fields: Table,
  values: Partial<SettingsOf<Table>>,
): Record<string, unknown> {
  const columns: Record<string, unknown> = {};
  for (const [name, { kind }] of Object.entries(fields)) {
    const value = values[name];
    if (value !== undefined) columns[protoName(name)] = STORAGE[kind].toColumn(value as never);
  }
  return columns;
}

/** fromColumns reads the fields of a table from a row that has all its columns. */
export function fromColumns<Table extends Fields>(fields: Table, row: object): SettingsOf<Table> {
  const columns = row as Readonly<Record<string, unknown>>;
  return mapFields(fields, ({ kind }, name) =>
    STORAGE[kind].fromColumn(columns[protoName(name)]),
  ) as SettingsOf<Table>;
}

/** listColumns says which fields of `table`, as it is called in the query, lists can filter and order by. */
export function listColumns(table: string, fields: Fields): ListColumns {
  const filter: Record<string, Column> = {};
  const order: Record<string, Column> = {};
  for (const [name, { kind, list }] of Object.entries(fields)) {
    const { filter: type, nullAs } = STORAGE[kind];
    if (list === 'no' || type === undefined) continue;
    const column = protoName(name);
    const sql = `${table}.${column}`;
    filter[type === 'tag' || type === 'annotation' ? column.replace(/s$/, '') : column] = { type, sql };
    if (list === 'filter and order')
      order[column] = { type, sql: nullAs === undefined ? sql : `coalesce(${sql}, '${nullAs}')` };
  }
  return { filter, order };
}

/** filterByTimes is for what every resource has. */
export function filterByTimes(table: string): Record<string, Column> {
  return {
    created_at: { type: 'time', sql: `${table}.created_at` },
    updated_at: { type: 'time', sql: `${table}.updated_at` },
  };
}

/** orderByTimes puts imported rows without a date before all others: pages continue after a value. */
export function orderByTimes(table: string): Record<string, Column> {
  return {
    created_at: { type: 'time', sql: `coalesce(${table}.created_at, '-infinity')` },
    updated_at: { type: 'time', sql: `coalesce(${table}.updated_at, '-infinity')` },
  };
}

function same<Value>(value: Value): Value {
  return value;
}
