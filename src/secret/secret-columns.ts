import { filterByTimes, listColumns, orderByTimes } from '../db/field-columns.js';
import type { ListColumns } from '../db/list-query.js';
import { SECRET_FIELDS } from './secret.js';

export { REFERENCE_COLUMNS } from '../db/reference-repository.js';

/** Which fields the lists of SecretService can filter and order by, and where they are. */

/** The newest version of `s`, and the newest that is enabled. */
export const LATEST_VERSION =
  'coalesce((SELECT max(v.number) FROM secret_versions v WHERE v.secret_id = s.id), 0)';
export const ENABLED_VERSION =
  "(SELECT max(v.number) FROM secret_versions v WHERE v.secret_id = s.id AND v.state = 'ENABLED')";

/** INDEXED_FIELDS have an index of secrets. */
export const INDEXED_FIELDS = [
  'name',
  'user_profile_id',
  'expires_at',
  'last_accessed_at',
  'created_at',
  'updated_at',
] as const;

const SETTINGS = listColumns('s', SECRET_FIELDS);

export const SECRET_COLUMNS: ListColumns = {
  filter: {
    ...SETTINGS.filter,
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    user_id: { type: 'integer', sql: 'p.user_id' },
    user_profile_id: { type: 'integer', sql: 's.user_profile_id' },
    latest_version: { type: 'integer', sql: LATEST_VERSION },
    last_accessed_at: { type: 'time', sql: 's.last_accessed_at' },
    ...filterByTimes('s'),
    deleted_at: { type: 'time', sql: 's.deleted_at' },
  },
  order: {
    id: { type: 'integer', sql: 's.id' },
    ...SETTINGS.order,
    username: { type: 'text', sql: 'u.username', then: 'user_profile_id' },
    account_number: { type: 'text', sql: 'a.account_number', then: 'user_profile_id' },
    user_profile_id: { type: 'integer', sql: 's.user_profile_id' },
    last_accessed_at: { type: 'time', sql: "coalesce(s.last_accessed_at, '-infinity')" },
    ...orderByTimes('s'),
  },
};

export const VERSION_COLUMNS: ListColumns = {
  filter: {
    number: { type: 'integer', sql: 'v.number' },
    state: { type: 'text', sql: 'v.state' },
    format: { type: 'text', sql: 'v.format' },
    key_id: { type: 'text', sql: 'v.key_id' },
    created_by: { type: 'text', sql: 'v.created_by' },
    created_at: { type: 'time', sql: 'v.created_at' },
    destroyed_at: { type: 'time', sql: 'v.destroyed_at' },
  },
  order: {
    id: { type: 'integer', sql: 'v.number' },
    number: { type: 'integer', sql: 'v.number' },
    created_at: { type: 'time', sql: "coalesce(v.created_at, '-infinity')" },
  },
};

export const GRANT_COLUMNS: ListColumns = {
  filter: {
    user_profile_id: { type: 'integer', sql: 'g.user_profile_id' },
    username: { type: 'text', sql: 'g.username' },
    account_number: { type: 'text', sql: 'g.account_number' },
    granted_by: { type: 'text', sql: 'g.granted_by' },
    expires_at: { type: 'time', sql: 'g.expires_at' },
    created_at: { type: 'time', sql: 'g.created_at' },
  },
  order: {
    id: { type: 'integer', sql: 'g.user_profile_id' },
    username: { type: 'text', sql: 'g.username' },
    account_number: { type: 'text', sql: 'g.account_number' },
    expires_at: { type: 'time', sql: "coalesce(g.expires_at, 'infinity')" },
    created_at: { type: 'time', sql: 'g.created_at' },
  },
};
