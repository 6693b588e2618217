import { readFileSync } from 'node:fs';
import { credentials, Metadata, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';

export const DEFAULT_SERVER = '127.0.0.1:50051';

/** channelOptions let the largest answer in: a batch of a hundred secrets of 64 KiB. The library's limit is 4 MiB. */
export const channelOptions: ChannelOptions = { 'grpc.max_receive_message_length': 8 * 1024 * 1024 };

export interface ClientOptions {
  /** host:port of the service, `127.0.0.1:50051` if not given. */
  readonly server?: string;
  /** The caller's own token, sent as `authorization: Bearer`. */
  readonly token?: string;
  /** File of the authorities, PEM, that the server's certificate is checked against. Without it the channel is plaintext. */
  readonly ca?: string;
  /** Files of the caller's certificate chain and private key, PEM, for mutual TLS. */
  readonly cert?: string;
  readonly key?: string;
  /** Use TLS without checking the server's certificate: only for what neither carries nor brings anything that matters. */
  readonly skipVerification?: true;
  /** Milliseconds that a call may take, 10000 if not given. Streams have no limit. */
  readonly timeoutMs?: number;
}

/** channelCredentials reads the files that the options name. */
export function channelCredentials({ ca, cert, key, skipVerification }: ClientOptions): ChannelCredentials {
  if (ca === undefined && cert === undefined && skipVerification === undefined)
    return credentials.createInsecure();
  const file = (path: string | undefined): Buffer | null => (path === undefined ? null : readFileSync(path));
  return credentials.createSsl(file(ca), file(key), file(cert), {
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
