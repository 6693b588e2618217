import { TLSSocket } from 'node:tls';
import pg from 'pg';
import { readLink, withVerifiedTls, type DatabaseLink } from './database-link.js';

/** DatabaseClientConfig is the driver's, where the URL says how to connect. */
export type DatabaseClientConfig = pg.ClientConfig & { readonly connectionString: string };

/** ImpostorError says why a server is not talked to. */
class ImpostorError extends Error {
  override readonly name = 'ImpostorError';
  readonly code = 'KEYWARD_IMPOSTOR';
}

/**
 * DatabaseClient is the driver's client, made safe against who only poses as the database. Every connection to a
 * PostgreSQL is one:
 *
 * - Beyond this machine it uses verified TLS unless the URL says otherwise (see `readLink`).
 * - A password in clear leaves only through verified TLS.
 * - A server that begins SCRAM has to end it, which only one that knows the password can.
 * - Where the URL requires SCRAM, nothing else will do, not even a server that asks for nothing.
 */
export class DatabaseClient extends pg.Client {
  constructor(config: DatabaseClientConfig) {
    super(withVerifiedTls(config));
    guard(this.connection, readLink(config.connectionString));
  }
}

/**
 * guard ends a connection before the driver answers a message that it should not. It hears each message first,
 * since the driver begins to listen when it connects, and the driver writes nothing to a stream that is destroyed.
 */
function guard(connection: pg.Connection, { requiresScram }: DatabaseLink): void {
  let scram: 'not begun' | 'begun' | 'ended' = 'not begun';
  let isAuthenticated = false;
  let hasFailed = false;

  const refuse = (why: string): void => {
    connection.emit('error', new ImpostorError(`the server is not taken for the database: ${why}`));
  };
  connection.on('error', () => {
    // The driver itself leaves the connection open, for instance after a wrong proof of the server's.
    hasFailed = true;
    connection.stream.destroy();
  });
  connection.on('authenticationCleartextPassword', () => {
    if (!isVerified(connection.stream)) {
      refuse('it asks for the password in clear, and the connection is no verified TLS');
    }
  });
  connection.on('authenticationMD5Password', () => {
    if (requiresScram) refuse('it asks for a hash of the password, and SCRAM is required');
  });
  connection.on('authenticationSASL', () => (scram = 'begun'));
  connection.on('authenticationSASLFinal', () => {
    // The driver compares the server's proof next; a wrong one is an error.
    if (scram === 'begun') scram = 'ended';
  });
  connection.on('authenticationOk', () => {
    if (hasFailed) return;
    if (scram === 'begun') refuse('it did not show that it knows the password');
    else if (requiresScram && scram === 'not begun') refuse('it asks for no password, and SCRAM is required');
    else isAuthenticated = true;
  });
  connection.on('readyForQuery', () => {
    if (!isAuthenticated && !hasFailed) refuse('it skips the authentication');
  });
}

function isVerified(stream: pg.Connection['stream']): boolean {
  return stream instanceof TLSSocket && stream.authorized;
}
