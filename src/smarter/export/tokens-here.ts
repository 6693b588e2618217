import type { Knex } from 'knex';
import { formatPgTimestamp, type Instant } from '../../lib/instant.js';
import type { Fields } from '../source-rows.js';
import { query } from '../target-store.js';
import { among, type Part } from './here.js';

/** TokenHere is a token of Keyward, as the platform is to have it. */
export interface TokenHere {
  readonly id: string;
  readonly key: string;
  /** What both sides last agreed on; undefined if the platform has never had it. */
  readonly before: Fields | undefined;
  /** What an export was about to make of it, if it is not known whether it did. */
  readonly announced: Fields | null;
  /** In the platform's numbers. */
  readonly fields: Fields;
  /** Why it is written switched off although it is on here. */
  readonly offBecause: string | undefined;
  readonly graceUntil: string | null;
}

interface TokenColumns {
  id: string;
  key: string;
  before: Fields | null;
  announced: Fields | null;
  profile_key: string | null;
  name: string;
  description: string;
  version: string;
  tags: string[];
  annotations: Record<string, string>;
  is_active: boolean;
  is_narrowed: boolean;
  account_is_off: boolean;
  expires_at: Instant | null;
  last_used_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  digest: string;
  token_key: string;
  grace_until: Instant | null;
}

/** readTokensHere reads tokens in the order of their numbers, after one of them. */
export async function readTokensHere(
  knex: Knex,
  { after, limit, only }: Part,
  allScopes: boolean,
): Promise<TokenHere[]> {
  const asked = among(only, 't.id');
  const rows = await query<TokenColumns>(
    knex,
    `SELECT t.id::text AS id, t.key_id::text AS key, nullif(r.fields, '{}') AS before, r.announced, p.source_key AS profile_key,
       t.name, t.description, t.version, t.tags, t.annotations, t.is_active, t.scopes <> '{*}' AS is_narrowed,
       NOT a.is_active AND coalesce((ar.fields ->> 'is_active')::boolean, true) AS account_is_off,
       t.expires_at, t.last_used_at, t.created_at, t.updated_at, encode(d.digest, 'hex') AS digest, d.token_key,
       (SELECT max(old.retires_at) FROM token_digests old
        WHERE old.token_id = t.id AND old.retires_at > statement_timestamp()) AS grace_until
     FROM tokens t
     JOIN token_digests d ON d.token_id = t.id AND d.retires_at IS NULL
     JOIN user_profiles up ON up.id = t.user_profile_id
     JOIN accounts a ON a.id = up.account_id
     LEFT JOIN import_records r ON r.kind = 'token' AND r.target_id = t.id AND r.source_key = t.key_id::text
     LEFT JOIN import_records p ON p.kind = 'user_profile' AND p.target_id = t.user_profile_id
     LEFT JOIN import_records ar ON ar.kind = 'account' AND ar.target_id = a.id
     WHERE t.id > ? ${asked.sql} ORDER BY t.id LIMIT ?`,
    [after, ...asked.bindings, limit],
  );
  return rows.map((row) => tokenHere(row, allScopes));
}

function tokenHere(row: TokenColumns, allScopes: boolean): TokenHere {
  const isWidened = row.is_narrowed && !allScopes;
  const offBecause = isWidened
    ? 'switched off there: its scopes would not count, and it might do everything (see --all-scopes)'
    : row.account_is_off
      ? 'switched off there: its account was switched off, which Smarter does not look at'
      : undefined;
  const { name, description, version, tags, annotations, digest, token_key } = row;
  return {
    id: row.id,
    key: row.key,
    before: row.before ?? undefined,
    announced: row.announced,
    offBecause: row.is_active ? offBecause : undefined,
    graceUntil: timeText(row.grace_until),
    fields: {
      ...{
        digest,
        token_key,
        user_profile_id: row.profile_key,
        name,
        description,
        version,
        tags,
        annotations,
      },
      is_active: row.is_active && offBecause === undefined,
      expires_at: timeText(row.expires_at),
      last_used_at: timeText(row.last_used_at),
      created_at: timeText(row.created_at),
      updated_at: timeText(row.updated_at),
    },
  };
}

export function timeText(time: Instant | null): string | null {
  return time === null ? null : formatPgTimestamp(time);
}
