import { isLoopback } from './server-address.js';

/** Keepalive is how a connection that is dead is found out while calls wait for it. */
export interface Keepalive {
  /** After how many milliseconds without a sign of life one is asked for. */
  readonly timeMs: number;
  /** How many milliseconds the answer may take. */
  readonly timeoutMs: number;
}

export interface ChannelSettings {
  /** Use TLS on loopback too. */
  readonly tls?: boolean;
  /** File of the authorities, PEM, that the server's certificate is checked against; this machine's if not given. */
  readonly ca?: string;
  /** Files of the caller's certificate chain and private key, PEM, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** Send everything, the token too, unencrypted: only for a network that encrypts by itself. */
  readonly plaintext?: boolean;
  /** Connect through the proxy that `grpc_proxy`, `https_proxy` or `http_proxy` names, with TLS, and never to loopback. */
  readonly proxy?: boolean;
  /** Use TLS without checking the server's certificate: only for what neither carries nor brings anything that matters. */
  readonly skipVerification?: boolean;
  /** When a connection counts as dead: 2000 and 2000 if not given; false: only when the machine says so. */
  readonly keepalive?: Keepalive | false;
}

/** usesTls tells whether a channel to a server with these settings is TLS. */
export function usesTls(
  server: string,
  { plaintext, tls, ca, cert, key, skipVerification }: ChannelSettings,
): boolean {
  const asksForTls =
    tls === true || skipVerification === true || [ca, cert, key].some((file) => file !== undefined);
  if (plaintext === true && asksForTls) throw new Error('plaintext does not go with tls, ca, cert or key');
  if ((cert === undefined) !== (key === undefined)) throw new Error('cert and key must be given together');
  return asksForTls || (plaintext !== true && !isLoopback(server));
}
