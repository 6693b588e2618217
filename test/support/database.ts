import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { execute, TEMPLATE_DATABASE, withDatabaseName } from './sql.js';

export interface TestDatabase {
  readonly url: string;
  /** drop removes the database, whoever is still connected; with KEYWARD_TEST_KEEP set it stays. */
  drop(): Promise<void>;
}

/** createTestDatabase gives a migrated, empty database that no other test uses. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const serverUrl = inject('databaseServerUrl');
  const name = `keyward_test_${randomBytes(6).toString('hex')}`;
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE_DATABASE}`);
  return {
    url: withDatabaseName(serverUrl, name),
    drop: async () => {
      if (process.env['KEYWARD_TEST_KEEP']) return;
      await execute(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}
