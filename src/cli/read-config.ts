import { readFileSync } from 'node:fs';
import { ConfigError, loadConfig, type Config } from '../config.js';
import { Redacted } from '../lib/redacted.js';
import { codeOf } from '../lib/errno.js';

/**
 * readConfig reads the settings, and puts the password of DATABASE_PASSWORD_FILE into the database's URLs.
 *
 * @throws ConfigError, which shows no values
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const config = loadConfig(env);
  const { databasePasswordFile, databaseUrl, databaseListenUrl } = config;
  if (databasePasswordFile === undefined) return config;
  const password = readPassword(databasePasswordFile);
  return Object.freeze({
    ...config,
    databaseUrl: withPassword(databaseUrl, password),
    databaseListenUrl: withPassword(databaseListenUrl, password),
  });
}

/** readPassword leaves line breaks at the end out, as PostgreSQL's image does with the same file. */
function readPassword(file: string): string {
  try {
    const password = readFileSync(file, 'utf8').replace(/[\r\n]+$/, '');
    if (password !== '') return password;
  } catch (error) {
    const code = codeOf(error) ?? 'unknown';
    throw new ConfigError(`the file of DATABASE_PASSWORD_FILE cannot be read: ${code}`, { cause: error });
  }
  throw new ConfigError('the file of DATABASE_PASSWORD_FILE is empty');
}

/** withPassword gives it as a parameter, which unlike the place before the host is there in URLs of sockets too. */
function withPassword(url: Redacted | undefined, password: string): Redacted | undefined {
  if (url === undefined) return undefined;
  const text = url.reveal();
  return new Redacted(`${text}${text.includes('?') ? '&' : '?'}password=${encodeURIComponent(password)}`);
}
