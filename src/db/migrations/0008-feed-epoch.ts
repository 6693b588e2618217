import type { Knex } from 'knex';

/**
 * The change feed has an epoch: one history of revisions, in which none was ever taken back. It is another as soon as
 * the feed cannot be the same: another table or another content of it (restored, truncated, its end deleted), another
 * database, another cluster, another timeline of it (a standby was promoted, a backup recovered).
 *
 * What these are is compared with what was stored when the epoch began, whenever the epoch is asked for: a copy holds
 * the epoch of its original, and is not at the same place. Replicas of the version before go on: they take the notices
 * for changes of everything, and register without an epoch.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT quote_ident(current_schema()) AS name',
  );
  const schema = rows[0]?.name;
  if (schema === undefined) throw new Error('SELECT without FROM gives one row');
  await knex.raw(TABLES);
  await knex.raw(historyFunction(schema));
  await knex.raw(epochFunction(schema));
  await knex.raw(headFunction(schema));
  await knex.raw(endEpochFunction(schema));
  await knex.raw(cutTrigger(schema));
  await knex.raw(publishFunction(schema));
}

const TABLES = `
  CREATE TABLE feed_epoch (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    epoch uuid NOT NULL,
    -- What tells the place of the feed from all others.
    history text NOT NULL,
    -- Null for the first of a database: nobody remembers anything of what was before it.
    began_at timestamptz
  );

  ALTER TABLE replicas
    -- The epoch in which the replica renewed; null of earlier versions.
    ADD COLUMN epoch uuid,
    -- How often it has renewed: if that has become less, the database is an older one.
    ADD COLUMN renewals bigint NOT NULL DEFAULT 0;
`;

/** The same for all who call, whatever their rights: the functions run with those of the schema's owner. */
const DEFINER = 'SECURITY DEFINER SET search_path = pg_catalog, pg_temp';
const PLPGSQL = 'LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp';
/** As in the migration that made the feed: revisions are published, and epochs begin, one after the other. */
const PUBLISH_LOCK = 7_033_291_505;
/** Changes in one row of the feed. */
const MAX_CHANGES = 10_000;

/** historyFunction makes the function that tells where the feed is. What a managed service does not tell is left out. */
function historyFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_history() RETURNS text ${PLPGSQL} AS $$
    DECLARE
      feed oid := to_regclass('${schema}.change_feed');
      cluster text := '-';
      timeline text := '-';
    BEGIN
      BEGIN
        cluster := (SELECT system_identifier FROM pg_control_system());
      EXCEPTION WHEN insufficient_privilege OR feature_not_supported THEN
      END;
      BEGIN
        timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
      EXCEPTION WHEN insufficient_privilege OR feature_not_supported THEN
      END;
      RETURN concat_ws('/', cluster, timeline,
        (SELECT oid FROM pg_database WHERE datname = current_database()), feed, pg_relation_filenode(feed));
    END $$;
    REVOKE ALL ON FUNCTION keyward_history() FROM PUBLIC`;
}

/**
 * epochFunction makes the function that tells the epoch, and how long ago it began, and lets another begin where the
 * history cannot be the same. \`server\` tells this run of the server from all others.
 */
function epochFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_epoch(OUT epoch uuid, OUT age_ms float8, OUT server text)
    LANGUAGE plpgsql ${DEFINER} AS $$
    #variable_conflict use_column
    DECLARE
      present text := ${schema}.keyward_history();
      stored ${schema}.feed_epoch;
    BEGIN
      SELECT * INTO stored FROM ${schema}.feed_epoch;
      IF NOT FOUND OR stored.history <> present OR stored.began_at > clock_timestamp() THEN
        PERFORM pg_advisory_xact_lock(${PUBLISH_LOCK});
        INSERT INTO ${schema}.feed_epoch AS known (epoch, history, began_at)
        SELECT gen_random_uuid(), present, CASE
          WHEN EXISTS (SELECT FROM ${schema}.change_feed) OR EXISTS (SELECT FROM ${schema}.replicas)
          THEN clock_timestamp() END
        ON CONFLICT (is_only) DO UPDATE SET
          epoch = CASE WHEN known.history <> excluded.history THEN excluded.epoch ELSE known.epoch END,
          history = excluded.history,
          -- Where the clock was set back, it counts from now on.
          began_at = CASE WHEN known.history <> excluded.history OR known.began_at > clock_timestamp()
            THEN clock_timestamp() ELSE known.began_at END
        RETURNING * INTO stored;
      END IF;
      epoch := stored.epoch;
      age_ms := extract(epoch FROM clock_timestamp() - stored.began_at) * 1000;
      server := extract(epoch FROM pg_postmaster_start_time())::text;
    END $$`;
}

/**
 * headFunction makes the function that tells the latest revision, and the epoch that it belongs to. That is read
 * first: a revision of an epoch that begins in between is taken for one of the epoch before, never the other way round.
 */
function headFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_head(OUT epoch uuid, OUT revision bigint, OUT server text) ${PLPGSQL} AS $$
    #variable_conflict use_column
    BEGIN
      -- From here on nobody can put another table in the place of this one.
      PERFORM FROM ${schema}.change_feed LIMIT 1;
      SELECT e.epoch, e.server INTO epoch, server FROM ${schema}.keyward_epoch() e;
      SELECT coalesce(max(revision), 0) INTO revision FROM ${schema}.change_feed;
    END $$`;
}

/** endEpochFunction makes the function by which whoever knows more than the database lets another epoch begin. */
function endEpochFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_end_epoch(former uuid) RETURNS void ${PLPGSQL} AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock(${PUBLISH_LOCK});
      UPDATE ${schema}.feed_epoch SET epoch = gen_random_uuid(), began_at = clock_timestamp()
      WHERE epoch = former;
    END $$`;
}

/** cutTrigger lets another epoch begin where the end of the feed is deleted: its revisions will be given again. */
function cutTrigger(schema: string): string {
  return `
    CREATE FUNCTION keyward_feed_cut() RETURNS trigger LANGUAGE plpgsql ${DEFINER} AS $$
    BEGIN
      IF EXISTS (SELECT FROM cut WHERE revision > (SELECT coalesce(max(revision), 0) FROM ${schema}.change_feed))
      THEN
        PERFORM ${schema}.keyward_end_epoch(epoch) FROM ${schema}.feed_epoch;
      END IF;
      RETURN NULL;
    END $$;
    REVOKE ALL ON FUNCTION keyward_feed_cut() FROM PUBLIC;
    CREATE TRIGGER change_feed_cut AFTER DELETE ON change_feed
      REFERENCING OLD TABLE AS cut FOR EACH STATEMENT EXECUTE FUNCTION keyward_feed_cut()`;
}

/**
 * publishFunction makes anew the trigger function that runs at commit: the notice tells the epoch. The table is locked
 * before the epoch is read, so that nobody truncates it between that and the revision. A revision that others hear of
 * must outlive a crash, also where the database is set not to wait for that.
 */
function publishFunction(schema: string): string {
  return `
    CREATE OR REPLACE FUNCTION keyward_publish() RETURNS trigger LANGUAGE plpgsql ${DEFINER}
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
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
      PERFORM pg_advisory_xact_lock(${PUBLISH_LOCK});
      LOCK TABLE ${schema}.change_feed IN ROW EXCLUSIVE MODE;
      SELECT epoch INTO present FROM ${schema}.keyward_epoch();
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
      PERFORM pg_notify('keyward_changes',
        (told || jsonb_build_object('revision', head::text, 'epoch', present))::text);
      RETURN NULL;
    END $$`;
}
