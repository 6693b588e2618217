import { filterByTimes, listColumns, orderByTimes } from '../db/field-columns.js';
import type { ListColumns } from '../db/list-query.js';
import { TOKEN_FIELDS } from './token.js';

export { REFERENCE_COLUMNS } from '../db/reference-repository.js';

/** ISSUER_COLUMNS are filters that tell of others: only of tokens that the caller manages. */
export const ISSUER_COLUMNS: ListColumns['filter'] = {
  issued_by_key_id: { type: 'uuid', sql: ofDigest('issued_by_key_id') },
  issued_by_username: { type: 'text', sql: ofDigest('issued_by_username') },
  issued_by_user_id: { type: 'integer', sql: ofDigest('issued_by_user_id') },
};

/** ofDigest looks a column up token by token: a join may go through those of all tokens. */
function ofDigest(column: string): string {
  return `(SELECT d.${column} FROM token_digests d WHERE d.token_id = t.id AND d.retires_at IS NULL)`;
}

/** INDEXED_FIELDS have an index of tokens. */
export const INDEXED_FIELDS = [
  'name',
  'key_id',
  'user_profile_id',
  'expires_at',
  'last_used_at',
  'created_at',
  'updated_at',
] as const;

const SETTINGS = listColumns('t', TOKEN_FIELDS);

/** Which fields ListTokens can filter and order by, and where they are. */
export const TOKEN_COLUMNS: ListColumns = {
  filter: {
    ...SETTINGS.filter,
    key_id: { type: 'uuid', sql: 't.key_id' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    user_id: { type: 'integer', sql: 'p.user_id' },
    user_profile_id: { type: 'integer', sql: 't.user_profile_id' },
    token_key: { type: 'text', sql: ofDigest('token_key') },
    last_used_at: { type: 'time', sql: 't.last_used_at' },
    ...filterByTimes('t'),
    reference_kind: {
      type: 'tag',
      sql: 'ARRAY(SELECT r.kind FROM token_references r WHERE r.token_id = t.id)',
    },
    reference_count: {
      type: 'integer',
      sql: '(SELECT count(*) FROM token_references r WHERE r.token_id = t.id)',
    },
    ...ISSUER_COLUMNS,
  },
  order: {
    id: { type: 'integer', sql: 't.id' },
    ...SETTINGS.order,
    username: { type: 'text', sql: 'u.username', then: 'user_profile_id' },
    account_number: { type: 'text', sql: 'a.account_number', then: 'user_profile_id' },
    user_profile_id: { type: 'integer', sql: 't.user_profile_id' },
    last_used_at: { type: 'time', sql: "coalesce(t.last_used_at, '-infinity')" },
    ...orderByTimes('t'),
  },
};
