import type { Knex } from 'knex';

/**
 * The functions of the feed look rows up by their indexes, whatever the statistics of the tables say. Where these tell of
 * few rows in many pages, as after very many were deleted, PostgreSQL kept all rows of a table aside instead, and compared
 * each row of a statement with each of those: a statement that made 70,000 tokens then did not end within five minutes.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    DO $$
    DECLARE
      feed_function regprocedure;
    BEGIN
      FOR feed_function IN
        SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema() AND p.proname LIKE 'keyward%' AND 'enable_seqscan=off' = ANY (p.proconfig)
      LOOP
        EXECUTE format('ALTER FUNCTION %s SET enable_material = off', feed_function);
      END LOOP;
    END $$
  `);
}
