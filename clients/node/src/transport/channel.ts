import { readFileSync } from 'node:fs';
import { AnsweredCredentials } from './answered-credentials.js';
import { systemAuthorities } from './authorities.js';
import { usesTls, type ChannelSettings, type Keepalive } from './channel-settings.js';
import { ChannelCredentials, type ChannelOptions } from './grpc-js.js';
import { hasPort, isLoopback } from './server-address.js';

export const DEFAULT_SERVER = '127.0.0.1:50051';

/** A batch of a hundred secrets of 64 KiB is the largest answer; the library's limit is 4 MiB. */
const MAX_ANSWER = 8 * 1024 * 1024;

/** The library would wait up to two minutes before it tries to connect again. */
const RECONNECT_AFTER_MS = { initial: 50, max: 1_000 };

/** A connection over which nothing comes for both together is given up. */
const KEEPALIVE: Keepalive = { timeMs: 2_000, timeoutMs: 2_000 };

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
    new AnsweredCredentials(isPlaintext ? ChannelCredentials.createInsecure() : tlsCredentials(settings)),
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
      // A connection that is begun anew is not to be the one from before.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
      ...(keepalive === false
        ? {}
        : {
            'grpc.keepalive_time_ms': keepalive.timeMs,
            'grpc.keepalive_timeout_ms': keepalive.timeoutMs,
          }),
    },
  ];
}

function tlsCredentials({ ca, cert, key, skipVerification }: ChannelSettings): ChannelCredentials {
  const file = (path: string | undefined): Buffer | null => (path === undefined ? null : readFileSync(path));
  return ChannelCredentials.createSsl(file(ca) ?? systemAuthorities(process.env), file(key), file(cert), {
    rejectUnauthorized: skipVerification !== true,
  });
}
