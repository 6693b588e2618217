import { annotationsOf, uniqueTags } from './normalise.js';
import { RowReader, type SourceRow } from './source-rows.js';
import type { Source, TextRow } from './source.js';

/** ReadOptions of the readers of source rows. */
export interface ReadOptions {
  readonly source: Source;
  /** Most rows of a batch. */
  readonly batchSize: number;
  /** staying is told of values that Keyward has no place for. */
  readonly staying: (column: string, values: number) => void;
}

/** readAccounts reads all accounts in the order of their numbers. */
export function readAccounts(options: ReadOptions): AsyncGenerator<SourceRow[]> {
  return readTagged('account_account', 'account', options, (row, tags) => {
    const reader = new RowReader('account_account', row);
    const accountNumber = reader.identity('account_number');
    const id = reader.raw('id') ?? '';
    return reader.row(id, accountNumber === '' ? `account ${id}` : accountNumber, {
      account_number: accountNumber,
      name: reader.name(accountNumber),
      company_name: reader.text('company_name'),
      is_active: reader.flag('is_active'),
      ...describing(reader, tags),
    });
  });
}

/** readUserProfiles reads all user profiles in the order of their numbers. */
export function readUserProfiles(options: ReadOptions): AsyncGenerator<SourceRow[]> {
  return readTagged('account_userprofile', 'userprofile', options, (row, tags) => {
    const reader = new RowReader('account_userprofile', row);
    const id = reader.raw('id') ?? '';
    return reader.row(id, id, {
      user_id: reader.raw('user_id'),
      account_id: reader.raw('account_id'),
      name: reader.name(`profile-${id}`),
      ...describing(reader, tags),
    });
  });
}

/** readUsers reads all users in the order of their numbers. Of passwords it reads only whether there is one. */
export async function* readUsers({ source, batchSize, staying }: ReadOptions): AsyncGenerator<SourceRow[]> {
  const sql = `
    SELECT id, username, email, first_name, last_name, is_active, is_staff, is_superuser, date_joined, last_login,
      CASE WHEN password <> '' THEN 'set' END AS password
    FROM auth_user ORDER BY id`;
  for await (const batch of source.rows(sql, batchSize)) {
    for (const column of ['password', 'last_login']) {
      staying(`auth_user.${column}`, batch.filter((row) => hasValue(row[column])).length);
    }
    yield batch.map((row) => {
      const reader = new RowReader('auth_user', row);
      const id = reader.raw('id') ?? '';
      const username = reader.identity('username');
      return reader.row(id, username === '' ? `user ${id}` : username, {
        username,
        email: reader.text('email'),
        first_name: reader.text('first_name'),
        last_name: reader.text('last_name'),
        is_active: reader.flag('is_active'),
        is_staff: reader.flag('is_staff'),
        is_superuser: reader.flag('is_superuser'),
        created_at: reader.time('date_joined'),
      });
    });
  }
}

/** describing reads the fields that accounts and profiles have in common. */
function describing(reader: RowReader, tags: readonly string[]): SourceRow['fields'] {
  return {
    description: reader.text('description'),
    version: reader.text('version'),
    tags: uniqueTags(tags, reader.finding),
    annotations: annotationsOf(reader.raw('annotations'), reader.finding),
    created_at: reader.time('created_at'),
    updated_at: reader.time('updated_at'),
  };
}

/**
 * readTagged reads every column of a table, with the tags that django-taggit keeps for it: by content type and
 * object id, in the order in which they were given. Columns that nothing reads are counted as staying.
 */
async function* readTagged(
  table: string,
  model: string,
  { source, batchSize, staying }: ReadOptions,
  read: (row: TextRow, tags: readonly string[]) => SourceRow,
): AsyncGenerator<SourceRow[]> {
  const sql = `
    SELECT row_.*, tagged.name AS tag_name
    FROM ${table} row_
    LEFT JOIN (
      SELECT item.id, item.object_id, tag.name
      FROM taggit_taggeditem item
      JOIN taggit_tag tag ON tag.id = item.tag_id
      JOIN django_content_type type_ ON type_.id = item.content_type_id
      WHERE type_.app_label = 'account' AND type_.model = '${model}'
    ) tagged ON tagged.object_id = row_.id
    ORDER BY row_.id, tagged.id`;
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

/** TAKEN are the columns of accounts and profiles that have a place in Keyward. */
const TAKEN = new Set([
  ...['id', 'created_at', 'updated_at', 'name', 'description', 'version', 'annotations', 'tag_name'],
  ...['account_number', 'company_name', 'is_active', 'user_id', 'account_id'],
]);

/** hasValue does not count flags that are off. */
function hasValue(value: string | null | undefined): boolean {
  return value !== null && value !== undefined && value !== '' && value !== 'f';
}
