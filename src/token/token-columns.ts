import { filterByTimes, listColumns, orderByTimes } from '../db/field-columns.js';
import type { ListColumns } from '../db/list-query.js';
import { TOKEN_FIELDS } from './token.js';

/** ISSUER_COLUMNS are filters that tell of others: only of tokens that the caller manages. */
export const ISSUER_COLUMNS: ListColumns['filter'] = {
  issued_by_key_id: { type: 'uuid', sql: 'd.issued_by_key_id' },
  issued_by_username: { type: 'text', sql: 'd.issued_by_username' },
  issued_by_user_id: { type: 'integer', sql: 'd.issued_by_user_id' },
};

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
    token_key: { type: 'text', sql: 'd.token_key' },
    last_used_at: { type: 'time', sql: 't.last_used_at' },
    ...filterByTimes('t'),
    ...ISSUER_COLUMNS,
  },
  order: {
    id: { type: 'integer', sql: 't.id' },
    ...SETTINGS.order,
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    last_used_at: { type: 'time', sql: "coalesce(t.last_used_at, '-infinity')" },
    ...orderByTimes('t'),
  },
};
