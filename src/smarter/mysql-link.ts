import { readFileSync } from 'node:fs';
import { isOwnMachine, type DatabaseLink } from '../db/database-link.js';
import { SmarterImportError } from './smarter-import-error.js';

/** MysqlLink is the way to a MySQL or MariaDB, and the driver's options for it. */
export interface MysqlLink extends Pick<DatabaseLink, 'host' | 'isLocal' | 'tls'> {
  readonly options: {
    /** The URL without what is said by the other options. */
    readonly uri: string;
    readonly ssl?: {
      readonly rejectUnauthorized: boolean;
      readonly verifyIdentity: boolean;
      readonly ca?: string;
    };
    /** Whether a server may ask for the password in clear. */
    readonly enableCleartextPlugin: boolean;
  };
}

/** Parameters that this reads, or that would say behind its back how safe the connection is. */
const OWN_PARAMETERS = ['sslmode', 'sslrootcert', 'ssl', 'enableCleartextPlugin'];

/**
 * readMysqlLink reads a mysql:// or mariadb:// URL by the rule for PostgreSQL: beyond this machine TLS is verified
 * unless the URL says otherwise (`sslmode`), and a password in clear leaves only through verified TLS.
 *
 * @throws SmarterImportError where the URL says how in a way that is not known
 */
export function readMysqlLink(url: string): MysqlLink {
  const given = new URL(url.replace(/^mariadb:/, 'mysql:'));
  const parameters = given.searchParams;
  const host = parameters.get('socketPath') ?? given.hostname.replace(/^\[(.*)\]$/, '$1');
  const isLocal = isOwnMachine(host) || host === '';
  if (parameters.has('ssl')) throw new SmarterImportError('Say sslmode in the URL of the source, not ssl.');
  const authority = parameters.get('sslrootcert');
  const mode = parameters.get('sslmode') ?? (isLocal && authority === null ? 'disable' : 'verify-full');
  for (const name of OWN_PARAMETERS) parameters.delete(name);
  const uri = given.href;
  const ca = authority === null ? {} : { ca: readFileSync(authority, 'utf8') };
  switch (mode) {
    case 'disable':
      return { host, isLocal, tls: 'none', options: { uri, enableCleartextPlugin: false } };
    case 'no-verify': {
      const ssl = { rejectUnauthorized: false, verifyIdentity: false };
      return { host, isLocal, tls: 'unverified', options: { uri, ssl, enableCleartextPlugin: false } };
    }
    case 'verify-full': {
      const ssl = { rejectUnauthorized: true, verifyIdentity: true, ...ca };
      return { host, isLocal, tls: 'verified', options: { uri, ssl, enableCleartextPlugin: true } };
    }
    default:
      throw new SmarterImportError(
        'sslmode in the URL of a MySQL source can be verify-full, no-verify or disable.',
      );
  }
}
