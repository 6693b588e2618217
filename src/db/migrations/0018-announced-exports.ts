import type { Knex } from 'knex';

/**
 * What an export says before it writes to the platform, since it may be cut off before it can say that it has: what the
 * row will hold there. Since when a row that was deleted in Keyward is gone there too; what an export overwrote there, and
 * when: requests of the platform that had read the row before may save it once more, as it was.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE import_records
      ADD COLUMN announced jsonb,
      ADD COLUMN gone_at timestamptz,
      ADD COLUMN overwritten jsonb,
      ADD COLUMN exported_at timestamptz;
    CREATE INDEX import_records_announced_idx ON import_records (kind, source_key) WHERE announced IS NOT NULL;
    CREATE INDEX import_records_gone_idx ON import_records (gone_at) WHERE gone_at IS NOT NULL;
  `);
}
