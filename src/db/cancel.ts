import pg from 'pg';

const LIMIT_MS = 2_000;

/** Canceling is what the driver's types do not tell of. */
interface Canceling {
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number | null, secretKey: number | null): void;
}

interface Identified {
  readonly processID: number | null;
  readonly secretKey: number | null;
}

/**
 * askToCancel asks the server of a client, by a connection of its own, to give up the statement that it works on. It
 * is not known whether that helps: the statement may have ended, and the server not be reached.
 */
export function askToCancel(client: pg.Client, config: pg.ClientConfig): void {
  const { processID, secretKey } = client as unknown as Identified;
  const anew = { ...config };
  delete anew.stream;
  const { connection, ssl, host, port } = new pg.Client(anew);
  const canceling = connection as unknown as Canceling;
  const limit = setTimeout(() => connection.stream.destroy(), LIMIT_MS).unref();
  const cancel = (): void => {
    canceling.cancel(processID, secretKey);
  };
  connection
    .on('connect', () => {
      if (ssl) canceling.requestSsl();
      else cancel();
    })
    .on('sslconnect', cancel)
    .on('error', () => connection.stream.destroy())
    // The server closes the connection when it has passed the request on.
    .on('end', () => {
      clearTimeout(limit);
    });
  if (host.startsWith('/')) canceling.connect(`${host}/.s.PGSQL.${port}`);
  else canceling.connect(port, host);
}
