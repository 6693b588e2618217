import type { Knex } from 'knex';

/** Prefixes are whatever the platform that Keyward takes over from allows. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE tokens
      DROP CONSTRAINT tokens_prefix_check,
      -- Not valid: there is nothing to check in the rows that are there.
      ADD CONSTRAINT tokens_prefix_check CHECK (prefix ~ '^[!-~]{0,10}$') NOT VALID
  `);
}
