import type { Knex } from 'knex';

/**
 * The change feed: whoever changes what verdicts depend on, by whatever program, gives the transaction a revision, a
 * row in `change_feed` and one notification on the channel `keyward_changes`, all at its commit.
 *
 * Triggers note changes in `pending_changes` while the transaction runs; no other transaction ever sees these rows. A
 * deferred trigger on `pending_revisions`, which has one row for each such transaction, publishes them at commit.
 * It takes a lock that is kept until the commit is visible, so revisions are without gaps, and whoever sees one sees
 * all before it.
 *
 * Not noticed: changes made with session_replication_role = replica, by rewriting or dropping a table, or with
 * triggers disabled. PostgreSQL refuses PREPARE TRANSACTION for a transaction that changed something.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT quote_ident(current_schema()) AS name',
  );
  const schema = rows[0]?.name;
  if (schema === undefined) throw new Error('SELECT without FROM gives one row');
  await knex.raw(TABLES);
  await knex.raw(noticeFunction(schema));
  await knex.raw(publishFunction(schema));
  for (const watched of WATCHED) {
    await knex.raw(noteFunction(schema, watched));
    await knex.raw(noteTriggers(schema, watched.table));
  }
}

const TABLES = `
  -- One row a transaction. One that changes very much has several, all visible at once.
  CREATE TABLE change_feed (
    revision bigint NOT NULL PRIMARY KEY,
    committed_at timestamptz NOT NULL,
    changes jsonb NOT NULL,
    notice jsonb NOT NULL
  );

  -- Which revision a transaction got that asked to be told.
  CREATE TABLE change_barriers (
    id uuid PRIMARY KEY,
    revision bigint NOT NULL,
    committed_at timestamptz NOT NULL
  );

  -- Which processes may answer from memory, and until when. Half of each page is free, for a row is updated every second.
  CREATE TABLE replicas (
    id uuid PRIMARY KEY,
    lease_expires_at timestamptz NOT NULL,
    max_stale interval NOT NULL,
    -- The revision up to which it has applied every change.
    applied bigint NOT NULL
  ) WITH (fillfactor = 50);

  CREATE UNLOGGED TABLE pending_revisions (
    txid xid8 NOT NULL DEFAULT pg_current_xact_id() PRIMARY KEY,
    barriers jsonb NOT NULL DEFAULT '[]'
  );

  CREATE UNLOGGED TABLE pending_changes (
    id bigint GENERATED ALWAYS AS IDENTITY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,
    op text NOT NULL CHECK (op IN ('created', 'updated', 'deleted', 'truncated')),
    row_id bigint,
    digest bytea,
    grantee bigint,
    attributes jsonb
  );
  CREATE INDEX pending_changes_txid_idx ON pending_changes (txid);
`;

/** WatchedTable is a table whose changes are published. SQL in it may refer to the changed row as r. */
interface WatchedTable {
  readonly table: string;
  /** What watchers are told has changed. */
  readonly kind: 'account' | 'user' | 'user_profile' | 'token' | 'secret';
  /** Columns of the primary key. */
  readonly key: string;
  /** Columns of which one differs if an update is to be published. */
  readonly version: string;
  /** The id of what has changed. */
  readonly id: string;
  /** True if a row is a part of what has changed: where rows come and go, that is updated. */
  readonly isPart: boolean;
  /** The digest to forget, if the row holds one. */
  readonly digest: string;
  /** The user profile that what has changed is, or was, granted to, if the row tells of one. */
  readonly grantee: string;
  /** What watchers are told besides the id, as jsonb; ids as text. Null where the row cannot tell. */
  readonly attributes: string;
  readonly joins: string;
}

/** Most tables hold the things themselves. The touch triggers do not move row_version for times of use. */
const WHOLE = {
  key: 'id',
  version: 'row_version',
  id: 'r.id',
  isPart: false,
  digest: 'NULL::bytea',
  grantee: 'NULL::bigint',
  attributes: `'{}'::jsonb`,
  joins: '',
} as const;

const OWNER = `'profile_id', p.id::text, 'user_id', p.user_id::text, 'account_id', p.account_id::text`;
const OWNER_OF_ROW = 'LEFT JOIN {schema}.user_profiles p ON p.id = r.user_profile_id';

/** A part of a secret. Where it went with the secret, that is gone already and tells of itself. */
const PART_OF_SECRET = {
  ...WHOLE,
  kind: 'secret',
  id: 'r.secret_id',
  isPart: true,
  attributes: `CASE WHEN s.id IS NOT NULL THEN jsonb_build_object(${OWNER}) END`,
  joins: `LEFT JOIN {schema}.secrets s ON s.id = r.secret_id
    LEFT JOIN {schema}.user_profiles p ON p.id = s.user_profile_id`,
} as const;

