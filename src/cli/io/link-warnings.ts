import { ConfigError, SETTINGS, type Config } from '../../config.js';
import { driverVariables, linkWarning, readLink } from '../../db/database-link.js';

/**
 * databaseLinkWarnings has a line for each setting whose link to the database leaves this machine without verified
 * TLS.
 *
 * @throws ConfigError where a URL cannot be read
 */
export function databaseLinkWarnings(config: Pick<Config, 'databaseUrl' | 'databaseListenUrl'>): string[] {
  return (['databaseUrl', 'databaseListenUrl'] as const).flatMap((key) => {
    const url = config[key]?.reveal();
    if (url === undefined) return [];
    const { variable } = SETTINGS[key];
    try {
      return linkWarning(variable, readLink(url)) ?? [];
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new ConfigError(`${variable} cannot be read: ${why}`, { cause });
    }
  });
}

/** environmentNote tells which variables of PostgreSQL complete the database's URLs; undefined if none is set, or obeyed. */
export function environmentNote(
  { databaseUrl }: Pick<Config, 'databaseUrl'>,
  env: NodeJS.ProcessEnv,
): string | undefined {
  const variables = driverVariables(env);
  if (databaseUrl === undefined || variables.length === 0) return undefined;
  return `what ${SETTINGS.databaseUrl.variable} leaves out is taken from the environment: ${variables.join(', ')}`;
}
