import { hasMariaDb, startMariaDb } from './mariadb.js';
import { createSmarterDatabase, readFixture, type SmarterDatabase } from './smarter-source.js';

/** SMARTER_ENGINES make a database of a real Smarter platform in each kind of server that is installed here. */
export const SMARTER_ENGINES: Readonly<
  Record<string, { readonly available: boolean; readonly make: () => Promise<SmarterDatabase> }>
> = {
  PostgreSQL: { available: true, make: createSmarterDatabase },
  MariaDB: {
    available: hasMariaDb(),
    make: async () => {
      const server = await startMariaDb();
      const url = await server.createDatabase('smarter', await readFixture('smarter-db.mysql.sql'));
      return { url, run: (sql) => server.run(url, sql), drop: () => server.stop() };
    },
  },
};
