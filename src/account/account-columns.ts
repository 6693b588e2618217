import type { Column, ListColumns } from '../db/list-query.js';

/** Which fields the lists of AccountService can filter and order by, and where they are. */

export const ACCOUNT_COLUMNS: ListColumns = {
  filter: {
    account_number: { type: 'text', sql: 'a.account_number' },
    name: { type: 'text', sql: 'a.name' },
    company_name: { type: 'text', sql: 'a.company_name' },
    is_active: { type: 'boolean', sql: 'a.is_active' },
    tag: { type: 'tag', sql: 'a.tags' },
    ...filterByTimes('a'),
  },
  order: {
    id: { type: 'integer', sql: 'a.id' },
    name: { type: 'text', sql: 'a.name' },
    account_number: { type: 'text', sql: 'a.account_number' },
    ...orderByTimes('a'),
  },
};

export const USER_COLUMNS: ListColumns = {
  filter: {
    username: { type: 'text', sql: 'u.username' },
    email: { type: 'text', sql: 'u.email' },
    is_active: { type: 'boolean', sql: 'u.is_active' },
    is_staff: { type: 'boolean', sql: 'u.is_staff' },
    is_superuser: { type: 'boolean', sql: 'u.is_superuser' },
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
    name: { type: 'text', sql: 'p.name' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    tag: { type: 'tag', sql: 'p.tags' },
    ...filterByTimes('p'),
  },
  order: {
    id: { type: 'integer', sql: 'p.id' },
    name: { type: 'text', sql: 'p.name' },
    username: { type: 'text', sql: 'u.username' },
    account_number: { type: 'text', sql: 'a.account_number' },
    ...orderByTimes('p'),
  },
};

function filterByTimes(table: string): Record<string, Column> {
  return {
    created_at: { type: 'time', sql: `${table}.created_at` },
    updated_at: { type: 'time', sql: `${table}.updated_at` },
  };
}

/** orderByTimes puts imported rows without a date before all others: pages continue after a value. */
function orderByTimes(table: string): Record<string, Column> {
  return {
    created_at: { type: 'time', sql: `coalesce(${table}.created_at, '-infinity')` },
    updated_at: { type: 'time', sql: `coalesce(${table}.updated_at, '-infinity')` },
  };
}
