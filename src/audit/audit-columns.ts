import type { ListColumns } from '../db/list-query.js';

/** INDEXED_FIELDS have an index. That of `resource_id` is one of kinds first. */
export const INDEXED_FIELDS = [
  'resource_kind',
  'account_id',
  'account_number',
  'actor_user_id',
  'occurred_at',
] as const;

/** Which fields ListAuditEvents can filter and order by, and where they are. */
export const AUDIT_COLUMNS: ListColumns = {
  filter: {
    action: { type: 'text', sql: 'e.action' },
    outcome: { type: 'text', sql: 'e.outcome' },
    resource_kind: { type: 'text', sql: 'e.resource_kind' },
    resource_id: { type: 'integer', sql: 'e.resource_id' },
    user_profile_id: { type: 'integer', sql: 'e.resource_profile_id' },
    account_id: { type: 'integer', sql: 'e.resource_account_id' },
    account_number: { type: 'text', sql: 'e.resource_account_number' },
    actor_key_id: { type: 'text', sql: 'e.actor_key_id' },
    actor_user_id: { type: 'integer', sql: 'e.actor_user_id' },
    actor_username: { type: 'text', sql: 'e.actor_username' },
    actor_account_number: { type: 'text', sql: 'e.actor_account_number' },
    request_id: { type: 'text', sql: 'e.request_id' },
    occurred_at: { type: 'time', sql: 'e.occurred_at' },
  },
  order: {
    id: { type: 'integer', sql: 'e.id' },
    occurred_at: { type: 'time', sql: 'e.occurred_at' },
  },
};
