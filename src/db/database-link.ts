import pg from 'pg';

/** Tls is how well TLS protects a connection; `issuer` checks who made the certificate, and not whose it is. */
type Tls = 'none' | 'unverified' | 'issuer' | 'verified';

/** DatabaseLink is the way to a database, as its URL and the driver say. */
export interface DatabaseLink {
  /** Name or address, or the directory of a Unix socket. */
  readonly host: string;
  /** Whether it stays on this machine: a Unix socket or loopback. */
  readonly isLocal: boolean;
  readonly tls: Tls;
  /** Whether only a server will do that shows, by SCRAM, that it knows the password (`require_auth`). */
  readonly requiresScram: boolean;
}

/**
 * readLink reads a URL with the driver's own eyes, so that nothing is judged by one host and sent to another.
 * Where it leaves this machine and does not say itself how (`sslmode` and the like), TLS with a certificate that
 * is verified and names the host is what counts: the environment's PGSSLMODE does not.
 *
 * @throws Error where it cannot be read, or a file that it names is missing; the text holds no password
 */
export function readLink(url: string): DatabaseLink {
  const { host, ssl } = new pg.Client(withVerifiedTls({ connectionString: url }));
  return { host, isLocal: isOwnMachine(host), tls: tlsOf(ssl), requiresScram: requiresScram(url) };
}

/** What the driver takes from the environment where a URL leaves it out. */
const DRIVER_VARIABLES = [
  ...['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'PGOPTIONS', 'PGCLIENT_ENCODING'],
  ...['PGSSLMODE', 'PGSSLNEGOTIATION', 'PGREPLICATION'],
];

/** driverVariables are the variables of the environment that are set and that the driver may obey. */
export function driverVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  return DRIVER_VARIABLES.filter((name) => (env[name] ?? '') !== '');
}

/** placeOf names the database of a URL, as the driver reads it, for messages: without user and password. */
export function placeOf(url: string): string {
  const { host, port, database } = new pg.Client({ connectionString: url });
  const where = host.startsWith('/') ? `the socket in ${host}` : `${host}:${port}`;
  return `the database "${database ?? ''}" at ${where}`;
}

/** withVerifiedTls completes a configuration by that rule. What the URL says goes before it. */
export function withVerifiedTls<T extends { readonly connectionString: string }>(config: T): T {
  const { host } = new pg.Client({ connectionString: config.connectionString });
  return isOwnMachine(host) ? config : { ...config, ssl: { rejectUnauthorized: true } };
}

/** isOwnMachine tells whether a host is a Unix socket or loopback. Other names and forms of them are not. */
export function isOwnMachine(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** WEAKNESSES say in plain words what a link without verified TLS means. */
const WEAKNESSES: Readonly<Record<Exclude<Tls, 'verified'>, string>> = {
  none: 'is not encrypted: whoever is on the way can read and change everything',
  unverified: 'is encrypted and its server is not verified: whoever is on the way can pose as the database',
  issuer:
    "is encrypted, and the name in the server's certificate is not checked: whoever has another certificate of " +
    'that authority can pose as the database',
};

/** linkWarning tells what a setting's link gives up, or undefined if it stays on the machine or is verified TLS. */
export function linkWarning(
  setting: string,
  { host, isLocal, tls }: Pick<DatabaseLink, 'host' | 'isLocal' | 'tls'>,
): string | undefined {
  if (isLocal || tls === 'verified') return undefined;
  return `the connection to the database at ${host} ${WEAKNESSES[tls]}; ${setting} says so`;
}

function tlsOf(ssl: unknown): Tls {
  if (ssl === undefined || ssl === false) return 'none';
  if (typeof ssl !== 'object' || ssl === null) return 'verified';
  if ('rejectUnauthorized' in ssl && ssl.rejectUnauthorized === false) return 'unverified';
  return 'checkServerIdentity' in ssl ? 'issuer' : 'verified';
}

/** requiresScram reads libpq's `require_auth`, which the driver does not know. */
function requiresScram(url: string): boolean {
  const method = new URLSearchParams(/\?(.*)$/s.exec(url)?.[1]).get('require_auth');
  if (method === null) return false;
  if (method !== 'scram-sha-256') throw new Error('require_auth in a URL of a database can be scram-sha-256');
  return true;
}
