import type { Knex } from 'knex';
import type { ClientBase } from 'pg';
import { translateDatabaseError } from './pg-errors.js';

/**
 * prepare makes a named (prepared) statement of an SQL text: PostgreSQL plans it once a connection, and
 * Knex's builder, which costs more than the query itself, is not run again.
 */
export function prepare<Row>(knex: Knex, name: string, text: string): (values: unknown[]) => Promise<Row[]> {
  const client = knex.client as Knex.Client;
  return async (values) => {
    try {
      const connection = (await client.acquireConnection()) as ClientBase;
      try {
        const result = await connection.query({ name, text, values });
        return result.rows as Row[];
      } finally {
        await client.releaseConnection(connection);
      }
    } catch (error) {
      throw translateDatabaseError(error);
    }
  };
}
