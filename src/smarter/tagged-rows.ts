import { numbersIn, type SourceRow } from './source-rows.js';
import type { Source, TextRow } from './source.js';

/** ReadOptions of the readers of source rows. */
export interface ReadOptions {
  readonly source: Source;
  /** Most rows of a batch. */
  readonly batchSize: number;
  /** staying is told of values that Keyward has no place for. */
  readonly staying: (column: string, values: number) => void;
  /** The keys of the rows to read; all rows if it is not given. */
  readonly only?: ReadonlySet<string> | undefined;
}

/** TaggedTable is a table whose rows have tags of django-taggit. */
export interface TaggedTable {
  readonly table: string;
  /** The names of its model in `django_content_type`. */
  readonly app: string;
  readonly model: string;
  /** SQL of the columns to read, of a row `row_`, which comes once for each of its tags: `place` 1, 2, ... or NULL. */
  readonly columns: string;
}

/**
 * readTagged reads a table in the order of its numbers, with the tags that django-taggit keeps for it: by content
 * type and object id, in the order in which they were given. Columns that nothing reads are counted as staying.
 */
export async function* readTagged<Row extends SourceRow>(
  { table, app, model, columns }: TaggedTable,
  { source, batchSize, staying, only }: ReadOptions,
  read: (row: TextRow, tags: readonly string[]) => Row,
): AsyncGenerator<Row[]> {
  const sql = `
    SELECT ${columns}, tagged.name AS tag_name
    FROM ${table} row_
    LEFT JOIN (
      SELECT item.id, item.object_id, tag.name,
        ROW_NUMBER() OVER (PARTITION BY item.object_id ORDER BY item.id) AS place
      FROM taggit_taggeditem item
      JOIN taggit_tag tag ON tag.id = item.tag_id
      JOIN django_content_type type_ ON type_.id = item.content_type_id
      WHERE type_.app_label = '${app}' AND type_.model = '${model}' AND ${numbersIn('item.object_id', only)}
    ) tagged ON tagged.object_id = row_.id
    WHERE ${numbersIn('row_.id', only)}
    ORDER BY row_.id, tagged.place`;
  let rows: { row: TextRow; tags: string[] }[] = [];
  const finish = (finished: typeof rows) => {
    for (const column of Object.keys(finished[0]?.row ?? {}).filter((name) => !TAKEN.has(name))) {
      staying(`${table}.${column}`, finished.filter(({ row }) => hasValue(row[column])).length);
    }
    return finished.map(({ row, tags }) => read(row, tags));
  };
  for await (const batch of source.rows(sql, batchSize)) {
    for (const row of batch) {
      let last = rows.at(-1);
      if (last?.row['id'] !== row['id']) {
        if (rows.length >= batchSize) {
          yield finish(rows);
          rows = [];
        }
        last = { row, tags: [] };
        rows.push(last);
      }
      const tag = row['tag_name'];
      if (typeof tag === 'string') last?.tags.push(tag);
    }
  }
  if (rows.length > 0) yield finish(rows);
}

/** TAKEN are the columns that have a place in Keyward. */
const TAKEN = new Set([
  ...['id', 'created_at', 'updated_at', 'name', 'description', 'version', 'annotations', 'tag_name'],
  ...['account_number', 'company_name', 'is_active', 'user_id', 'account_id', 'user_profile_id'],
  ...['last_accessed', 'expires_at', 'stored_value'],
]);

/** hasValue does not count flags that are off. */
export function hasValue(value: string | null | undefined): boolean {
  return value !== null && value !== undefined && value !== '' && value !== 'f';
}
