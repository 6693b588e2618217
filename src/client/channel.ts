import { DEFAULT_SERVER, usesTls as wouldUseTls, type ConnectOptions } from '@keyward/client/transport';

/** ClientOptions are what the commands, which ask one server once, connect with. */
export interface ClientOptions extends Omit<ConnectOptions, 'servers' | 'retry'> {
  /** host:port of the service, `127.0.0.1:50051` if not given. */
  readonly server?: string;
}

/** usesTls tells whether a channel with these options is TLS. */
export function usesTls({ server = DEFAULT_SERVER, ...settings }: ClientOptions): boolean {
  return wouldUseTls(server, settings);
}

/** connectOptions are those of the client package. Who waits at a terminal is told at once that a server is not there. */
export function connectOptions({ server = DEFAULT_SERVER, ...rest }: ClientOptions): ConnectOptions {
  return { ...rest, servers: server, retry: false };
}
