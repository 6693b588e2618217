import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { migrate } from '../../src/db/migrate.js';
import { makeDataDir, removeDataDir } from './data-dir.js';
import { execute, TEMPLATE_DATABASE, withDatabaseName } from './sql.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** databaseServerUrl is the tests' PostgreSQL; its database is for administration alone. */
    databaseServerUrl: string;
    /** leftOut is how many files run in the full form alone, and so not now. */
    leftOut: number;
  }
}

/** SPEED_SETTINGS give up what only a power failure or a thief of password files would show. */
const SPEED_SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  scram_iterations: '1',
};

/** build compiles what changed of the program, which some tests run as users do. */
function build(): void {
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const { status } = spawnSync(process.execPath, [compiler, '-b'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the program does not compile');
}

/** cheapenPassword stores the password anew, by the number of iterations that is set: tests connect thousands of times. */
async function cheapenPassword(url: string): Promise<void> {
  const { username, password } = new URL(url);
  const role = pg.escapeIdentifier(decodeURIComponent(username));
  await execute(url, `ALTER ROLE ${role} PASSWORD ${pg.escapeLiteral(decodeURIComponent(password))}`);
}

/** setup starts one PostgreSQL for the whole run. KEYWARD_TEST_KEEP leaves its files, and prints where. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  build();
  const dataDir = await makeDataDir();
  let database: EmbeddedPostgres | undefined;
  const teardown = async () => {
    await database?.stop();
    const { leftOut } = project.getProvidedContext();
    if (leftOut > 0)
      console.warn(
        `LEFT OUT: ${leftOut} files (*.full.test.ts) and all that takes MariaDB, which npm run test:full runs.`,
      );
    if (process.env['KEYWARD_TEST_KEEP']) console.log(`The databases of this run are kept in ${dataDir}`);
    else await removeDataDir(dataDir);
  };
  try {
    database = await startEmbeddedPostgres({ dataDir, settings: SPEED_SETTINGS });
    await cheapenPassword(database.url);
    await execute(database.url, `CREATE DATABASE ${TEMPLATE_DATABASE}`);
    await migrate(withDatabaseName(database.url, TEMPLATE_DATABASE));
    project.provide('databaseServerUrl', database.url);
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}
