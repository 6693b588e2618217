import type { Knex } from 'knex';

/**
 * A transaction that deletes many tokens, and changes nothing else, tells replicas the profiles whose tokens they must
 * forget, where it told them to forget everything: those who call by other tokens notice nothing of it. Every version
 * of the service understands that.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT quote_ident(current_schema()) AS name',
  );
  const schema = rows[0]?.name;
  if (schema === undefined) throw new Error('SELECT without FROM gives one row');
  await knex.raw(noticeFunction(schema));
}

/** Bytes of a notification; PostgreSQL takes less than 8000. */
const MAX_NOTICE = 7000;
/** Rows that may fit in a notice one by one. */
const MAX_NOTED = 200;
/** Profiles that may fit in a notice. */
const MAX_PROFILES = 200;

/**
 * noticeFunction replaces the function of before. Whether many changes are deletions of tokens is told from what was noted:
 * a token that is gone, with its profile, or a digest of one, which is stored no more. A digest that is there may be
 * new, and be remembered as unknown; a token that was updated may have had another profile: both forget everything.
 */
function noticeFunction(schema: string): string {
  const ids = (kind: string): string =>
    `coalesce(jsonb_agg(DISTINCT row_id::text) FILTER (WHERE kind = '${kind}'), '[]')`;
  return `
    CREATE OR REPLACE FUNCTION keyward_notice(transaction xid8, barriers jsonb) RETURNS jsonb
    LANGUAGE plpgsql AS $$
    DECLARE
      nothing jsonb := jsonb_build_object('all', false, 'digests', '[]'::jsonb, 'users', '[]'::jsonb,
        'accounts', '[]'::jsonb, 'profiles', '[]'::jsonb, 'barriers', barriers);
      everything jsonb := nothing || '{"all": true}';
      owners jsonb;
      notice jsonb;
    BEGIN
      PERFORM FROM ${schema}.pending_changes
      WHERE txid = transaction AND kind <> 'secret' OFFSET ${MAX_NOTED} LIMIT 1;
      IF FOUND THEN
        PERFORM FROM ${schema}.pending_changes noted
        WHERE txid = transaction AND kind <> 'secret' AND NOT CASE
          WHEN kind <> 'token' THEN false
          WHEN digest IS NULL THEN op = 'deleted' AND coalesce(attributes ->> 'profile_id', '') <> ''
          ELSE NOT EXISTS (SELECT FROM ${schema}.token_digests d WHERE d.digest = noted.digest)
            AND NOT EXISTS (SELECT FROM ${schema}.tokens t WHERE t.id = noted.row_id) END
        LIMIT 1;
        IF FOUND THEN RETURN everything; END IF;
        SELECT jsonb_agg(DISTINCT attributes ->> 'profile_id') INTO owners FROM ${schema}.pending_changes
        WHERE txid = transaction AND kind = 'token' AND digest IS NULL;
        IF owners IS NULL OR jsonb_array_length(owners) > ${MAX_PROFILES} THEN RETURN everything; END IF;
        RETURN nothing || jsonb_build_object('profiles', owners);
      END IF;
      WITH noted AS MATERIALIZED (
        SELECT * FROM ${schema}.pending_changes WHERE txid = transaction AND kind <> 'secret'
      ), digests AS (
        SELECT digest FROM noted
        UNION
        SELECT d.digest FROM noted LEFT JOIN ${schema}.token_digests d
          ON d.token_id = noted.row_id AND noted.kind = 'token'
      )
      SELECT jsonb_build_object(
        'all', coalesce(bool_or(op = 'truncated'), false),
        'digests', (SELECT coalesce(jsonb_agg(encode(digest, 'hex')) FILTER (WHERE digest IS NOT NULL), '[]')
          FROM digests),
        'users', ${ids('user')},
        'accounts', ${ids('account')},
        'profiles', ${ids('user_profile')},
        'barriers', barriers
      ) INTO notice FROM noted;
      IF (notice -> 'all')::boolean OR octet_length(notice::text) > ${MAX_NOTICE} THEN RETURN everything; END IF;
      RETURN notice;
    END $$`;
}
