import type { Knex } from 'knex';

// Records may be many: they are filled in a batch at a time, and the index is made, while others go on writing.
export const config = { transaction: false };

/** Numbers of records in a batch. */
const BATCH = 20_000n;

/**
 * Records carry the id of the account that they are about, and are read by it: a number may become that of another
 * account. Ids change only where an import takes the numbers of another platform over, which is remembered.
 * Chains have a format, so that records can be authenticated with more than before.
 *
 * Every step may be repeated: one that was broken off is run again.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.transaction((trx) => trx.raw(SCHEMA));
  await fill(knex);
  await knex.raw('DROP INDEX CONCURRENTLY IF EXISTS audit_events_resource_account_id_idx');
  await knex.raw(
    'CREATE INDEX CONCURRENTLY audit_events_resource_account_id_idx ON audit_events (resource_account_id)',
  );
}

const SCHEMA = `
  ALTER TABLE audit_chains ADD COLUMN IF NOT EXISTS format smallint NOT NULL DEFAULT 1;
  ALTER TABLE audit_events ADD COLUMN IF NOT EXISTS resource_account_id bigint;

  -- The key that a process encrypts with and authenticates its chains with; null of earlier versions.
  ALTER TABLE replicas ADD COLUMN IF NOT EXISTS key_id text;

  -- Ids that accounts and users had before. What refers to them without a foreign key, as records do, still does.
  CREATE TABLE IF NOT EXISTS former_ids (
    kind text NOT NULL CHECK (kind IN ('account', 'user')),
    former_id bigint NOT NULL,
    id bigint NOT NULL,
    CONSTRAINT former_ids_pkey PRIMARY KEY (kind, former_id)
  );
  CREATE INDEX IF NOT EXISTS former_ids_kind_id_idx ON former_ids (kind, id);

  CREATE OR REPLACE FUNCTION keyward_note_former_id() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    UPDATE former_ids SET id = NEW.id WHERE kind = TG_ARGV[0] AND id = OLD.id;
    INSERT INTO former_ids (kind, former_id, id) VALUES (TG_ARGV[0], OLD.id, NEW.id)
    ON CONFLICT (kind, former_id) DO UPDATE SET id = excluded.id;
    RETURN NULL;
  END $$;
  CREATE OR REPLACE TRIGGER accounts_former_id AFTER UPDATE OF id ON accounts
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keyward_note_former_id('account');
  CREATE OR REPLACE TRIGGER users_former_id AFTER UPDATE OF id ON users
    FOR EACH ROW WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION keyward_note_former_id('user');

  -- The version before writes records without the account's id while replicas are replaced one after another.
  CREATE OR REPLACE FUNCTION keyward_fill_account_id() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    NEW.resource_account_id := CASE NEW.resource_kind WHEN 'account' THEN NEW.resource_id
      ELSE (SELECT id FROM accounts WHERE account_number = NEW.resource_account_number) END;
    RETURN NEW;
  END $$;
  CREATE OR REPLACE TRIGGER audit_events_fill_account_id BEFORE INSERT ON audit_events
    FOR EACH ROW WHEN (NEW.resource_account_number IS NOT NULL AND NEW.resource_account_id IS NULL)
    EXECUTE FUNCTION keyward_fill_account_id()`;

/**
 * A record is about the account that has the number now only if that account is older than the record, and if no
 * account with the number was deleted since. Imported accounts have the age that they had on the other platform.
 */
const FILL = `
  UPDATE audit_events e SET resource_account_id = a.id
  FROM accounts a LEFT JOIN json_to_recordset(?::json) AS d (number text, at timestamptz) ON d.number = a.account_number
  WHERE e.id > ? AND e.id <= ? AND e.resource_account_id IS NULL AND e.resource_account_number = a.account_number
    AND e.occurred_at >= coalesce(a.created_at, '-infinity') AND e.occurred_at > coalesce(d.at, '-infinity')`;

/**
 * Records of an account itself tell its id, also where that is deleted, or their time, which is in milliseconds, lies
 * before the one at which it was made. They come last: an import may have given the account another id since.
 */
const FILL_OWN = `
  UPDATE audit_events SET resource_account_id = resource_id
  WHERE id > ? AND id <= ? AND resource_account_id IS NULL AND resource_account_number IS NOT NULL
    AND resource_kind = 'account'`;

async function fill(knex: Knex): Promise<void> {
  const deleted = await rows<{ deleted: string }>(
    knex,
    `SELECT coalesce(json_agg(json_build_object('number', number, 'at', at)), '[]')::text AS deleted FROM (
       SELECT resource_account_number AS number, max(occurred_at) AS at FROM audit_events
       WHERE resource_kind = 'account' AND action = 'ACCOUNT_DELETED' GROUP BY 1) d`,
  );
  const [newest] = await rows<{ id: bigint }>(knex, 'SELECT coalesce(max(id), 0) AS id FROM audit_events');
  for (let after = 0n; after < (newest?.id ?? 0n); after += BATCH) {
    await knex.raw(FILL, [deleted[0]?.deleted ?? '[]', String(after), String(after + BATCH)]);
    await knex.raw(FILL_OWN, [String(after), String(after + BATCH)]);
  }
}

async function rows<Row>(knex: Knex, sql: string, bindings: readonly Knex.RawBinding[] = []): Promise<Row[]> {
  return (await knex.raw<{ rows: Row[] }>(sql, bindings)).rows;
}
