import { readFile } from 'node:fs/promises';
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js';
import type { Config } from '../config.js';
import { keepPaddedFields } from './library.js';
import { keepStreamsYoung } from './young-streams.js';

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
  keepPaddedFields(server);
  return server;
}

/** serverCredentials reads the TLS files, if there are any. With client authorities, every client must present a certificate. */
export async function serverCredentials({
  tlsCert,
  tlsKey,
  tlsClientCa,
}: Config): Promise<ServerCredentials> {
  if (tlsCert === undefined || tlsKey === undefined) return ServerCredentials.createInsecure();
  const [cert, key, ca] = await Promise.all([
    readFile(tlsCert),
    readFile(tlsKey),
    tlsClientCa === undefined ? null : readFile(tlsClientCa),
  ]);
  return ServerCredentials.createSsl(ca, [{ cert_chain: cert, private_key: key }], ca !== null);
}

/** listen starts to serve and returns the port. */
export function listen(
  server: Server,
  { host, port }: Config['listen'],
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (error, bound) => {
      if (error === null) {
        keepStreamsYoung(server);
        resolve(bound);
      } else reject(new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error }));
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
