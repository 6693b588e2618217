import { readFileSync } from 'node:fs';
import { credentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { systemAuthorities } from './authorities.js';
import { hasPort, isLoopback } from './server-address.js';

export const DEFAULT_SERVER = '127.0.0.1:50051';

/** A batch of a hundred secrets of 64 KiB is the largest answer; the library's limit is 4 MiB. */
const MAX_ANSWER = 8 * 1024 * 1024;

/** The library would wait up to two minutes before it tries to connect again. */
const RECONNECT_AFTER_MS = { initial: 50, max: 2_000 };

/** A connection over which nothing comes for both together is given up. */
const KEEPALIVE: Keepalive = { timeMs: 2_000, timeoutMs: 2_000 };

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
  /** When a connection counts as dead; false: only when the machine says so. */
  readonly keepalive?: Keepalive | false;
}

/**
 * channelArguments are what the library's client of one server is constructed with.
 *
 * @throws Error if the settings contradict each other, or a file that they name cannot be read
 */
export function channelArguments(
  server: string,
  settings: ChannelSettings,
): [string, ChannelCredentials, ChannelOptions] {
  const { proxy, keepalive = KEEPALIVE } = settings;
  if (!hasPort(server))
    throw new Error(`the server "${server}" has no port: give <host>:<port>, for example ${server}:50051`);
  const isPlaintext = !usesTls(server, settings);
  if (proxy === true && isLoopback(server))
    throw new Error(`no proxy leads to ${server}, which is this machine`);
  if (proxy === true && isPlaintext)
    throw new Error('a proxy would see what is sent in plaintext: use TLS with it');
  return [
    server,
    isPlaintext ? credentials.createInsecure() : tlsCredentials(settings),
    {
      'grpc.max_receive_message_length': MAX_ANSWER,
      // Otherwise the library obeys http_proxy, even on loopback and in plaintext.
      'grpc.enable_http_proxy': proxy === true ? 1 : 0,
      // A name may stand for several servers.
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      'grpc.service_config_disable_resolution': 1,
      'grpc.initial_reconnect_backoff_ms': RECONNECT_AFTER_MS.initial,
      'grpc.max_reconnect_backoff_ms': RECONNECT_AFTER_MS.max,
      'grpc.dns_min_time_between_resolutions_ms': RECONNECT_AFTER_MS.max,
      ...(keepalive === false
        ? {}
        : {
            'grpc.keepalive_time_ms': keepalive.timeMs,
            'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
          }),
    },
  ];
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

function tlsCredentials({ ca, cert, key, skipVerification }: ChannelSettings): ChannelCredentials {
  const file = (path: string | undefined): Buffer | null => (path === undefined ? null : readFileSync(path));
  return credentials.createSsl(file(ca) ?? systemAuthorities(process.env), file(key), file(cert), {
    rejectUnauthorized: skipVerification !== true,
  });
}
