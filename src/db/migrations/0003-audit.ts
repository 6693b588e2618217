import type { Knex } from 'knex';

/**
 * The audit log. Records of one writer form a chain: each is authenticated together with the one before it, and
 * the chain's row holds the last one. Nothing refers to other tables: records outlive what they are about.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    -- One row for each chain: its head. A short row, updated often, in a page with room for its next versions.
    CREATE TABLE audit_chains (
      chain uuid PRIMARY KEY,
      purpose text NOT NULL CHECK (purpose IN ('CHANGES', 'APPENDED')),
      key_id text NOT NULL,
      started_at timestamptz NOT NULL,
      seq bigint NOT NULL CHECK (seq >= 0),
      mac bytea NOT NULL CHECK (octet_length(mac) = 32)
    ) WITH (fillfactor = 50);

    CREATE TABLE audit_events (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      occurred_at timestamptz NOT NULL,
      chain uuid NOT NULL,
      seq bigint NOT NULL CHECK (seq > 0),
      mac bytea NOT NULL CHECK (octet_length(mac) = 32),
      action text NOT NULL,
      outcome text NOT NULL,
      actor_key_id text,
      actor_user_id bigint,
      actor_username text NOT NULL,
      actor_account_number text,
      actor_peer text NOT NULL,
      actor_certificate text,
      request_id text,
      resource_kind text NOT NULL,
      resource_id bigint,
      resource_profile_id bigint,
      resource_account_number text,
      detail jsonb NOT NULL CHECK (jsonb_typeof(detail) = 'object'),
      CONSTRAINT audit_events_chain_seq_key UNIQUE (chain, seq)
    );
    CREATE INDEX audit_events_occurred_at_idx ON audit_events (occurred_at, id);
    CREATE INDEX audit_events_resource_idx ON audit_events (resource_kind, resource_id);
    CREATE INDEX audit_events_actor_user_id_idx ON audit_events (actor_user_id);
    CREATE INDEX audit_events_resource_account_number_idx ON audit_events (resource_account_number);
  `);
}
