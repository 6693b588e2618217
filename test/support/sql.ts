import pg from 'pg';

/** TEMPLATE_DATABASE is migrated once a run; each test file works on a copy of it. */
export const TEMPLATE_DATABASE = 'keyward_template';

/** execute runs one statement on a connection of its own and gives the rows. */
export async function execute(
  url: string,
  statement: string,
  values: readonly unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(statement, [...values]);
    return rows;
  } finally {
    await client.end();
  }
}

/** withDatabaseName is the same server's URL with another database. */
export function withDatabaseName(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
