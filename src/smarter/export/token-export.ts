import { randomUUID } from 'node:crypto';
import { agreedFields } from '../announcements.js';
import { textField, type Fields, type SourceRow } from '../source-rows.js';
import { tokenRow } from '../token-rows.js';
import type { BatchTally } from './export-report.js';
import type { PlatformTransaction, PlatformValue, Reference } from './platform.js';
import { attempt, attemptOrTell, columnValue, fittingFields, insert, update } from './platform-rows.js';
import { agreed, changedHere, isUse, merge, type Merge } from './three-way.js';
import type { TokenHere } from './tokens-here.js';

/** WrittenRow is what both sides hold of a row from now on. */
export interface WrittenRow {
  readonly key: string;
  readonly targetId: string;
  readonly fields: Fields;
  /** What the platform held in the fields that were written, apart from times of use. */
  readonly overwritten?: Fields;
}

/** isTouched tells whether there is something to write of a token. */
export function isTouched({ before, announced, fields }: TokenHere): boolean {
  return before === undefined || announced !== null || changedHere(before, fields).length > 0;
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
  const touched = tokens.filter(isTouched);
  tally.addUnchanged(tokens.length - touched.length);
  if (touched.length === 0) return [];
  const there = await findTokens(
    trx,
    touched.map(({ key }) => key),
  );
  const users = await findOwners(
    trx,
    touched.map(({ fields }) => textField(fields, 'user_profile_id')),
  );
  const written: Written[] = [];
  for (const token of touched) {
    const row = there.get(token.key);
    const user = users.get(textField(token.fields, 'user_profile_id'));
    if (user === undefined) {
      tally.leaveOut(token.key, 'without-owner', 'its owner is not on the platform: not written');
    } else if (row === undefined && token.before !== undefined) {
      tally.leaveOut(token.key, 'gone', 'gone from the platform since both had it: not written');
    } else if (row === undefined) {
      const isWritten = await attemptOrTell(trx, token.key, tally, () => create(trx, token, user, tally));
      if (!isWritten) continue;
      tally.outcomes.push('created');
      written.push({ token, before: {}, unseen: [], changes: {}, there: {} });
    } else {
      const before = agreedWith(token, row.fields);
      const merged = merge(before, fittingFields(token.fields, token.key, tally), row.fields);
      for (const field of merged.conflicts) {
        const whose =
          field in merged.changes ? "Keyward's is written" : "the platform's stays, which lets in less";
        tally.note(token.key, 'conflict', `${field} was changed on both sides: ${whose}`);
      }
      const isWritten = await attemptOrTell(trx, token.key, tally, () =>
        change(trx, { token, row, changes: merged.changes, user, references }),
      );
      if (!isWritten) continue;
      const isNothing = Object.keys(merged.changes).length === 0;
      tally.outcomes.push(isNothing ? 'unchanged' : isUse(merged.changes) ? 'used' : 'updated');
      written.push({ token, before, ...merged, there: row.fields });
    }
  }
  const now = await findTokens(
    trx,
    written.map(({ token }) => token.key),
  );
  return written.flatMap(({ token: { key, id }, before, unseen, changes, there: old }) => {
    const row = now.get(key);
    if (row === undefined) return [];
    const fields = agreed(before, row.fields, { unseen });
    return [{ key, targetId: id, fields, ...overwriting(changes, old) }];
  });
}

/** Written is a key that was brought up to date: what was told the platform of it, and what that held. */
interface Written extends Pick<Merge, 'changes' | 'unseen'> {
  readonly token: TokenHere;
  readonly before: Fields;
  readonly there: Fields;
}

/** overwriting is what the platform held of what it was told; nothing if that was a use alone. */
export function overwriting(changes: Fields, there: Fields): Pick<WrittenRow, 'overwritten'> {
  if (isUse(changes)) return {};
  const told = Object.keys(changes).filter((field) => !isUse({ [field]: null }));
  return { overwritten: Object.fromEntries(told.map((field) => [field, there[field] ?? null])) };
}

/** agreedWith is what both sides last agreed on of a row that the platform has. Where nobody says so, it is what is there. */
export function agreedWith(
  { before, announced }: Pick<TokenHere, 'before' | 'announced'>,
  there: Fields,
): Fields {
  return before === undefined && announced === null ? there : agreedFields(before ?? {}, announced, there);
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
  await deleteToken(trx, old);
  const where = { column: 'authtoken_ptr_id', value: digest };
  await update(trx, 'drf_smarterauthtoken', { key_id: trx.keyId(key) }, where);
}

/**
 * deleteTokens deletes the platform's rows of keys that were revoked in Keyward. A key that something else there holds
 * is switched off instead. Gives the keys that are gone.
 */
export async function deleteTokens(
  trx: PlatformTransaction,
  keys: readonly string[],
  tally: BatchTally,
): Promise<string[]> {
  const there = await findTokens(trx, keys);
  const gone: string[] = [];
  for (const key of keys) {
    const fields = there.get(key)?.fields;
    const digest = textField(fields ?? {}, 'digest');
    const isHeld = fields !== undefined && (await attempt(trx, () => deleteToken(trx, digest))) !== undefined;
    if (!isHeld) {
      gone.push(key);
      if (fields !== undefined) tally.outcomes.push('deleted');
      continue;
    }
    tally.note(key, 'held', 'revoked here, and something on the platform refers to it: switched off there');
    if (fields['is_active'] === false) {
      tally.addUnchanged(1);
    } else {
      const where = { column: 'authtoken_ptr_id', value: digest };
      await update(trx, 'drf_smarterauthtoken', { is_active: false }, where);
      tally.outcomes.push('updated');
    }
  }
  return gone;
}

async function deleteToken(trx: PlatformTransaction, digest: string): Promise<void> {
  await trx.query('DELETE FROM drf_smarterauthtoken WHERE authtoken_ptr_id = ?', [digest]);
  await trx.query('DELETE FROM knox_authtoken WHERE digest = ?', [digest]);
}
