import mysql, { type Connection, type TypeCastField } from 'mysql2';
import { DatabaseClient } from '../db/database-client.js';
import { LONG_STATEMENT_MS } from '../db/statement-limit.js';
import { readMysqlLink } from './mysql-link.js';

const CONNECT_LIMIT_MS = 10_000;

/** All values are read as text. */
const asText = { getTypeParser: () => (value: string) => value };

/** connectPostgres opens a platform's PostgreSQL, and runs what a session begins with. */
export async function connectPostgres(
  url: string,
  command: string,
  first: readonly string[],
): Promise<DatabaseClient> {
  const client = new DatabaseClient({
    connectionString: url,
    application_name: `keyward ${command}`,
    connectionTimeoutMillis: CONNECT_LIMIT_MS,
    limitMs: LONG_STATEMENT_MS,
    types: asText,
  });
  // A lost connection also fails the query under way, or the next one; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    for (const statement of first) await client.query(statement);
  } catch (error) {
    await client.end();
    throw error;
  }
  return client;
}

/** connectMysql does the same with MySQL or MariaDB. */
export async function connectMysql(url: string, first: readonly string[]): Promise<Connection> {
  const connection = mysql.createConnection({
    ...readMysqlLink(url).options,
    charset: 'utf8mb4',
    connectTimeout: CONNECT_LIMIT_MS,
    enableKeepAlive: true,
    typeCast: textOf,
  });
  // As above, but for streams.
  connection.on('error', () => undefined);
  try {
    for (const statement of first) await connection.promise().query(statement);
  } catch (error) {
    connection.destroy();
    throw error;
  }
  return connection;
}

/** textOf writes a value as PostgreSQL would. Times have no zone in MySQL; Django keeps them in UTC. */
function textOf(field: TypeCastField): string | null {
  const text = field.buffer()?.toString('utf8');
  if (text === undefined) return null;
  if (field.type === 'DATETIME' || field.type === 'TIMESTAMP') return `${text}+00`;
  if (field.type === 'TINY' && field.length === 1) return text === '0' ? 'f' : 't';
  return text;
}
