import type { Knex } from 'knex';

/** Bytes of a notification; PostgreSQL takes less than 8000. */
const MAX_NOTICE = 7000;
/** Secrets that are named one by one. */
const MAX_SECRETS = 200;

/**
 * Notices name the secrets that were changed, since clients hold values of them. A version of the service that does not know
 * that key takes such a notice for a change of everything; of transactions that change no secret it sees nothing new.
 *
 * Where too many were changed to be named, a notice says that any secret may have been.
 *
 * Replicas register of which version they are, and their clients.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>(
    'SELECT quote_ident(current_schema()) AS name',
  );
  const schema = rows[0]?.name;
  if (schema === undefined) throw new Error('SELECT without FROM gives one row');
  await knex.raw(`ALTER FUNCTION ${schema}.keyward_notice(xid8, jsonb) RENAME TO keyward_notice_of_tokens`);
  await knex.raw(noticeFunction(schema));
  await knex.raw(
    `ALTER TABLE replicas ADD version text, ADD clients int NOT NULL DEFAULT 0, ADD client_groups jsonb NOT NULL DEFAULT '[]'`,
  );
}

function noticeFunction(schema: string): string {
  return `
    CREATE FUNCTION keyward_notice(transaction xid8, barriers jsonb) RETURNS jsonb
    LANGUAGE plpgsql AS $$
    DECLARE
      notice jsonb := ${schema}.keyward_notice_of_tokens(transaction, barriers);
      changed bigint[];
    BEGIN
      IF (notice -> 'all')::boolean THEN RETURN notice; END IF;
      SELECT array_agg(row_id ORDER BY row_id) INTO changed FROM (
        SELECT DISTINCT row_id FROM ${schema}.pending_changes WHERE txid = transaction AND kind = 'secret'
        LIMIT ${MAX_SECRETS + 1}) noted;
      IF changed IS NULL THEN RETURN notice; END IF;
      -- A table that was truncated names no secret.
      IF cardinality(changed) <= ${MAX_SECRETS} AND array_position(changed, NULL) IS NULL THEN
        notice := notice || jsonb_build_object('secrets', to_jsonb(changed::text[]));
        IF octet_length(notice::text) <= ${MAX_NOTICE} THEN RETURN notice; END IF;
      END IF;
      RETURN (notice - 'secrets') || '{"all_secrets": true}';
    END $$`;
}
