import type { Knex } from 'knex';
import { randomUUID } from 'node:crypto';
import { formatPgTimestamp, type Instant } from '../../lib/instant.js';
import { textField, type Fields, type SourceRow } from '../source-rows.js';
import { query } from '../target-store.js';
import { tokenRow } from '../token-rows.js';
import type { BatchTally } from './export-report.js';
import type { PlatformTransaction, PlatformValue, Reference } from './platform.js';
import { attempt, columnValue, fittingFields, insert, referenced, update } from './platform-rows.js';
import { agreed, changedHere, isUse, merge } from './three-way.js';

/** TokenHere is a token of Keyward, as the platform is to have it. */
export interface TokenHere {
  readonly id: string;
  readonly key: string;
  /** What both sides last agreed on; undefined if the platform has never had it. */
  readonly before: Fields | undefined;
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

/** readTokens reads tokens in the order of their numbers, after one of them. */
export async function readTokensHere(
  knex: Knex,
  after: string,
  limit: number,
  allScopes: boolean,
): Promise<TokenHere[]> {
  const rows = await query<TokenColumns>(
    knex,
    `SELECT t.id::text AS id, t.key_id::text AS key, r.fields AS before, p.source_key AS profile_key,
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
     WHERE t.id > ? ORDER BY t.id LIMIT ?`,
    [after, limit],
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

/** WrittenRow is what both sides hold of a row from now on. */
export interface WrittenRow {
  readonly key: string;
  readonly targetId: string;
  readonly fields: Fields;
}

/** exportTokens brings the platform's rows of some tokens up to date. Gives what both sides hold of those that were touched. */
export async function exportTokens(
  trx: PlatformTransaction,
  tokens: readonly TokenHere[],
  references: readonly Reference[],
  tally: BatchTally,
): Promise<WrittenRow[]> {
  for (const { key, offBecause, graceUntil } of tokens) {
    if (offBecause !== undefined) tally.note(key, 'switched-off', offBecause);
    if (graceUntil !== null) {
      const what = `its plaintext before the rotation, accepted here until ${graceUntil}, is refused there`;
      tally.note(key, 'grace', what);
    }
  }
  const touched = tokens.filter(
    ({ before, fields }) => before === undefined || changedHere(before, fields).length > 0,
  );
  tally.outcomes.push(...tokens.slice(touched.length).map(() => 'unchanged' as const));
  if (touched.length === 0) return [];
  const there = await findTokens(
    trx,
    touched.map(({ key }) => key),
  );
  const users = await findOwners(
    trx,
    touched.map(({ fields }) => textField(fields, 'user_profile_id')),
  );
  const written: { token: TokenHere; before: Fields; unseen: readonly string[] }[] = [];
  for (const token of touched) {
    const row = there.get(token.key);
    const user = users.get(textField(token.fields, 'user_profile_id'));
    if (user === undefined) {
      leaveOut(token, 'without-owner', 'its owner is not on the platform: not written', tally);
    } else if (row === undefined && token.before !== undefined) {
      leaveOut(token, 'gone', 'gone from the platform since both had it: not written', tally);
    } else if (row === undefined) {
      const isWritten = await attempt(trx, token.key, tally, () => create(trx, token, user, tally));
      if (!isWritten) continue;
      tally.outcomes.push('created');
      written.push({ token, before: {}, unseen: [] });
    } else {
      const before = token.before ?? row.fields;
      const merged = merge(before, fittingFields(token.fields, token.key, tally), row.fields);
      for (const field of merged.conflicts) {
        const whose =
          field in merged.changes ? "Keyward's is written" : "the platform's stays, which lets in less";
        tally.note(token.key, 'conflict', `${field} was changed on both sides: ${whose}`);
      }
      const isWritten = await attempt(trx, token.key, tally, () =>
        change(trx, { token, row, changes: merged.changes, user, references }),
      );
      if (!isWritten) continue;
      const isNothing = Object.keys(merged.changes).length === 0;
      tally.outcomes.push(isNothing ? 'unchanged' : isUse(merged.changes) ? 'used' : 'updated');
      written.push({ token, before, unseen: merged.unseen });
    }
  }
  const now = await findTokens(
    trx,
    written.map(({ token }) => token.key),
  );
  return written.flatMap(({ token: { key, id }, before, unseen }) => {
    const row = now.get(key);
    return row === undefined ? [] : [{ key, targetId: id, fields: agreed(before, row.fields, { unseen }) }];
  });
}

function leaveOut({ key }: TokenHere, sort: string, what: string, tally: BatchTally): void {
  tally.outcomes.push('leftOut');
  tally.note(key, sort, what);
}

/** findTokens reads the platform's rows of some keys, as an import reads them, and locks them. */
async function findTokens(
  trx: PlatformTransaction,
  keys: readonly string[],
): Promise<ReadonlyMap<string, SourceRow>> {
  if (keys.length === 0) return new Map();
  const rows = await trx.query(
    `SELECT smarter.authtoken_ptr_id, smarter.key_id, smarter.name, smarter.description, smarter.version,
       smarter.tags, smarter.annotations, smarter.is_active, smarter.created_at, smarter.updated_at,
       smarter.last_used_at, smarter.user_profile_id, knox.digest, knox.token_key, knox.created, knox.expiry,
       knox.user_id AS knox_user_id,
       (SELECT profile.user_id FROM account_userprofile profile WHERE profile.id = smarter.user_profile_id)
         AS profile_user_id
     FROM drf_smarterauthtoken smarter JOIN knox_authtoken knox ON knox.digest = smarter.authtoken_ptr_id
     WHERE smarter.key_id IN (?) FOR UPDATE`,
    [keys.map((key) => trx.keyId(key))],
  );
  return new Map(rows.map(tokenRow).map((row) => [row.key, row]));
}

interface Owner {
  readonly userId: string;
  readonly isStaff: boolean;
}

/** findOwners finds the users of some profiles. */
export async function findOwners(
  trx: PlatformTransaction,
  profiles: readonly string[],
): Promise<ReadonlyMap<string, Owner>> {
  const keys = [...new Set(profiles)].filter((key) => key !== '');
  if (keys.length === 0) return new Map();
  const rows = await trx.query(
    `SELECT profile.id, profile.user_id, owner.is_staff FROM account_userprofile profile
     JOIN auth_user owner ON owner.id = profile.user_id WHERE profile.id IN (?)`,
    [keys],
  );
  return new Map(
    rows.map(({ id, user_id: userId, is_staff: isStaff }) => [
      id ?? '',
      { userId: userId ?? '', isStaff: isStaff === 't' },
    ]),
  );
}

async function create(
  trx: PlatformTransaction,
  { key, fields }: TokenHere,
  { userId, isStaff }: Owner,
  tally: BatchTally,
): Promise<void> {
  if (!isStaff) tally.note(key, 'owner-not-staff', 'its owner is not staff: Smarter fails on it');
  const fitting = fittingFields(fields, key, tally);
  const created = fields['created_at'] ?? fields['updated_at'];
  await insert(trx, 'knox_authtoken', {
    digest: textField(fields, 'digest'),
    token_key: textField(fields, 'token_key'),
    user_id: userId,
    created: columnValue(trx, 'created_at', created ?? null) ?? trx.time('1970-01-01T00:00:00.000000Z'),
    expiry: columnValue(trx, 'expires_at', fields['expires_at']),
  });
  const columns = ['name', 'description', 'version', 'annotations', 'tags', 'is_active', 'user_profile_id'];
  const times = ['created_at', 'updated_at', 'last_used_at'];
  await insert(trx, 'drf_smarterauthtoken', {
    authtoken_ptr_id: textField(fields, 'digest'),
    key_id: trx.keyId(key),
    ...Object.fromEntries(
      [...columns, ...times].map((name) => [name, columnValue(trx, name, fitting[name])] as const),
    ),
  });
}

interface Change {
  readonly token: TokenHere;
  readonly row: SourceRow;
  readonly changes: Fields;
  readonly user: Owner;
  readonly references: readonly Reference[];
}

async function change(
  trx: PlatformTransaction,
  { token, row, changes, user, references }: Change,
): Promise<void> {
  const old = textField(row.fields, 'digest');
  const { digest, expires_at: _expiry, ...others } = changes;
  const isRekeyed = typeof digest === 'string';
  if (isRekeyed) await rekey(trx, token, old, references);
  const knox: Record<string, PlatformValue> = {};
  if ('expires_at' in changes) knox['expiry'] = columnValue(trx, 'expires_at', changes['expires_at']);
  if ('user_profile_id' in changes) knox['user_id'] = user.userId;
  const now = isRekeyed ? digest : old;
  await update(trx, 'knox_authtoken', knox, { column: 'digest', value: now });
  if (Object.keys(changes).length === 0) return;
  const updatedAt = isUse(changes) ? {} : { updated_at: token.fields['updated_at'] ?? null };
  const smarter = Object.entries({ ...others, ...updatedAt });
  await update(
    trx,
    'drf_smarterauthtoken',
    Object.fromEntries(smarter.map(([name, value]) => [name, columnValue(trx, name, value)])),
    { column: 'authtoken_ptr_id', value: now },
  );
}

/**
 * rekey gives a key another digest, which both rows are known by. Other rows may point at the Smarter row, and MySQL
 * checks that at once: so a copy is made, and the old rows go when nothing points at them any more.
 */
async function rekey(
  trx: PlatformTransaction,
  { key, fields }: TokenHere,
  old: string,
  references: readonly Reference[],
): Promise<void> {
  const digest = textField(fields, 'digest');
  await trx.query(
    `INSERT INTO knox_authtoken (digest, token_key, user_id, created, expiry)
     SELECT ?, ?, user_id, created, expiry FROM knox_authtoken WHERE digest = ?`,
    [digest, textField(fields, 'token_key'), old],
  );
  const columns =
    'created_at, updated_at, name, description, version, annotations, last_used_at, is_active, user_profile_id, tags';
  const copy = `INSERT INTO drf_smarterauthtoken (authtoken_ptr_id, key_id, ${columns})
    SELECT ?, ?, ${columns} FROM drf_smarterauthtoken WHERE authtoken_ptr_id = ?`;
  await trx.query(copy, [digest, trx.keyId(randomUUID()), old]);
  for (const { table, column } of references) {
    await update(trx, table, { [column]: digest }, { column, value: old });
  }
  await trx.query('DELETE FROM drf_smarterauthtoken WHERE authtoken_ptr_id = ?', [old]);
  await trx.query('DELETE FROM knox_authtoken WHERE digest = ?', [old]);
  const where = { column: 'authtoken_ptr_id', value: digest };
  await update(trx, 'drf_smarterauthtoken', { key_id: trx.keyId(key) }, where);
}

/**
 * deleteTokens deletes the platform's rows of keys that were revoked in Keyward. A key that other rows of the platform
 * point at is switched off instead. Gives the keys that are gone.
 */
export async function deleteTokens(
  trx: PlatformTransaction,
  keys: readonly string[],
  references: readonly Reference[],
  tally: BatchTally,
): Promise<string[]> {
  const there = await findTokens(trx, keys);
  const digests = [...there.values()].map(({ fields }) => textField(fields, 'digest'));
  const held = await referenced(trx, references, digests);
  const gone: string[] = [];
  for (const key of keys) {
    const row = there.get(key);
    if (row === undefined) {
      gone.push(key);
      continue;
    }
    const digest = textField(row.fields, 'digest');
    if (held.has(digest)) {
      tally.note(key, 'held', 'revoked here, and something on the platform refers to it: switched off there');
      const where = { column: 'authtoken_ptr_id', value: digest };
      if (row.fields['is_active'] !== false)
        await update(trx, 'drf_smarterauthtoken', { is_active: false }, where);
      tally.outcomes.push(row.fields['is_active'] === false ? 'unchanged' : 'updated');
    } else {
      await trx.query('DELETE FROM drf_smarterauthtoken WHERE authtoken_ptr_id = ?', [digest]);
      await trx.query('DELETE FROM knox_authtoken WHERE digest = ?', [digest]);
      tally.outcomes.push('deleted');
      gone.push(key);
    }
  }
  return gone;
}
