import type { Knex } from 'knex';
import { CALLER_COLUMNS, callerRightsFromRow, callers, type CallerRow } from '../../authz/caller-rows.js';
import { ownerFromRow, type OwnerRow } from '../../authz/owner-rows.js';
import type { UserProfileRef } from '../../authz/refs.js';
import { prepare } from '../../db/prepared.js';
import { formatPgTimestamp, type Instant } from '../../lib/instant.js';
import type { AccessFacts } from './access.js';
import { bindingFromRow, type BindingRow } from '../binding/binding-columns.js';
import type { SecretRef } from '../secret-ref.js';
import type { PayloadFormat, VersionState } from '../secret.js';

/** AccessQuery is who asks for which value. A name in a whole account is not among them: it may name several. */
export interface AccessQuery {
  readonly userId: bigint;
  readonly ref: Exclude<SecretRef, { readonly by: 'account' }>;
  /** null for the newest version that is enabled. */
  readonly version: number | null;
}

/** AccessTime is when a secret was accessed. */
export interface AccessTime {
  readonly secretId: bigint;
  readonly at: Instant;
}

/** Nulls come together: of an unknown user, of no secret, of no version. */
interface FactsRow extends OwnerRow, BindingRow, Omit<CallerRow, 'caller_is_staff'> {
  position: bigint;
  caller_is_staff: boolean | null;
  secret_id: bigint | null;
  expires_at: Instant | null;
  grant_ends_at: Instant | null;
  number: number | null;
  state: VersionState;
  format: PayloadFormat;
  key_id: string | null;
  ciphertext: Buffer | null;
}

/**
 * A secret is looked for by its number and by its owner and name, of which one is null: that finds nothing, without
 * reading anything. An owner by membership is a subquery of its own, not a join, lest the planner, which cannot
 * know, reads whole tables for it.
 */
const FACTS = `
  WITH callers AS MATERIALIZED (${callers('u.id = ANY ($1::bigint[])')})
  SELECT q.position, ${CALLER_COLUMNS},
    s.id AS secret_id, s.expires_at, s.profile_id, s.user_id, s.username, s.is_staff, s.is_superuser,
    s.account_id, s.account_number, g.ends_at AS grant_ends_at,
    v.number, v.state, v.format, v.key_id, v.ciphertext, v.binding, v.binding_key_id
  FROM ROWS FROM (json_to_recordset($2::json) AS (user_id bigint, secret_id bigint, profile_id bigint,
      username text, account_number text, name text, version int))
    WITH ORDINALITY AS q (user_id, secret_id, profile_id, username, account_number, name, version, position)
  LEFT JOIN callers c ON c.id = q.user_id
  LEFT JOIN LATERAL (
    SELECT s.id, s.expires_at, p.id AS profile_id, u.id AS user_id, u.username, u.is_staff, u.is_superuser,
      a.id AS account_id, a.account_number
    FROM (
      SELECT * FROM secrets WHERE id = q.secret_id
      UNION ALL
      SELECT * FROM secrets WHERE name = q.name AND user_profile_id = coalesce(q.profile_id, (
        SELECT p.id FROM user_profiles p
        WHERE p.user_id = (SELECT u.id FROM users u WHERE u.username = q.username)
          AND p.account_id = (SELECT a.id FROM accounts a WHERE a.account_number = q.account_number)))
    ) s
    JOIN user_profiles p ON p.id = s.user_profile_id
    JOIN users u ON u.id = p.user_id
    JOIN accounts a ON a.id = p.account_id
    WHERE s.deleted_at IS NULL
    OFFSET 0
  ) s ON true
  LEFT JOIN LATERAL (
    SELECT max(coalesce(g.expires_at, 'infinity')) AS ends_at
    FROM secret_grants g WHERE g.secret_id = s.id AND g.user_profile_id = ANY (c.caller_profile_ids)
  ) g ON true
  LEFT JOIN LATERAL (
    SELECT v.number, v.state, v.format, v.key_id, CASE v.state WHEN 'ENABLED' THEN v.ciphertext END AS ciphertext,
      v.binding, v.binding_key_id
    FROM secret_versions v
    WHERE v.secret_id = s.id AND v.number <= coalesce(q.version, 2147483647)
      AND CASE WHEN q.version IS NULL THEN v.state = 'ENABLED' ELSE v.number = q.version END
    ORDER BY v.number DESC LIMIT 1
  ) v ON true
  ORDER BY q.position`;

