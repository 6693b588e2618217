import type { ListColumns } from '../db/list-query.js';

/** ISSUER_COLUMNS are filters that tell of others: only of tokens that the caller manages. */
export const ISSUER_COLUMNS: ListColumns['filter'] = {
  issued_by_key_id: { type: 'uuid', sql: 'd.issued_by_key_id' },
  issued_by_username: { type: 'text', sql: 'd.issued_by_username' },
  issued_by_user_id: { type: 'integer', sql: 'd.issued_by_user_id' },
};

/** Which fields ListTokens can filter and order by, and where they are. */
export const TOKEN_COLUMNS: ListColumns = {
  filter: {
    name: { type: 'text', sql: 't.name' },
    key_id: { type: 'uuid', sql: 't.key_id' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    user_profile_id: { type: 'integer', sql: 't.user_profile_id' },
    is_active: { type: 'boolean', sql: 't.is_active' },
    tag: { type: 'tag', sql: 't.tags' },
    version: { type: 'text', sql: 't.version' },
    expires_at: { type: 'time', sql: 't.expires_at' },
    last_used_at: { type: 'time', sql: 't.last_used_at' },
    created_at: { type: 'time', sql: 't.created_at' },
    updated_at: { type: 'time', sql: 't.updated_at' },
    ...ISSUER_COLUMNS,
  },
  order: {
    id: { type: 'integer', sql: 't.id' },
    name: { type: 'text', sql: 't.name' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    expires_at: { type: 'time', sql: "coalesce(t.expires_at, 'infinity')" },
    last_used_at: { type: 'time', sql: "coalesce(t.last_used_at, '-infinity')" },
    created_at: { type: 'time', sql: "coalesce(t.created_at, '-infinity')" },
    updated_at: { type: 'time', sql: "coalesce(t.updated_at, '-infinity')" },
  },
};
