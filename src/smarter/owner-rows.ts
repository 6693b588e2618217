import { annotationsOf, uniqueTags } from './normalise.js';
import { numbersIn, RowReader, type SourceRow } from './source-rows.js';
import { hasValue, readTagged, type ReadOptions, type TaggedTable } from './tagged-rows.js';

const ACCOUNTS: TaggedTable = {
  table: 'account_account',
  app: 'account',
  model: 'account',
  columns: 'row_.*',
};
const USER_PROFILES: TaggedTable = {
  table: 'account_userprofile',
  app: 'account',
  model: 'userprofile',
  columns: 'row_.*',
};

/** readAccounts reads all accounts in the order of their numbers. */
export function readAccounts(options: ReadOptions): AsyncGenerator<SourceRow[]> {
  return readTagged(ACCOUNTS, options, (row, tags) => {
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
  return readTagged(USER_PROFILES, options, (row, tags) => {
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
export async function* readUsers({
  source,
  batchSize,
  staying,
  only,
}: ReadOptions): AsyncGenerator<SourceRow[]> {
  const sql = `
    SELECT id, username, email, first_name, last_name, is_active, is_staff, is_superuser, date_joined, last_login,
      CASE WHEN password <> '' THEN 'set' END AS password
    FROM auth_user WHERE ${numbersIn('id', only)} ORDER BY id`;
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

/** describing reads the fields that accounts, profiles and secrets have in common. */
export function describing(reader: RowReader, tags: readonly string[]): SourceRow['fields'] {
  return {
    description: reader.text('description'),
    version: reader.text('version'),
    tags: uniqueTags(tags, reader.finding),
    annotations: annotationsOf(reader.raw('annotations'), reader.finding),
    created_at: reader.time('created_at'),
    updated_at: reader.time('updated_at'),
  };
}
