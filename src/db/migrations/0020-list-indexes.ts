import type { Knex } from 'knex';

// Tables may be large: indexes are made one after another, while others go on writing.
export const config = { transaction: false };

const CREATED = "(coalesce(created_at, '-infinity'))";
const UPDATED = "(coalesce(updated_at, '-infinity'))";
const EXPIRES = "(coalesce(expires_at, 'infinity'))";

/** What each table's lists are ordered by, as in their columns, by the name of the index; the id comes last. */
const INDEXES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tokens: {
    name: 'name',
    expires_at: EXPIRES,
    last_used_at: "(coalesce(last_used_at, '-infinity'))",
    created_at: CREATED,
    updated_at: UPDATED,
    user_profile_id: 'user_profile_id',
  },
  secrets: {
    name: 'name',
    expires_at: EXPIRES,
    last_accessed_at: "(coalesce(last_accessed_at, '-infinity'))",
    created_at: CREATED,
    updated_at: UPDATED,
    user_profile_id: 'user_profile_id',
  },
  accounts: { name: 'name', created_at: CREATED, updated_at: UPDATED },
  users: { created_at: CREATED, updated_at: UPDATED },
  user_profiles: { name: 'name', created_at: CREATED, updated_at: UPDATED },
};

/**
 * Lists find their pages by an index, whatever they are ordered by. Every step may be repeated: one that was broken off
 * leaves an index that is not valid, and is run again.
 */
export async function up(knex: Knex): Promise<void> {
  for (const [table, indexes] of Object.entries(INDEXES)) {
    for (const [field, expression] of Object.entries(indexes)) {
      const name = `${table}_list_${field}_idx`;
      await knex.raw(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      await knex.raw(`CREATE INDEX CONCURRENTLY ${name} ON ${table} (${expression}, id)`);
    }
    // What is known of the values of an expression is gathered for its index.
    await knex.raw(`ANALYZE ${table}`);
  }
  await knex.raw('DROP INDEX CONCURRENTLY IF EXISTS token_digests_token_key_idx');
  await knex.raw('CREATE INDEX CONCURRENTLY token_digests_token_key_idx ON token_digests (token_key)');
}
