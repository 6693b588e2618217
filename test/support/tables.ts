import { connected } from './sql.js';

/** readTables are all columns of all rows of all tables of a database, as text. */
export function readTables(url: string): Promise<string> {
  return connected(url, async (run) => {
    const tables = await run(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    if (tables.length < 10) throw new Error('there are tables that are not seen');
    const contents: string[] = [];
    for (const { name } of tables) {
      const rows = await run(`SELECT t::text AS row FROM ${String(name)} t`);
      contents.push(...rows.map(({ row }) => String(row)));
    }
    return contents.join('\n');
  });
}

/** What the service writes at its own time: leases, uses, and records of who has called and of what was refused. */
const BY_ITSELF: Readonly<Record<string, string>> = {
  replicas: 'false',
  audit_chains: "purpose = 'CHANGES'",
  audit_events: "outcome = 'OK' AND action NOT LIKE 'AUTHENTICATION%'",
};

/** readState are all rows of all tables that follow from calls, by the table. */
export function readState(url: string): Promise<Record<string, unknown>> {
  return connected(url, async (run) => {
    const tables = await run("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'");
    const state: Record<string, unknown> = {};
    for (const { name } of tables) {
      const table = String(name);
      state[table] = await run(
        `SELECT to_jsonb(t) - 'last_used_at' AS row FROM ${table} t WHERE ${BY_ITSELF[table] ?? 'true'} ORDER BY t::text`,
      );
    }
    return state;
  });
}