const WATCHED: readonly WatchedTable[] = [
  { ...WHOLE, table: 'accounts', kind: 'account' },
  { ...WHOLE, table: 'users', kind: 'user' },
  {
    ...WHOLE,
    table: 'user_profiles',
    kind: 'user_profile',
    attributes: `jsonb_build_object('user_id', r.user_id::text, 'account_id', r.account_id::text)`,
  },
  {
    ...WHOLE,
    table: 'tokens',
    kind: 'token',
    attributes: `jsonb_build_object('key_id', r.key_id, ${OWNER})`,
    joins: OWNER_OF_ROW,
  },
  {
    ...WHOLE,
    table: 'token_digests',
    kind: 'token',
    key: 'digest',
    version: 'token_id, token_key, retires_at',
    id: 'r.token_id',
    isPart: true,
    digest: 'r.digest',
    attributes: `CASE WHEN t.id IS NOT NULL THEN jsonb_build_object('key_id', t.key_id, ${OWNER}) END`,
    joins: `LEFT JOIN {schema}.tokens t ON t.id = r.token_id
      LEFT JOIN {schema}.user_profiles p ON p.id = t.user_profile_id`,
  },
  {
    ...WHOLE,
    table: 'secrets',
    kind: 'secret',
    attributes: `jsonb_build_object(${OWNER})`,
    joins: OWNER_OF_ROW,
  },
  // To be encrypted anew is no change.
  { ...PART_OF_SECRET, table: 'secret_versions', key: 'secret_id, number', version: 'state' },
  {
    ...PART_OF_SECRET,
    table: 'secret_grants',
    key: 'secret_id, user_profile_id',
    version: 'expires_at',
    grantee: 'r.user_profile_id',
  },
];

/**
 * Functions run with the rights of the schema's owner, so that writers need none on the feed, and find nothing but
 * built-in functions by an unqualified name.
 */
const DEFINER = 'SECURITY DEFINER SET search_path = pg_catalog, pg_temp';

/**
 * Plans are kept for as long as a connection lives, and may be made when tables are empty and statements small. These
 * settings leave one plan: each row on the left of a LEFT JOIN looks up those on the right by an index. Another
 * join, or another plan, might compare each row of a large statement with each.
 */
const LOOK_UP_BY_INDEX = 'SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off';

/** noteFunction makes the trigger function that notes the changes of one statement. */
function noteFunction(schema: string, watched: WatchedTable): string {
  const { table, kind, key, version, id, isPart, digest, grantee, attributes } = watched;
  const joins = watched.joins.replaceAll('{schema}', schema);
  const note = (op: string, source: string): string => `
    INSERT INTO ${schema}.pending_changes (kind, op, row_id, digest, grantee, attributes)
    SELECT '${kind}', '${isPart ? 'updated' : op}', ${id}, ${digest}, ${grantee}, ${attributes}
    FROM ${source} ${joins}`;
  return `
    CREATE FUNCTION keyward_note_${table}() RETURNS trigger LANGUAGE plpgsql ${DEFINER} ${LOOK_UP_BY_INDEX} AS $$
    BEGIN
      IF TG_OP = 'INSERT' THEN ${note('created', 'new_rows r')};
      ELSIF TG_OP = 'DELETE' THEN ${note('deleted', 'old_rows r')};
      ELSIF TG_OP = 'UPDATE' THEN ${note(
        'updated',
        `(SELECT ${key}, ${version} FROM new_rows EXCEPT SELECT ${key}, ${version} FROM old_rows) changed
         LEFT JOIN ${schema}.${table} r USING (${key})`,
      )}
        UNION ALL
        SELECT '${kind}', '${isPart ? 'updated' : 'deleted'}', gone.*, NULL FROM (
          SELECT ${id}, ${digest}, ${grantee} FROM old_rows r
          EXCEPT SELECT ${id}, ${digest}, ${grantee} FROM new_rows r) gone;
      ELSE
        INSERT INTO ${schema}.pending_changes (kind, op) VALUES ('${kind}', 'truncated');
      END IF;
      IF FOUND THEN
        INSERT INTO ${schema}.pending_revisions DEFAULT VALUES ON CONFLICT DO NOTHING;
      END IF;
      RETURN NULL;
    END $$;
    REVOKE ALL ON FUNCTION keyward_note_${table}() FROM PUBLIC`;
}

function noteTriggers(schema: string, table: string): string {
  const each = `FOR EACH STATEMENT EXECUTE FUNCTION keyward_note_${table}()`;
  const on = `ON ${schema}.${table}`;
  return `
    CREATE TRIGGER ${table}_note_insert AFTER INSERT ${on} REFERENCING NEW TABLE AS new_rows ${each};
    CREATE TRIGGER ${table}_note_update AFTER UPDATE ${on} REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows ${each};
    CREATE TRIGGER ${table}_note_delete AFTER DELETE ${on} REFERENCING OLD TABLE AS old_rows ${each};
    CREATE TRIGGER ${table}_note_truncate AFTER TRUNCATE ${on} ${each}`;
}

