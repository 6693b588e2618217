import type { Knex } from 'knex';

/**
 * A statement that deletes or changes many tokens is noted as a whole, and what a transaction did is put together before it
 * waits for its revision, not while it keeps others from theirs. Replicas are told the profiles of such tokens: those
 * who call by other tokens notice nothing of it. Every version of the service understands what is published.
 *
 * A part is what the feed will hold in one row. The note of a statement is one, with the profiles that its tokens belong
 * to; where a transaction changed other things as well, all is merged into new parts, and the note is left without changes.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT quote_ident(current_schema()) AS name',
  );
  const schema = rows[0]?.name;
  if (schema === undefined) throw new Error('SELECT without FROM gives one row');
  await knex.raw(TABLE);
  await knex.raw(noteTokensFunction(schema));
  await knex.raw(noteDigestsFunction(schema));
  await knex.raw(noticeFunction(schema));
  await knex.raw(publishFunction(schema));
}

/** It is numbered together with pending_changes. */
const TABLE = `
  CREATE UNLOGGED TABLE pending_parts (
    id bigint NOT NULL DEFAULT nextval('pending_changes_id_seq'),
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    op text,
    changes jsonb,
    owners bigint[]
  );
  -- It is read once, a moment later.
  ALTER TABLE pending_parts ALTER changes SET STORAGE EXTERNAL;
  CREATE INDEX pending_parts_txid_idx ON pending_parts (txid)`;

/** As in the migrations that made the feed. */
const DEFINER = 'SECURITY DEFINER SET search_path = pg_catalog, pg_temp';
const LOOK_UP_BY_INDEX = 'SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off';
const PUBLISH_LOCK = 7_033_291_505;
const MAX_CHANGES = 10_000;
/** Bytes of a notification; PostgreSQL takes less than 8000. */
const MAX_NOTICE = 7000;
/** Rows that may fit in a notice one by one. */
const MAX_NOTED = 200;
/** Profiles that may fit in a notice. */
const MAX_PROFILES = 200;
/** Rows of a statement that are noted one by one, each with its digests in the notice. */
const FEW = 50;

const OWNER = `'profile_id', p.id::text, 'user_id', p.user_id::text, 'account_id', p.account_id::text`;
const NOTED = `INSERT INTO {schema}.pending_revisions DEFAULT VALUES ON CONFLICT DO NOTHING`;
const TRUNCATED = `INSERT INTO {schema}.pending_changes (kind, op) VALUES ('token', 'truncated')`;

function noteTokensFunction(schema: string): string {
  const owner = 'LEFT JOIN {schema}.user_profiles p ON p.id = r.user_profile_id';
  const note = (op: string, source: string): string => `
    INSERT INTO {schema}.pending_changes (kind, op, row_id, attributes)
    SELECT 'token', '${op}', r.id, jsonb_build_object('key_id', r.key_id, ${OWNER}) FROM ${source} ${owner}`;
  // An array of the database's own becomes one of JSON in half the time that jsonb_agg takes.
  const noteTogether = (op: string, source: string, rows: string): string => `
    INSERT INTO {schema}.pending_parts (op, changes, owners)
    SELECT '${op}', to_jsonb(array_agg(change)), (SELECT array_agg(DISTINCT user_profile_id) FROM ${rows})
    FROM (
      SELECT (row_number() OVER () - 1) / ${MAX_CHANGES} AS part,
        jsonb_build_object('kind', 'token', 'op', '${op}', 'id', r.id::text, 'key_id', r.key_id, ${OWNER}) AS change
      FROM ${source} ${owner}) changed
    GROUP BY part`;
  const changed = `(SELECT id, row_version FROM new_rows EXCEPT SELECT id, row_version FROM old_rows)`;
  const stored = `${changed} changed JOIN {schema}.tokens r USING (id)`;
  return `
    CREATE OR REPLACE FUNCTION keyward_note_tokens() RETURNS trigger LANGUAGE plpgsql ${DEFINER} ${LOOK_UP_BY_INDEX} AS $$
    DECLARE
      number bigint;
    BEGIN
      IF TG_OP = 'INSERT' THEN ${note('created', 'new_rows r')};
      ELSIF TG_OP = 'DELETE' THEN
        PERFORM FROM old_rows OFFSET ${FEW} LIMIT 1;
        IF FOUND THEN ${noteTogether('deleted', 'old_rows r', 'old_rows')};
        ELSE ${note('deleted', 'old_rows r')};
        END IF;
      ELSIF TG_OP = 'UPDATE' THEN
        SELECT count(*) INTO number FROM ${changed} changed;
        IF number = 0 THEN RETURN NULL; END IF;
        -- Tokens that had another profile are remembered as that one's.
        IF number > ${FEW} AND NOT EXISTS (
          SELECT id, user_profile_id FROM old_rows EXCEPT SELECT id, user_profile_id FROM new_rows)
        THEN ${noteTogether('updated', stored, 'new_rows')};
        ELSE ${note('updated', stored)}
          UNION ALL
          SELECT 'token', 'deleted', gone.id, NULL
          FROM (SELECT id FROM old_rows EXCEPT SELECT id FROM new_rows) gone;
        END IF;
      ELSE ${TRUNCATED};
      END IF;
      IF FOUND THEN ${NOTED}; END IF;
      RETURN NULL;
    END $$`.replaceAll('{schema}', schema);
}

