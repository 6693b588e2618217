import type { ForeignKey, Source, TextRow } from './source.js';
import { storableText, uuidOf } from './normalise.js';
import { isReferenceKind, MAX_CONSUMER } from '../lib/references.js';
import { codePoints } from '../lib/text.js';

/** UsedKind is what the source's other tables point at. */
export type UsedKind = 'token' | 'secret';

/** SourceReference is a row of the source that uses a token or a secret. */
export interface SourceReference {
  /** The key under which what is used was imported. */
  readonly key: string;
  readonly kind: string;
  readonly consumer: string;
}

const USED: Readonly<Record<UsedKind, { readonly table: string; readonly key: string }>> = {
  token: { table: 'drf_smarterauthtoken', key: 'key_id' },
  secret: { table: 'secret_secret', key: 'id' },
};

/**
 * How the platform's own tables are called among kinds. The first part of a table's name is that of a Django application,
 * which differs between releases.
 */
const CONSUMERS: readonly { readonly table: RegExp; readonly consumer: string }[] = [
  { table: /(^|_)apiconnection$/, consumer: 'api_connection' },
  { table: /(^|_)sqlconnection$/, consumer: 'sql_connection' },
  { table: /(^|_)provider$/, consumer: 'provider' },
  { table: /(^|_)llmclientapikey$/, consumer: 'llm_client' },
];

/** readReferences reads the rows of all tables that point at tokens, or at secrets, by the source's foreign keys. */
export async function* readReferences(
  source: Source,
  used: UsedKind,
  batchSize: number,
): AsyncGenerator<SourceReference[]> {
  for (const foreignKey of await source.foreignKeysTo(USED[used].table)) {
    const kind = kindOf(foreignKey);
    const sql = selectOf(source, used, foreignKey, await source.columns(foreignKey.table));
    for await (const batch of source.rows(sql, batchSize)) {
      yield batch.flatMap((row) => referenceOf(used, kind, row) ?? []);
    }
  }
}

/** kindOf is what a consumer is and what it uses, such as `sql_connection.password`. */
export function kindOf({ table, column }: Pick<ForeignKey, 'table' | 'column'>): string {
  const known = CONSUMERS.find((each) => each.table.test(table));
  const kind = `${known?.consumer ?? plain(table)}.${plain(column.replace(/(?<=.)_id$/, ''))}`;
  return isReferenceKind(kind) ? kind : kind.slice(0, 100).replace(/\.$/, '');
}

function plain(identifier: string): string {
  return identifier.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_');
}

/** selectOf reads which row of a table uses what. A table that joins a client to its keys tells of the client. */
function selectOf(
  source: Source,
  used: UsedKind,
  { table, column, target, targetColumn }: ForeignKey,
  columns: ReadonlySet<string>,
): string {
  const of = (alias: string, name: string): string => `${alias}.${source.named(name)}`;
  const client = `${CONSUMERS.find((each) => each.table.test(table))?.consumer ?? ''}_id`;
  const id = [client, 'id'].find((name) => columns.has(name)) ?? column;
  const name = columns.has('name') ? of('row_', 'name') : 'NULL';
  return `
    SELECT ${of('used', USED[used].key)} AS used_key, ${of('row_', id)} AS consumer_id, ${name} AS consumer_name
    FROM ${source.named(table)} row_
    JOIN ${source.named(target)} used ON ${of('used', targetColumn)} = ${of('row_', column)}
    ORDER BY 2`;
}

function referenceOf(used: UsedKind, kind: string, row: TextRow): SourceReference | undefined {
  const { used_key: usedKey, consumer_id: id, consumer_name: name } = row;
  const key = used === 'token' ? uuidOf(usedKey ?? '') : usedKey;
  if (key == null || id == null) return undefined;
  return { key, kind, consumer: consumerOf(id, name ?? '') };
}

/** consumerOf is the name of a row with its number, which tells it from others of that name; or its number alone. */
function consumerOf(id: string, name: string): string {
  const number = storable(id).slice(0, 40);
  const suffix = ` (${number})`;
  const room = MAX_CONSUMER - suffix.length;
  const shown = Array.from(storable(name)).slice(0, room).join('');
  return codePoints(shown) === 0 ? number : `${shown}${suffix}`;
}

function storable(text: string): string {
  return storableText('name', text, () => undefined);
}
