import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import type { Config } from '../config.js';
import { replaceTls, setSessionOptions } from './library.js';
import type { ServerTls } from './server-tls.js';

/**
 * newGrpcServer makes the library's server with limits that keep memory flat under overload. It silences the
 * library's own log, whatever the environment says: it quotes headers that it cannot read, such as credentials
 * with a tab in them, and else tells of errors that callers get too.
 */
export function newGrpcServer(): Server {
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    'grpc.max_concurrent_streams': 100,
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
    'grpc.enable_channelz': 0,
  });
  setSessionOptions(server);
  return server;
}

/** serverCredentials serves plaintext without TLS. With client authorities, every client must present a certificate. */
export function serverCredentials(tls: ServerTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const { cert, key, ca } = tls;
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], ca !== null);
}

/** renewTls has a server that serves TLS use other files for the connections to come. */
export function renewTls(server: Server, tls: ServerTls): void {
  replaceTls(server, serverCredentials(tls));
}

/** listen starts to serve and returns the port. */
export function listen(
  server: Server,
  { host, port }: Config['listen'],
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else
        reject(
          new Error(`cannot listen on ${host}:${port} (KEYWARD_LISTEN): ${error.message}`, { cause: error }),
        );
    });
  });
}

/** drain lets calls under way end, for at most `limitMs`, then ends them. */
export async function drain(server: Server, limitMs: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, limitMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
