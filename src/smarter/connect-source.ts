import { MysqlSource } from './mysql-source.js';
import { PostgresSource } from './postgres-source.js';
import { SmarterImportError } from './smarter-import-error.js';
import type { Source } from './source.js';

/**
 * connectSource connects and begins the snapshot.
 * @throws SmarterImportError where the URL names no engine that Smarter runs on
 */
export async function connectSource(url: string): Promise<Source> {
  const scheme = /^([a-z]+):\/\//.exec(url)?.[1];
  if (scheme === 'postgres' || scheme === 'postgresql') return PostgresSource.open(url);
  if (scheme === 'mysql' || scheme === 'mariadb') return MysqlSource.open(url);
  throw new SmarterImportError(
    'The source must be a postgres://, postgresql://, mysql:// or mariadb:// URL.',
  );
}
