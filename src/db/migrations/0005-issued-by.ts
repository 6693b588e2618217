import type { Knex } from 'knex';

/**
 * Each plaintext keeps whom it was given to: null where that is not known, as for imported ones and for those that the
 * version before makes. The user is kept by number too, without a reference: a username may be given again, a
 * number is not, and an issuer may be deleted.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE token_digests
      ADD COLUMN issued_by_user_id bigint,
      ADD COLUMN issued_by_username text,
      ADD COLUMN issued_by_key_id uuid
  `);
}
