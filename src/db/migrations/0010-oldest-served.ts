import type { Knex } from 'knex';

/**
 * A schema tells the oldest version of the program that it serves, by the last migration which that version has: then
 * one that comes back to a newer schema, as after a rollback, knows whether it may. Whoever adds a migration that an older
 * version cannot work with updates this row in it.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE keyward_schema (
      is_only boolean PRIMARY KEY DEFAULT true,
      oldest_served text NOT NULL,
      CONSTRAINT keyward_schema_is_only_check CHECK (is_only)
    );
    INSERT INTO keyward_schema (oldest_served) VALUES ('0010-oldest-served')
  `);
}
