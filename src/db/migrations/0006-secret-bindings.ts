import type { Knex } from 'knex';

/**
 * Bindings tie each stored value to its place. They are made with a key that the database has not: the service makes
 * those of the values that are there already, when it starts. What the version before writes meanwhile has none; it is
 * refused with a state that this version's clients, and those of the version before, take for "try again".
 *
 * Grants and versions remember who made them by the user's number, since a name may come to another user; grants
 * remember besides whether the caller who made them named the grantee.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE secret_versions
      ADD COLUMN binding bytea,
      ADD COLUMN binding_key_id text,
      ADD COLUMN created_by_user_id bigint,
      -- Not valid: there is nothing to check in the rows that are there.
      ADD CONSTRAINT secret_versions_binding_check CHECK (
        (binding IS NULL) = (binding_key_id IS NULL) AND octet_length(binding) = 32
        AND binding_key_id ~ '^[0-9a-f]{16}$' AND (ciphertext IS NOT NULL OR binding IS NULL)) NOT VALID;
    CREATE INDEX secret_versions_unbound_idx ON secret_versions (secret_id, number)
      WHERE ciphertext IS NOT NULL AND binding IS NULL;
    CREATE INDEX secret_versions_binding_key_id_idx ON secret_versions (binding_key_id)
      WHERE ciphertext IS NOT NULL AND binding_key_id IS DISTINCT FROM key_id;

    -- 57P03 is "cannot connect now": programs that write values without a binding answer UNAVAILABLE.
    CREATE FUNCTION keyward_require_binding() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.ciphertext IS NULL THEN
        NEW.binding := NULL;
        NEW.binding_key_id := NULL;
      ELSIF NEW.binding IS NULL OR (TG_OP = 'UPDATE' AND NEW.binding IS NOT DISTINCT FROM OLD.binding) THEN
        RAISE EXCEPTION 'version % of secret % lacks a binding: the program is older than the database', NEW.number, NEW.secret_id
          USING ERRCODE = '57P03';
      END IF;
      RETURN NEW;
    END $$;
    CREATE TRIGGER secret_versions_require_binding_insert BEFORE INSERT ON secret_versions
      FOR EACH ROW EXECUTE FUNCTION keyward_require_binding();
    CREATE TRIGGER secret_versions_require_binding_update BEFORE UPDATE ON secret_versions
      FOR EACH ROW WHEN ((OLD.ciphertext, OLD.key_id) IS DISTINCT FROM (NEW.ciphertext, NEW.key_id))
      EXECUTE FUNCTION keyward_require_binding();

    ALTER TABLE secret_grants
      ADD COLUMN granted_by_user_id bigint,
      ADD COLUMN names_grantee boolean NOT NULL DEFAULT false;
    -- Who was made later has the name of another.
    UPDATE secret_grants g SET granted_by_user_id = u.id FROM users u
      WHERE u.username = g.granted_by AND (u.created_at IS NULL OR u.created_at <= g.created_at);
  `);
}