/** Rows that a change has locked are left out, for the others not to wait: those come back. */
const RECORD_ACCESS = `
  WITH accessed AS (SELECT * FROM unnest($1::bigint[], $2::timestamptz[]) AS accessed (id, at)),
  free AS (
    SELECT s.id FROM secrets s WHERE s.id = ANY ($1::bigint[]) ORDER BY s.id FOR NO KEY UPDATE SKIP LOCKED
  ),
  written AS (
    UPDATE secrets s SET last_accessed_at = greatest(s.last_accessed_at, accessed.at)
    FROM accessed, free WHERE s.id = accessed.id AND s.id = free.id
  )
  SELECT s.id FROM secrets s WHERE s.id = ANY ($1::bigint[]) AND s.id NOT IN (SELECT id FROM free)`;

/** AccessRepository is the SQL of the path on which values are read, as prepared statements. */
export class AccessRepository {
  readonly #fetchFacts: (values: unknown[]) => Promise<FactsRow[]>;
  readonly #recordAccess: (values: unknown[]) => Promise<{ id: bigint }[]>;

  constructor(knex: Knex) {
    this.#fetchFacts = prepare<FactsRow>(knex, 'secret-access', FACTS);
    this.#recordAccess = prepare<{ id: bigint }>(knex, 'secret-access-times', RECORD_ACCESS);
  }

  /** facts reads what decides about each query, in their order, and the ciphertexts, all in one statement. */
  async facts(queries: readonly AccessQuery[]): Promise<AccessFacts[]> {
    const rows = await this.#fetchFacts([
      queries.map(({ userId }) => String(userId)),
      // Not as arrays: whether these can hold nulls is a setting.
      JSON.stringify(queries.map(questionOf)),
    ]);
    return rows.map((row) => factsFromRow(row, queries[Number(row.position) - 1]?.userId ?? 0n));
  }

  /**
   * recordAccess moves last_accessed_at forward, never back, and touches nothing else. It returns the secrets that
   * it left out because a change had locked them. `times` must not hold a secret twice.
   */
  async recordAccess(times: readonly AccessTime[]): Promise<bigint[]> {
    const rows = await this.#recordAccess([
      times.map(({ secretId }) => String(secretId)),
      times.map(({ at }) => formatPgTimestamp(at)),
    ]);
    return rows.map(({ id }) => id);
  }
}

/** questionOf is a query as the statement reads it; what is left out is null there. */
function questionOf({
  userId,
  ref,
  version,
}: AccessQuery): Record<string, string | number | null | undefined> {
  const owner = ref.by === 'owner' ? ref.owner : undefined;
  const membership = owner && membershipOf(owner);
  return {
    user_id: String(userId),
    secret_id: ref.by === 'id' ? String(ref.id) : undefined,
    profile_id: owner?.by === 'id' ? String(owner.id) : undefined,
    username: membership?.username,
    account_number: membership?.accountNumber,
    name: ref.by === 'owner' ? ref.name : undefined,
    version,
  };
}

function membershipOf(owner: UserProfileRef): Extract<UserProfileRef, { by: 'membership' }> | undefined {
  return owner.by === 'membership' ? owner : undefined;
}

function factsFromRow(row: FactsRow, userId: bigint): AccessFacts {
  return { callerRights: callerRightsOf(row, userId), secret: secretOf(row), version: versionOf(row) };
}

function callerRightsOf(row: FactsRow, userId: bigint): AccessFacts['callerRights'] {
  const { caller_is_staff: isStaff } = row;
  return isStaff === null ? undefined : callerRightsFromRow(userId, { ...row, caller_is_staff: isStaff });
}

function secretOf(row: FactsRow): AccessFacts['secret'] {
  if (row.secret_id === null) return undefined;
  return {
    id: row.secret_id,
    owner: ownerFromRow(row),
    expiresAt: row.expires_at,
    grantEndsAt: row.grant_ends_at,
  };
}

function versionOf(row: FactsRow): AccessFacts['version'] {
  const { number, state, format, key_id: keyId, ciphertext } = row;
  if (number === null) return undefined;
  return { number, state, format, keyId, ciphertext, binding: bindingFromRow(row) };
}
