import { readFileSync } from 'node:fs';
import { credentials, Metadata, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { systemClock } from '../lib/clock.js';
import { timerMs } from '../lib/timers.js';
import { systemAuthorities } from './authorities.js';
import { hasPort, isLoopback } from './server-address.js';

export const DEFAULT_SERVER = '127.0.0.1:50051';

/** A batch of a hundred secrets of 64 KiB is the largest answer; the library's limit is 4 MiB. */
const MAX_ANSWER = 8 * 1024 * 1024;

export interface ClientOptions {
  /**
   * host:port of the service, `127.0.0.1:50051` if not given. On loopback (127.0.0.0/8, ::1, localhost, a Unix socket)
   * the channel is plaintext unless `tls`, `ca` or `cert` is given; anywhere else it is TLS unless `plaintext` is.
   */
  readonly server?: string;
  /** The caller's own token, sent as `authorization: Bearer`. */
  readonly token?: string;
  /** Use TLS on loopback too. */
  readonly tls?: true;
  /** File of the authorities, PEM, that the server's certificate is checked against; this machine's if not given. */
  readonly ca?: string;
  /** Files of the caller's certificate chain and private key, PEM, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** Send everything, the token too, unencrypted: only for a network that encrypts by itself. */
  readonly plaintext?: true;
  /** Connect through the proxy that `grpc_proxy`, `https_proxy` or `http_proxy` names, with TLS, and never to loopback. */
  readonly proxy?: true;
  /** Use TLS without checking the server's certificate: only for what neither carries nor brings anything that matters. */
  readonly skipVerification?: true;
  /**
   * Milliseconds that a call may take. If not given, 300000 for those that may delete any number of tokens
   * (RevokeUserTokens, DeleteUser, DeleteUserProfile, DeleteAccount) and 10000 for others. Streams have no limit.
   */
  readonly timeoutMs?: number;
}

/** Those of calls that go through any number of rows, and of all others. */
const LONG_TIMEOUT_MS = 300_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const LONG_METHOD = /\/(?:RevokeUserTokens|DeleteUser|DeleteUserProfile|DeleteAccount)$/;

/** timeoutOf is how many milliseconds a call of a method may take where nobody says; `usual` for most of them. */
export function timeoutOf(path: string, usual = DEFAULT_TIMEOUT_MS): number {
  return LONG_METHOD.test(path) ? LONG_TIMEOUT_MS : usual;
}

/** deadlineIn is the deadline of a call that begins now. The library compares it with the wall clock, and waits by a timer. */
export function deadlineIn(ms: number): number {
  return systemClock.now() + timerMs(ms);
}

/**
 * channelArguments are what the library's clients are constructed with.
 *
 * @throws Error if the options contradict each other, or a file that they name cannot be read
 */
export function channelArguments(options: ClientOptions): [string, ChannelCredentials, ChannelOptions] {
  const { server = DEFAULT_SERVER, proxy } = options;
  if (!hasPort(server))
    throw new Error(`the server "${server}" has no port: give <host>:<port>, for example ${server}:50051`);
  const isPlaintext = !usesTls(options);
  if (proxy === true && isLoopback(server))
    throw new Error(`no proxy leads to ${server}, which is this machine`);
  if (proxy === true && isPlaintext)
    throw new Error('a proxy would see what is sent in plaintext: use TLS with it');
  return [
    server,
    isPlaintext ? credentials.createInsecure() : tlsCredentials(options),
    {
      'grpc.max_receive_message_length': MAX_ANSWER,
      // Otherwise the library obeys http_proxy, even on loopback and in plaintext.
      'grpc.enable_http_proxy': proxy === true ? 1 : 0,
    },
  ];
}

/** usesTls tells whether a channel with these options is TLS. */
export function usesTls({
  server = DEFAULT_SERVER,
  plaintext,
  tls,
  ca,
  cert,
  key,
  skipVerification,
}: ClientOptions): boolean {
  const asksForTls = [tls, ca, cert, key, skipVerification].some((option) => option !== undefined);
  if (plaintext === true && asksForTls) throw new Error('plaintext does not go with tls, ca, cert or key');
  if ((cert === undefined) !== (key === undefined)) throw new Error('cert and key must be given together');
  return asksForTls || (plaintext !== true && !isLoopback(server));
}

function tlsCredentials({ ca, cert, key, skipVerification }: ClientOptions): ChannelCredentials {
  const file = (path: string | undefined): Buffer | null => (path === undefined ? null : readFileSync(path));
  return credentials.createSsl(file(ca) ?? systemAuthorities(process.env), file(key), file(cert), {
    rejectUnauthorized: skipVerification !== true,
  });
}

/** callMetadata is what every call carries. */
export function callMetadata({ token }: ClientOptions): Metadata {
  const metadata = new Metadata();
  // The library's own refusal would quote the token.
  if (token !== undefined && !/^[\x20-\x7e]*$/.test(token)) {
    throw new Error("the caller's token holds characters that no header can carry");
  }
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}
