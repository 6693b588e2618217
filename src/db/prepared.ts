import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import type { ClientBase, QueryConfig } from 'pg';
import { hasStaleStatements, isRetryable, translateDatabaseError } from './pg-errors.js';

/** For how long a statement is sent without a name once a prepared one was of no use. */
const UNNAMED_MS = 600_000;
const MAX_ATTEMPTS = 5;

/** Prepared runs a statement with some values, in a transaction if one is given. */
export type Prepared<Row> = (values: unknown[], trx?: Knex.Transaction) => Promise<Row[]>;

/**
 * prepare makes a named (prepared) statement of an SQL text: PostgreSQL plans it once a connection, and
 * Knex's builder, which costs more than the query itself, is not run again.
 *
 * Where what was prepared is of no use any more, as after the type of a column was changed, or behind a pooler that does
 * not know prepared statements, the statement is sent again without a name, and so are those that follow for a while.
 */
export function prepare<Row>(knex: Knex, name: string, text: string): Prepared<Row> {
  const named = { name: uniqueName(name, text), text };
  let namedFrom = -Infinity;

  const run = async (query: QueryConfig, within: Knex): Promise<Row[]> => {
    const client = within.client as Knex.Client;
    const connection = (await client.acquireConnection()) as ClientBase;
    try {
      return (await connection.query(query)).rows as Row[];
    } finally {
      await client.releaseConnection(connection);
    }
  };
  return async (values, trx) => {
    for (let attempts = 1; ; attempts += 1) {
      const isNamed = performance.now() >= namedFrom;
      try {
        return await run(isNamed ? { ...named, values } : { text, values }, trx ?? knex);
      } catch (error) {
        const isStale = isNamed && hasStaleStatements(error);
        if (isStale) namedFrom = performance.now() + UNNAMED_MS;
        // The transaction is over, and is run again as a whole.
        if (trx !== undefined) throw error;
        // A role may have made each statement a transaction that can lose against others.
        if (attempts === MAX_ATTEMPTS || !(isStale || isRetryable(error)))
          throw translateDatabaseError(error);
      }
    }
  };
}

/** prepareEach makes a statement of the text that belongs to a condition, when that is first asked for: there must be few. */
export function prepareEach<Row>(
  knex: Knex,
  name: string,
  textOf: (condition: string) => string,
): (condition: string, ...run: Parameters<Prepared<Row>>) => Promise<Row[]> {
  const statements = new Map<string, Prepared<Row>>();
  return (condition, ...run) => {
    const known = statements.get(condition);
    if (known !== undefined) return known(...run);
    const statement = prepare<Row>(knex, name, textOf(condition));
    statements.set(condition, statement);
    return statement(...run);
  };
}

/** uniqueName makes names differ where texts do: sessions of a pooler may meet statements of another version of this program. */
function uniqueName(name: string, text: string): string {
  return `${name}-${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
}
