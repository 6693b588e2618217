import { linkWarning, readLink } from '../db/database-link.js';
import { ANSWER_LIMIT_MS } from './answer-limit.js';
import { MysqlPlatform } from './export/mysql-platform.js';
import type { Platform } from './export/platform.js';
import { PostgresPlatform } from './export/postgres-platform.js';
import { readMysqlLink } from './mysql-link.js';
import { MysqlSource } from './mysql-source.js';
import { PostgresSource } from './postgres-source.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { Source } from './source.js';

/** Engine is a kind of database that Smarter runs on: how it is connected to, and how safe the way to it is. */
interface Engine {
  open(url: string, limitMs: number): Promise<Source>;
  openPlatform(url: string, limitMs: number): Promise<Platform>;
  readLink(url: string): Parameters<typeof linkWarning>[1];
}

const POSTGRES: Engine = {
  open: (url, limitMs) => PostgresSource.open(url, limitMs),
  openPlatform: (url, limitMs) => PostgresPlatform.open(url, limitMs),
  readLink,
};
const MYSQL: Engine = {
  open: (url, limitMs) => MysqlSource.open(url, limitMs),
  openPlatform: (url, limitMs) => MysqlPlatform.open(url, limitMs),
  readLink: readMysqlLink,
};
const ENGINES = new Map([
  ['postgres', POSTGRES],
  ['postgresql', POSTGRES],
  ['mysql', MYSQL],
  ['mariadb', MYSQL],
]);

/**
 * connectSource connects and begins the snapshot.
 * @param limitMs how long it may take for each answer
 * @throws SmarterImportError where the URL names no engine that Smarter runs on
 */
export async function connectSource(url: string, limitMs = ANSWER_LIMIT_MS): Promise<Source> {
  return engineOf(url).open(url, limitMs);
}

/**
 * connectPlatform connects to write.
 * @param limitMs how long it may take for each answer
 * @throws SmarterImportError where the URL names no engine that Smarter runs on
 */
export async function connectPlatform(url: string, limitMs = ANSWER_LIMIT_MS): Promise<Platform> {
  return engineOf(url).openPlatform(url, limitMs);
}

/** sourceWarning tells what the way to the source gives up, or undefined if it stays on the machine or is verified TLS. */
export function sourceWarning(url: string): string | undefined {
  return linkWarning('the URL', engineOf(url).readLink(url))?.replace('the database', 'the source');
}

function engineOf(url: string): Engine {
  const engine = ENGINES.get(/^([a-z]+):\/\//.exec(url)?.[1] ?? '');
  if (engine !== undefined) return engine;
  throw new SmarterImportError(
    'The source must be a postgres://, postgresql://, mysql:// or mariadb:// URL.',
  );
}