/** Bytes of a notification; PostgreSQL takes less than 8000. */
const MAX_NOTICE = 7000;
/** Rows that may fit in a notice; for more it is not even tried. */
const MAX_NOTED = 200;

/**
 * noticeFunction makes the function that tells what replicas must forget; it runs as a part of keyward_publish. Digests
 * of a token are looked up at commit, under the lock: one that another transaction added is either seen here, or
 * published after this. Secrets are remembered nowhere.
 */
function noticeFunction(schema: string): string {
  const ids = (kind: string): string =>
    `coalesce(jsonb_agg(DISTINCT row_id::text) FILTER (WHERE kind = '${kind}'), '[]')`;
  return `
    CREATE FUNCTION keyward_notice(transaction xid8, barriers jsonb) RETURNS jsonb
    LANGUAGE plpgsql AS $$
    DECLARE
      everything jsonb := jsonb_build_object('all', true, 'digests', '[]'::jsonb, 'users', '[]'::jsonb,
        'accounts', '[]'::jsonb, 'profiles', '[]'::jsonb, 'barriers', barriers);
      notice jsonb;
    BEGIN
      PERFORM FROM ${schema}.pending_changes
      WHERE txid = transaction AND kind <> 'secret' OFFSET ${MAX_NOTED} LIMIT 1;
      IF FOUND THEN RETURN everything; END IF;
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
    END $$;
    REVOKE ALL ON FUNCTION keyward_notice(xid8, jsonb) FROM PUBLIC`;
}

/** Any fixed number; it only has to differ from other users of advisory locks in the same database. */
const PUBLISH_LOCK = 7_033_291_505;
/** Changes in one row of the feed. */
const MAX_CHANGES = 10_000;

/**
 * publishFunction makes the trigger function that runs at commit. In a transaction that reads from a snapshot of its
 * beginning (REPEATABLE READ), a revision published since then makes it a serialization failure.
 */
function publishFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_publish() RETURNS trigger LANGUAGE plpgsql ${DEFINER} ${LOOK_UP_BY_INDEX} AS $$
    DECLARE
      asked jsonb;
      told jsonb;
      head bigint;
    BEGIN
      DELETE FROM ${schema}.pending_revisions WHERE txid = NEW.txid RETURNING barriers INTO asked;
      PERFORM pg_advisory_xact_lock(${PUBLISH_LOCK});
      SELECT coalesce(max(revision), 0) INTO head FROM ${schema}.change_feed;
      told := ${schema}.keyward_notice(NEW.txid, asked);

      WITH merged AS (
        SELECT kind, row_id, min(id) AS place,
          coalesce((array_agg(op ORDER BY id DESC) FILTER (WHERE op <> 'updated'))[1], 'updated') AS op,
          (array_agg(attributes ORDER BY id DESC) FILTER (WHERE attributes IS NOT NULL))[1] AS attributes,
          jsonb_agg(DISTINCT grantee::text) FILTER (WHERE grantee IS NOT NULL) AS grantees
        FROM ${schema}.pending_changes WHERE txid = NEW.txid GROUP BY kind, row_id
      ), numbered AS (
        SELECT place, (row_number() OVER (ORDER BY place) - 1) / ${MAX_CHANGES} AS part,
          jsonb_build_object('kind', kind, 'op', op, 'id', row_id::text) || coalesce(attributes, '{}')
            || CASE WHEN grantees IS NULL THEN '{}' ELSE jsonb_build_object('grantees', grantees) END AS change
        FROM merged
      ), published AS (
        INSERT INTO ${schema}.change_feed (revision, committed_at, changes, notice)
        SELECT head + 1 + coalesce(part, 0), clock_timestamp(),
          coalesce(jsonb_agg(change ORDER BY place) FILTER (WHERE place IS NOT NULL), '[]'), told
        FROM (SELECT) AS one_at_least LEFT JOIN numbered ON true GROUP BY part
        ON CONFLICT DO NOTHING
        RETURNING revision
      )
      SELECT revision INTO STRICT head FROM published ORDER BY revision DESC LIMIT 1;

      INSERT INTO ${schema}.change_barriers (id, revision, committed_at)
      SELECT (barrier ->> 'id')::uuid, head, clock_timestamp() FROM jsonb_array_elements(asked) AS barrier;
      DELETE FROM ${schema}.pending_changes WHERE txid = NEW.txid;
      PERFORM pg_notify('keyward_changes', (told || jsonb_build_object('revision', head::text))::text);
      RETURN NULL;
    END $$;
    REVOKE ALL ON FUNCTION keyward_publish() FROM PUBLIC;

    CREATE CONSTRAINT TRIGGER pending_revisions_publish AFTER INSERT ON pending_revisions
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION keyward_publish()`;
}
