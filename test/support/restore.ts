/** BACK_UP copies all tables, as they are at one moment, into a schema of their own, as a dump does. Statements of one transaction. */
export const BACK_UP = `
  BEGIN ISOLATION LEVEL REPEATABLE READ;
  DROP SCHEMA IF EXISTS backup CASCADE;
  CREATE SCHEMA backup;
  DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'pending%' LOOP
      EXECUTE format('CREATE TABLE backup.%1$I AS TABLE public.%1$I', name);
    END LOOP;
  END $$;
  COMMIT`;

/**
 * RESTORE puts the copy into the live database, sequences aside, as \`pg_restore --clean\` does: no trigger runs, and
 * there is a new table in the place of the feed.
 */
export const RESTORE = `
  BEGIN;
  SET LOCAL session_replication_role = replica;
  ALTER TABLE change_feed RENAME TO former_feed;
  CREATE TABLE change_feed (LIKE former_feed INCLUDING ALL);
  DROP TABLE former_feed;
  CREATE TRIGGER change_feed_cut AFTER DELETE ON change_feed
    REFERENCING OLD TABLE AS cut FOR EACH STATEMENT EXECUTE FUNCTION keyward_feed_cut();
  DO $$ DECLARE name text; columns text; BEGIN
    EXECUTE (SELECT 'TRUNCATE ' || string_agg(format('public.%I', tablename), ', ') || ' CASCADE'
      FROM pg_tables WHERE schemaname = 'backup');
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'backup' LOOP
      SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
      WHERE attrelid = format('public.%I', name)::regclass AND attnum > 0
        AND NOT attisdropped AND attgenerated = '';
      EXECUTE format('INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM backup.%1$I',
        name, columns);
    END LOOP;
  END $$;
  COMMIT`;