/**
 * noteDigestsFunction leaves out many digests whose tokens are gone: these were deleted in the same transaction, whose
 * notice names their profiles then. An empty part asks for that.
 */
function noteDigestsFunction(schema: string): string {
  const note = (source: string, join = 'LEFT'): string => `
    INSERT INTO {schema}.pending_changes (kind, op, row_id, digest, attributes)
    SELECT 'token', 'updated', r.token_id, r.digest,
      CASE WHEN t.id IS NOT NULL THEN jsonb_build_object('key_id', t.key_id, ${OWNER}) END
    FROM ${source} ${join} JOIN {schema}.tokens t ON t.id = r.token_id
      LEFT JOIN {schema}.user_profiles p ON p.id = t.user_profile_id`;
  const version = 'digest, token_id, token_key, retires_at';
  return `
    CREATE OR REPLACE FUNCTION keyward_note_token_digests() RETURNS trigger LANGUAGE plpgsql ${DEFINER} ${LOOK_UP_BY_INDEX} AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN ${note('new_rows r')};
      ELSIF TG_OP = 'DELETE' THEN
        PERFORM FROM old_rows OFFSET ${FEW} LIMIT 1;
        IF FOUND THEN
          ${note('old_rows r', 'INNER')};
          PERFORM FROM old_rows LEFT JOIN {schema}.tokens t ON t.id = token_id WHERE t.id IS NULL LIMIT 1;
          IF FOUND THEN
            INSERT INTO {schema}.pending_parts (op, owners) VALUES ('deleted', '{}');
          END IF;
          ${NOTED};
          RETURN NULL;
        END IF;
        ${note('old_rows r')};
      ELSIF TG_OP = 'UPDATE' THEN ${note(
        `(SELECT ${version} FROM new_rows EXCEPT SELECT ${version} FROM old_rows) r`,
      )}
        UNION ALL
        SELECT 'token', 'updated', gone.token_id, gone.digest, NULL
        FROM (SELECT token_id, digest FROM old_rows EXCEPT SELECT token_id, digest FROM new_rows) gone;
      ELSE ${TRUNCATED};
      END IF;
      IF FOUND THEN ${NOTED}; END IF;
      RETURN NULL;
    END $$`.replaceAll('{schema}', schema);
}

/**
 * noticeFunction replaces the function of before. Of tokens that were noted together the profiles are told, and then also
 * those of tokens that were deleted one by one. A token that was changed in yet another way may have had another profile.
 */
function noticeFunction(schema: string): string {
  const noted = `FROM ${schema}.pending_changes WHERE txid = transaction`;
  const ids = (kind: string): string =>
    `coalesce(jsonb_agg(DISTINCT row_id::text) FILTER (WHERE kind = '${kind}'), '[]')`;
  return `
    CREATE OR REPLACE FUNCTION keyward_notice(transaction xid8, barriers jsonb) RETURNS jsonb
    LANGUAGE plpgsql AS $$
    DECLARE
      everything jsonb := jsonb_build_object('all', true, 'digests', '[]'::jsonb, 'users', '[]'::jsonb,
        'accounts', '[]'::jsonb, 'profiles', '[]'::jsonb, 'barriers', barriers);
      owners jsonb := '[]';
      notice jsonb;
    BEGIN
      PERFORM ${noted} AND kind <> 'secret' OFFSET ${MAX_NOTED} LIMIT 1;
      IF FOUND THEN RETURN everything; END IF;
      PERFORM FROM ${schema}.pending_parts part WHERE txid = transaction AND part.owners IS NOT NULL;
      IF FOUND THEN
        PERFORM ${noted} AND kind = 'token' AND digest IS NULL
          AND (op <> 'deleted' OR attributes ->> 'profile_id' IS NULL);
        IF FOUND THEN RETURN everything; END IF;
        SELECT jsonb_agg(DISTINCT owner) INTO owners FROM (
          SELECT unnest(part.owners)::text FROM ${schema}.pending_parts part WHERE txid = transaction
          UNION ALL
          SELECT attributes ->> 'profile_id' ${noted} AND kind = 'token' AND op = 'deleted') of_tokens (owner);
        IF owners IS NULL OR jsonb_array_length(owners) > ${MAX_PROFILES} THEN RETURN everything; END IF;
      END IF;
      WITH noted AS MATERIALIZED (SELECT * ${noted} AND kind <> 'secret'), digests AS (
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
        'profiles', ${ids('user_profile')} || owners,
        'barriers', barriers
      ) INTO notice FROM noted;
      IF (notice -> 'all')::boolean OR octet_length(notice::text) > ${MAX_NOTICE} THEN RETURN everything; END IF;
      RETURN notice;
    END $$`;
}

