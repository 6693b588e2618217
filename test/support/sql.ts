import pg from 'pg';

/** TEMPLATE_DATABASE is migrated once a run; each test file works on a copy of it. */
export const TEMPLATE_DATABASE = 'keyward_template';

type Row = Record<string, unknown>;

/** connected runs statements on a connection of its own. */
export async function connected<T>(
  url: string,
  work: (run: (statement: string, values?: readonly unknown[]) => Promise<Row[]>) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(
      async (statement, values = []) => (await client.query<Row>(statement, [...values])).rows,
    );
  } finally {
    await client.end();
  }
}

/** execute runs one statement on a connection of its own and gives the rows. */
export function execute(url: string, statement: string, values: readonly unknown[] = []): Promise<Row[]> {
  return connected(url, (run) => run(statement, values));
}

/** withDatabaseName is the same server's URL with another database. */
export function withDatabaseName(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
