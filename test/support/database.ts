import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { execute, TEMPLATE_DATABASE, withDatabaseName } from './sql.js';

export interface TestDatabase {
  readonly url: string;
  /** drop removes the database, whoever is still connected; with KEYWARD_TEST_KEEP set it stays. */
  drop(): Promise<void>;
}

/** createTestDatabase gives a migrated database without rows that no other test uses. */
export function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase(TEMPLATE_DATABASE);
}

/** createEmptyDatabase gives one that was not even migrated. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase('template0');
}

async function createDatabase(template: string): Promise<TestDatabase> {
  const serverUrl = inject('databaseServerUrl');
  const name = `keyward_test_${randomBytes(6).toString('hex')}`;
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return {
    url: withDatabaseName(serverUrl, name),
    drop: async () => {
      if (process.env['KEYWARD_TEST_KEEP']) return;
      await execute(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}