/**
 * publishFunction makes anew the trigger function that runs at commit. What takes longer where much was changed comes before
 * the lock. Nothing has to be merged where tokens were deleted, or changed once, and nothing else was done.
 */
function publishFunction(schema: string): string {
  const parts = `${schema}.pending_parts`;
  return `
    CREATE OR REPLACE FUNCTION keyward_publish() RETURNS trigger LANGUAGE plpgsql ${DEFINER} ${LOOK_UP_BY_INDEX} AS $$
    DECLARE
      asked jsonb;
      told jsonb;
      head bigint;
      present uuid;
    BEGIN
      IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
      END IF;
      DELETE FROM ${schema}.pending_revisions WHERE txid = NEW.txid RETURNING barriers INTO asked;

      IF EXISTS (SELECT FROM ${schema}.pending_changes WHERE txid = NEW.txid)
        OR (SELECT count(*) > 1 AND bool_or(op = 'updated') FROM ${parts} WHERE txid = NEW.txid)
      THEN
        WITH noted AS (
          SELECT id, kind, row_id, op, attributes, grantee FROM ${schema}.pending_changes WHERE txid = NEW.txid
          UNION ALL
          SELECT id, change ->> 'kind', (change ->> 'id')::bigint, change ->> 'op', change - '{kind,op,id}'::text[], NULL
          FROM ${parts}, jsonb_array_elements(changes) change WHERE txid = NEW.txid
        ), merged AS (
          SELECT kind, row_id, min(id) AS place,
            coalesce((array_agg(op ORDER BY id DESC) FILTER (WHERE op <> 'updated'))[1], 'updated') AS op,
            (array_agg(attributes ORDER BY id DESC) FILTER (WHERE attributes IS NOT NULL))[1] AS attributes,
            jsonb_agg(DISTINCT grantee::text) FILTER (WHERE grantee IS NOT NULL) AS grantees
          FROM noted GROUP BY kind, row_id
        ), numbered AS (
          SELECT row_number() OVER (ORDER BY place, row_id) AS place,
            jsonb_build_object('kind', kind, 'op', op, 'id', row_id::text) || coalesce(attributes, '{}')
              || CASE WHEN grantees IS NULL THEN '{}' ELSE jsonb_build_object('grantees', grantees) END AS change
          FROM merged
        ), emptied AS (
          UPDATE ${parts} SET changes = NULL WHERE txid = NEW.txid
        )
        INSERT INTO ${parts} (changes)
        SELECT to_jsonb(array_agg(change ORDER BY place)) FROM numbered
        GROUP BY (place - 1) / ${MAX_CHANGES} ORDER BY min(place);
      END IF;

      PERFORM pg_advisory_xact_lock(${PUBLISH_LOCK});
      LOCK TABLE ${schema}.change_feed IN ROW EXCLUSIVE MODE;
      SELECT epoch INTO present FROM ${schema}.keyward_epoch();
      SELECT coalesce(max(revision), 0) INTO head FROM ${schema}.change_feed;
      told := ${schema}.keyward_notice(NEW.txid, asked);
      WITH published AS (
        INSERT INTO ${schema}.change_feed (revision, committed_at, changes, notice)
        SELECT head + row_number() OVER (ORDER BY id), clock_timestamp(), coalesce(changes, '[]'), told
        FROM (SELECT) AS one_at_least LEFT JOIN ${parts} ON txid = NEW.txid AND changes IS NOT NULL
        ON CONFLICT DO NOTHING
        RETURNING revision
      )
      SELECT revision INTO STRICT head FROM published ORDER BY revision DESC LIMIT 1;

      INSERT INTO ${schema}.change_barriers (id, revision, committed_at)
      SELECT (barrier ->> 'id')::uuid, head, clock_timestamp() FROM jsonb_array_elements(asked) AS barrier;
      DELETE FROM ${schema}.pending_changes WHERE txid = NEW.txid;
      DELETE FROM ${parts} WHERE txid = NEW.txid;
      PERFORM pg_notify('keyward_changes',
        (told || jsonb_build_object('revision', head::text, 'epoch', present))::text);
      RETURN NULL;
    END $$`;
}
