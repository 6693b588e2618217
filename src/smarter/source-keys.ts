import { storableText, uuidOf } from './normalise.js';
import type { Kind } from './report.js';
import { SmarterImportError } from './smarter-import-error.js';
import { keyIdsIn, numbersIn, RowReader, type Fields } from './source-rows.js';
import type { Source, TextRow } from './source.js';

/** SeenRow is a row that the source has: its key, and the fields that no other row has together. */
export interface SeenRow {
  readonly key: string;
  readonly fields: Fields;
}

/** Listing is how the keys of one kind are read. */
interface Listing {
  readonly sql: string;
  readonly read: (row: TextRow) => SeenRow;
}

const LISTINGS: Readonly<Record<Kind, Listing>> = {
  account: {
    sql: 'SELECT id, account_number FROM account_account',
    read: (row) => called('account_account', 'account_number', row),
  },
  user: { sql: 'SELECT id, username FROM auth_user', read: (row) => called('auth_user', 'username', row) },
  user_profile: {
    sql: 'SELECT id, user_id, account_id FROM account_userprofile',
    read: ({ id, user_id = null, account_id = null }) => ({ key: id ?? '', fields: { user_id, account_id } }),
  },
  token: {
    // A key that has lost its knox row opens nothing any more.
    sql: `SELECT smarter.key_id AS id, smarter.name, smarter.user_profile_id FROM drf_smarterauthtoken smarter
      JOIN knox_authtoken knox ON knox.digest = smarter.authtoken_ptr_id`,
    read: (row) => {
      const written = row['id'] ?? '';
      const key = uuidOf(written) ?? storableText('key_id', written, () => undefined);
      return owned('drf_smarterauthtoken', key, `token-${key.slice(0, 8)}`, row);
    },
  },
  secret: {
    sql: 'SELECT id, name, user_profile_id FROM secret_secret',
    read: (row) => owned('secret_secret', row['id'] ?? '', `secret-${row['id']}`, row),
  },
};

function called(table: string, column: string, row: TextRow): SeenRow {
  return { key: row['id'] ?? '', fields: { [column]: new RowReader(table, row).identity(column) } };
}

function owned(table: string, key: string, fallback: string, row: TextRow): SeenRow {
  const reader = new RowReader(table, row);
  return { key, fields: { name: reader.name(fallback), user_profile_id: reader.raw('user_profile_id') } };
}

/**
 * readKeys reads the keys of all rows of one kind, or of those of some keys.
 * @throws SmarterImportError where that are not as many as the source says it has
 */
export async function* readKeys(
  source: Source,
  kind: Kind,
  batchSize: number,
  only?: ReadonlySet<string>,
): AsyncGenerator<SeenRow[]> {
  const { sql: all, read } = LISTINGS[kind];
  const isWanted = kind === 'token' ? keyIdsIn(source, 'id', only) : numbersIn('id', only);
  const sql = only === undefined ? all : `SELECT * FROM (${all}) listing WHERE ${isWanted}`;
  let count = 0;
  for await (const batch of source.rows(sql, batchSize)) {
    count += batch.length;
    yield batch.map(read);
  }
  for await (const [row] of source.rows(`SELECT count(*) AS rows_ FROM (${sql}) listed`, 1)) {
    if (Number(row?.['rows_']) !== count) {
      throw new SmarterImportError('The source was not read to its end. Nothing was changed; run it again.');
    }
  }
}
