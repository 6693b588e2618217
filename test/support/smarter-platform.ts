import { createHash, randomUUID } from 'node:crypto';
import { hasMariaDb, startMariaDb } from './mariadb.js';
import { createSmarterDatabase, readFixture, type SmarterDatabase } from './smarter-source.js';

/** Engine makes databases of a real Smarter platform. */
export interface Engine {
  create(): Promise<SmarterDatabase>;
  stop(): Promise<void>;
}

/** ENGINES are the databases that Smarter runs on, with what starts them; none where they are not installed. */
export const ENGINES: Readonly<Record<string, (() => Promise<Engine>) | undefined>> = {
  PostgreSQL: () => Promise.resolve({ create: createSmarterDatabase, stop: () => Promise.resolve() }),
  MariaDB: hasMariaDb() ? startMaria : undefined,
};

async function startMaria(): Promise<Engine> {
  const server = await startMariaDb();
  const dump = await readFixture('smarter-db.mysql.sql');
  let databases = 0;
  return {
    create: async () => {
      databases += 1;
      const url = await server.createDatabase(`smarter_${databases}`, dump);
      return { url, run: (sql) => server.run(url, sql), drop: () => Promise.resolve() };
    },
    stop: () => server.stop(),
  };
}

/** logOut deletes keys as Smarter does: those of which this is true of a row `s` of its own table. */
export async function logOut(source: SmarterDatabase, condition: string): Promise<void> {
  await source.run(`
    CREATE TABLE gone AS SELECT s.authtoken_ptr_id FROM drf_smarterauthtoken s WHERE ${condition};
    DELETE FROM drf_smarterauthtoken WHERE authtoken_ptr_id IN (SELECT authtoken_ptr_id FROM gone);
    DELETE FROM knox_authtoken WHERE digest IN (SELECT authtoken_ptr_id FROM gone);
    DROP TABLE gone`);
}

/** deleteUser deletes a user with everything that is his, as Django does. */
export async function deleteUser(source: SmarterDatabase, id: number): Promise<void> {
  const profiles = `(SELECT id FROM account_userprofile WHERE user_id = ${id})`;
  await logOut(
    source,
    `s.user_profile_id IN ${profiles} OR s.authtoken_ptr_id IN (SELECT digest FROM knox_authtoken WHERE user_id = ${id})`,
  );
  await source.run(`
    DELETE FROM knox_authtoken WHERE user_id = ${id};
    DELETE FROM secret_secret WHERE user_profile_id IN ${profiles};
    DELETE FROM account_userprofile WHERE user_id = ${id};
    DELETE FROM auth_user_groups WHERE user_id = ${id};
    DELETE FROM auth_user_user_permissions WHERE user_id = ${id};
    DELETE FROM auth_user WHERE id = ${id}`);
}

export async function addUser(
  source: SmarterDatabase,
  id: number,
  username: string,
  accountId: number,
): Promise<void> {
  await source.run(`
    INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active,
      date_joined) VALUES (${id}, 'x', false, '${username}', '', '', '', true, true, '2026-01-01 00:00:00');
    INSERT INTO account_userprofile (id, name, is_test, account_id, user_id)
      VALUES (${id}, 'profile ${id}', false, ${accountId}, ${id})`);
}

/** addKey makes a key, and gives its digest. */
export async function addKey(
  source: SmarterDatabase,
  profileId: number,
  userId: number,
  name: string,
): Promise<string> {
  const digest = createHash('sha512').update(randomUUID()).digest('hex');
  await source.run(`
    INSERT INTO knox_authtoken (digest, created, user_id, token_key)
      VALUES ('${digest}', '2026-01-01 00:00:00', ${userId}, '${digest.slice(0, 15)}');
    INSERT INTO drf_smarterauthtoken (authtoken_ptr_id, name, key_id, is_active, user_profile_id, tags)
      VALUES ('${digest}', '${name}', '${randomUUID().replaceAll('-', '')}', true, ${profileId}, '[]')`);
  return digest;
}

/** addSecret copies another secret under a new number. */
export async function addSecret(
  source: SmarterDatabase,
  id: number,
  like: number,
  change: string,
): Promise<void> {
  await source.run(`
    CREATE TABLE made AS SELECT * FROM secret_secret WHERE id = ${like};
    UPDATE made SET id = ${id};
    UPDATE made SET ${change};
    INSERT INTO secret_secret SELECT * FROM made;
    DROP TABLE made`);
}
