import mysql, { type RowDataPacket } from 'mysql2/promise';
import { hasMariaDb, startMariaDb } from './mariadb.js';
import { createSmarterDatabase, readFixture } from './smarter-source.js';
import { execute } from './sql.js';

/** Reads are what a source has read of its tables of keys, by its own statistics. */
interface Reads {
  /** How often a whole table was scanned; of MariaDB, by the rows that were read without an index. */
  readonly scans: number;
  readonly rows: number;
}

/** KeyedSource is a Smarter platform with many keys of alice's, each known by a number: its plaintext is that number. */
export interface KeyedSource {
  readonly url: string;
  reads(): Promise<Reads>;
  /** processes are those of the server that work for a follower. */
  processes(): Promise<readonly number[]>;
  /** setActive changes a key as Django's `update()` does: no time tells of it. These give when they had committed. */
  setActive(key: number, isActive: boolean): Promise<number>;
  remove(key: number): Promise<number>;
  add(key: number): Promise<number>;
  drop(): Promise<void>;
}

/** KEYED_SOURCES make one in each kind of server; undefined where that is not installed. */
export const KEYED_SOURCES: Readonly<Record<string, ((keys: number) => Promise<KeyedSource>) | undefined>> = {
  PostgreSQL: postgresSource,
  MariaDB: hasMariaDb() ? mariaSource : undefined,
};

const ALICE = 2;
const KEY_COLUMNS =
  'authtoken_ptr_id, created_at, updated_at, name, key_id, is_active, user_profile_id, tags';

async function postgresSource(keys: number): Promise<KeyedSource> {
  const source = await createSmarterDatabase();
  const insert = async (from: number, to: number, at: string): Promise<void> => {
    const [digest, numbers] = [`encode(sha512(i::text::bytea), 'hex')`, `generate_series(${from}, ${to}) i`];
    await source.run(`
      INSERT INTO knox_authtoken (digest, created, user_id, token_key)
        SELECT ${digest}, ${at}, ${ALICE}, left(${digest}, 15) FROM ${numbers};
      INSERT INTO drf_smarterauthtoken (${KEY_COLUMNS})
        SELECT ${digest}, ${at}, ${at}, 'key ' || i, gen_random_uuid(), true, ${ALICE}, '[]' FROM ${numbers}`);
  };
  const done = (work: Promise<unknown>): Promise<number> => work.then(() => performance.now());
  const is = (column: string, key: number): string => `${column} = encode(sha512('${key}'::bytea), 'hex')`;
  await insert(1, keys, `now() - interval '1 day'`);
  await source.run('ANALYZE');
  return {
    url: source.url,
    reads: async () => {
      const [counted] = await execute(
        source.url,
        `SELECT sum(seq_scan)::integer AS scans, sum(seq_tup_read + idx_tup_fetch)::integer AS rows
         FROM pg_stat_user_tables WHERE relname IN ('drf_smarterauthtoken', 'knox_authtoken')`,
      );
      return { scans: Number(counted?.['scans']), rows: Number(counted?.['rows']) };
    },
    processes: async () => {
      const sql = `SELECT pid FROM pg_stat_activity
        WHERE application_name = 'keyward import-smarter' AND datname = current_database()`;
      return (await execute(source.url, sql)).map(({ pid }) => Number(pid));
    },
    setActive: (key, isActive) =>
      done(
        source.run(
          `UPDATE drf_smarterauthtoken SET is_active = ${isActive} WHERE ${is('authtoken_ptr_id', key)}`,
        ),
      ),
    remove: (key) =>
      done(
        source.run(`DELETE FROM drf_smarterauthtoken WHERE ${is('authtoken_ptr_id', key)};
          DELETE FROM knox_authtoken WHERE ${is('digest', key)}`),
      ),
    add: (key) => done(insert(key, key, 'now()')),
    drop: () => source.drop(),
  };
}

async function mariaSource(keys: number): Promise<KeyedSource> {
  const server = await startMariaDb();
  const url = await server.createDatabase('smarter', await readFixture('smarter-db.mysql.sql'));
  const connection = await mysql.createConnection({
    uri: url.replace('mariadb:', 'mysql:'),
    multipleStatements: true,
  });
  const run = async (sql: string): Promise<number> => {
    await connection.query(sql);
    return performance.now();
  };
  const insert = (from: number, to: number, at: string): Promise<number> => {
    const numbers = `seq_${from}_to_${to}`;
    return run(`
      INSERT INTO knox_authtoken (digest, created, user_id, token_key)
        SELECT SHA2(seq, 512), ${at}, ${ALICE}, LEFT(SHA2(seq, 512), 15) FROM ${numbers};
      INSERT INTO drf_smarterauthtoken (${KEY_COLUMNS})
        SELECT SHA2(seq, 512), ${at}, ${at}, CONCAT('key ', seq), MD5(seq), true, ${ALICE}, '[]' FROM ${numbers}`);
  };
  await insert(1, keys, 'UTC_TIMESTAMP(6) - INTERVAL 1 DAY');
  await run('ANALYZE TABLE knox_authtoken, drf_smarterauthtoken');
  const is = (column: string, key: number): string => `${column} = SHA2(${key}, 512)`;
  return {
    url,
    reads: async () => {
      const [rows] = await connection.query<RowDataPacket[]>(
        `SHOW GLOBAL STATUS WHERE Variable_name IN ('Handler_read_next', 'Handler_read_rnd_next')`,
      );
      const of = (name: string): number =>
        Number(rows.find((row) => row['Variable_name'] === name)?.['Value'] ?? 0);
      // Besides those of keys, rows of small tables and of the server's own lists are counted.
      return { scans: of('Handler_read_rnd_next') / keys, rows: of('Handler_read_next') };
    },
    processes: () => Promise.resolve([server.pid]),
    setActive: (key, isActive) =>
      run(`UPDATE drf_smarterauthtoken SET is_active = ${isActive} WHERE ${is('authtoken_ptr_id', key)}`),
    remove: (key) =>
      run(`DELETE FROM drf_smarterauthtoken WHERE ${is('authtoken_ptr_id', key)};
        DELETE FROM knox_authtoken WHERE ${is('digest', key)}`),
    add: (key) => insert(key, key, 'UTC_TIMESTAMP(6)'),
    drop: async () => {
      await connection.end();
      await server.stop();
    },
  };
}
