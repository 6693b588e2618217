import type { Knex } from 'knex';

/**
 * Which calls of users that gave them an id of their own were done, and what each made or changed. A row is written
 * first in a call's transaction and completed before its end, so none without a resource is ever seen. Rows are kept for
 * a day; they refer to nothing, since what was done stays done.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE done_requests (
      user_id bigint NOT NULL,
      request_id uuid NOT NULL,
      method text NOT NULL,
      resource_kind text,
      resource_id bigint,
      version integer,
      created_at timestamptz NOT NULL DEFAULT statement_timestamp(),
      CONSTRAINT done_requests_pkey PRIMARY KEY (user_id, request_id)
    );
    CREATE INDEX done_requests_created_at_idx ON done_requests (created_at)`);
}
