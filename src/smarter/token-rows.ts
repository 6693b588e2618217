import { annotationsOf, storableText, tagsOfJson, uuidOf } from './normalise.js';
import { keyIdsIn, RowReader, type SourceRow } from './source-rows.js';
import type { Source, TextRow } from './source.js';
import type { ReadOptions } from './tagged-rows.js';

const DIGEST = /^[0-9a-f]{128}$/;

/**
 * readTokens reads the Smarter rows of all API keys with their knox rows: oldest first, but those whose owner has
 * an older key of that name last, so that no made-up name takes one that another row brings along.
 */
export async function* readTokens({ source, batchSize, only }: ReadOptions): AsyncGenerator<SourceRow[]> {
  const sql = `
    SELECT * FROM (
      SELECT smarter.authtoken_ptr_id, smarter.key_id, smarter.name, smarter.description, smarter.version,
        smarter.tags, smarter.annotations, smarter.is_active, smarter.created_at, smarter.updated_at,
        smarter.last_used_at, smarter.user_profile_id, knox.digest, knox.token_key, knox.created, knox.expiry,
        knox.user_id AS knox_user_id, profile.user_id AS profile_user_id,
        ROW_NUMBER() OVER (
          PARTITION BY smarter.user_profile_id, ${source.exactly('smarter.name')}
          ORDER BY knox.created, smarter.authtoken_ptr_id
        ) AS name_rank
      FROM drf_smarterauthtoken smarter
      LEFT JOIN knox_authtoken knox ON knox.digest = smarter.authtoken_ptr_id
      LEFT JOIN account_userprofile profile ON profile.id = smarter.user_profile_id
      WHERE ${keyIdsIn(source, 'smarter.key_id', only)}
    ) token
    ORDER BY LEAST(name_rank, 2), created, authtoken_ptr_id`;
  for await (const batch of source.rows(sql, batchSize)) yield batch.map(tokenRow);
}

/** tokenRow reads one API key: the columns of its Smarter row and of its knox row. */
export function tokenRow(row: TextRow): SourceRow {
  const reader = new RowReader('drf_smarterauthtoken', row);
  const writtenKeyId = reader.raw('key_id') ?? '';
  const keyId = uuidOf(writtenKeyId);
  if (keyId === undefined) reader.leaveOut('its key id is not a UUID');
  const digest = reader.raw('digest');
  // Databases may compare without regard to case; digests are compared exactly.
  if (digest === null || digest !== reader.raw('authtoken_ptr_id')) reader.leaveOut('it has no knox row');
  else if (!DIGEST.test(digest)) reader.leaveOut('its digest is not 128 lower-case hex digits');

  const key = keyId ?? storableText('key_id', writtenKeyId, () => undefined);
  return reader.row(key, key, {
    digest,
    token_key: reader.text('token_key'),
    user_profile_id: reader.raw('user_profile_id'),
    name: reader.name(`token-${key.slice(0, 8)}`),
    description: reader.text('description'),
    version: reader.text('version'),
    tags: tagsOfJson(reader.raw('tags'), reader.finding),
    annotations: annotationsOf(reader.raw('annotations'), reader.finding),
    is_active: isActive(reader),
    expires_at: reader.time('expiry'),
    last_used_at: reader.time('last_used_at'),
    created_at: reader.time('created_at') ?? reader.time('created'),
    updated_at: reader.time('updated_at'),
  });
}

/**
 * isActive switches a token off whose two owners differ. Smarter lets such a key in as the user of the knox row,
 * Keyward as the user of the profile, who may have other rights: somebody must look at it before it works again.
 */
function isActive(reader: RowReader): boolean {
  const knoxUser = reader.raw('knox_user_id');
  const profileUser = reader.raw('profile_user_id');
  if (profileUser === null) reader.leaveOut('its user profile does not exist');
  if (knoxUser === null || profileUser === null || knoxUser === profileUser) return reader.flag('is_active');
  reader.note(
    'owners-differ',
    `knox gives it to user ${knoxUser}, Smarter to a profile of user ${profileUser}: ` +
      'it belongs to the profile and is switched off until somebody activates it',
  );
  return false;
}

/** readKnoxOnly names the knox rows that are no Smarter API keys, by their user and date. */
export async function* readKnoxOnly(source: Source, batchSize: number): AsyncGenerator<string[]> {
  const sql = `
    SELECT knox.user_id, knox.created
    FROM knox_authtoken knox
    LEFT JOIN drf_smarterauthtoken smarter ON smarter.authtoken_ptr_id = knox.digest
    WHERE smarter.authtoken_ptr_id IS NULL
    ORDER BY knox.created`;
  for await (const batch of source.rows(sql, batchSize)) {
    yield batch.map((row) => {
      const reader = new RowReader('knox_authtoken', row);
      return `knox token of user ${reader.raw('user_id')}, created ${reader.time('created')}`;
    });
  }
}
