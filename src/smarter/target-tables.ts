import type { Kind } from './report.js';

/** TargetTable tells how rows of one kind are kept in Keyward. */
export interface TargetTable {
  readonly kind: Kind;
  readonly table: string;
  /** The fields of a source row that are columns here, with their SQL types. */
  readonly columns: Readonly<Record<string, string>>;
  /** Columns that hold numbers of other rows, whose numbers here may differ from the source's. */
  readonly references: Readonly<Record<string, Kind>>;
  /** The columns that tell a row from all others, apart from its number; empty where there are none. */
  readonly naturalKey: readonly string[];
  /** The fields that Smarter writes at every use: no changes worth telling. */
  readonly use: readonly string[];
  /** The SQL condition on a row `t` under which Keyward still has it. */
  readonly present: string;
}

const DESCRIPTION = {
  name: 'text',
  description: 'text',
  version: 'text',
  tags: 'text[]',
  annotations: 'jsonb',
  created_at: 'timestamptz',
  updated_at: 'timestamptz',
} as const;

const ACCOUNTS: TargetTable = {
  kind: 'account',
  table: 'accounts',
  columns: { account_number: 'text', company_name: 'text', is_active: 'boolean', ...DESCRIPTION },
  references: {},
  naturalKey: ['account_number'],
  use: [],
  present: 'true',
};

const USERS: TargetTable = {
  kind: 'user',
  table: 'users',
  columns: {
    username: 'text',
    email: 'text',
    first_name: 'text',
    last_name: 'text',
    is_active: 'boolean',
    is_staff: 'boolean',
    is_superuser: 'boolean',
    created_at: 'timestamptz',
  },
  references: {},
  naturalKey: ['username'],
  use: [],
  present: 'true',
};

const USER_PROFILES: TargetTable = {
  kind: 'user_profile',
  table: 'user_profiles',
  columns: { user_id: 'bigint', account_id: 'bigint', ...DESCRIPTION },
  references: { user_id: 'user', account_id: 'account' },
  naturalKey: ['user_id', 'account_id'],
  use: [],
  present: 'true',
};

export const TOKENS: TargetTable = {
  kind: 'token',
  table: 'tokens',
  columns: {
    key_id: 'uuid',
    user_profile_id: 'bigint',
    ...DESCRIPTION,
    is_active: 'boolean',
    expires_at: 'timestamptz',
    last_used_at: 'timestamptz',
  },
  references: { user_profile_id: 'user_profile' },
  naturalKey: [],
  use: ['last_used_at', 'updated_at'],
  present: 'true',
};

export const SECRETS: TargetTable = {
  kind: 'secret',
  table: 'secrets',
  columns: {
    user_profile_id: 'bigint',
    ...DESCRIPTION,
    name_key: 'text',
    expires_at: 'timestamptz',
    last_accessed_at: 'timestamptz',
  },
  references: { user_profile_id: 'user_profile' },
  naturalKey: [],
  use: ['last_accessed_at', 'updated_at'],
  present: 't.deleted_at IS NULL',
};

export const TARGET_TABLES: Readonly<Record<Kind, TargetTable>> = {
  account: ACCOUNTS,
  user: USERS,
  user_profile: USER_PROFILES,
  token: TOKENS,
  secret: SECRETS,
};
