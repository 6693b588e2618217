import { filterByTimes, listColumns, orderByTimes } from '../db/field-columns.js';
import type { ListColumns } from '../db/list-query.js';
import { ACCOUNT_FIELDS, USER_FIELDS, USER_PROFILE_FIELDS } from './account.js';

/** Which fields the lists of AccountService can filter and order by, and where they are. */

const ACCOUNT = listColumns('a', ACCOUNT_FIELDS);
const USER = listColumns('u', USER_FIELDS);
const USER_PROFILE = listColumns('p', USER_PROFILE_FIELDS);

export const ACCOUNT_COLUMNS: ListColumns = {
  filter: {
    account_number: { type: 'text', sql: 'a.account_number' },
    ...ACCOUNT.filter,
    ...filterByTimes('a'),
  },
  order: {
    id: { type: 'integer', sql: 'a.id' },
    ...ACCOUNT.order,
    account_number: { type: 'text', sql: 'a.account_number' },
    ...orderByTimes('a'),
  },
};

export const USER_COLUMNS: ListColumns = {
  filter: {
    username: { type: 'text', sql: 'u.username' },
    ...USER.filter,
    created_at: { type: 'time', sql: 'u.created_at' },
  },
  order: {
    id: { type: 'integer', sql: 'u.id' },
    username: { type: 'text', sql: 'u.username' },
    ...orderByTimes('u'),
  },
};

export const USER_PROFILE_COLUMNS: ListColumns = {
  filter: {
    ...USER_PROFILE.filter,
    user_id: { type: 'integer', sql: 'p.user_id' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    ...filterByTimes('p'),
  },
  order: {
    id: { type: 'integer', sql: 'p.id' },
    ...USER_PROFILE.order,
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    ...orderByTimes('p'),
  },
};
