import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ListenOptions, type Socket } from 'node:net';
import { TLSSocket, type SecureContext } from 'node:tls';

/** Trick is how an impostor goes about it, once it has the startup message. */
export type Trick =
  | 'asks for the password in clear'
  | 'asks for a hash of the password'
  | 'asks for no password'
  | 'skips the authentication'
  | 'begins SCRAM and does not end it'
  | 'ends SCRAM with a proof of its own';

/** Impostor poses as a PostgreSQL, and keeps what it is told. */
export interface Impostor {
  readonly port: number;
  /** heard has what came in after the startup message, a text for each message with its type in front. */
  readonly heard: readonly string[];
  /** connections counts those that came. */
  connections(): number;
  close(): Promise<void>;
}

const AUTHENTICATION_OK = [message('R', int32(0))];
const READY = [message('K', Buffer.concat([int32(1), int32(1)])), message('Z', Buffer.from('I'))];
const SSL_REQUEST = 80877103;

/** startImpostor listens on a port of 127.0.0.1, or on what it is given; with a context it speaks TLS if asked to. */
export async function startImpostor(
  trick: Trick,
  where: ListenOptions = { host: '127.0.0.1', port: 0 },
  secureContext?: SecureContext,
): Promise<Impostor> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((plain) => {
    connections += 1;
    sockets.add(plain.on('error', () => plain.destroy()));
    serve(plain, trick, heard, secureContext);
  });
  server.listen(where);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    heard,
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function serve(
  socket: Socket,
  trick: Trick,
  heard: string[],
  secureContext: SecureContext | undefined,
): void {
  let input = Buffer.alloc(0);
  let isStarted = false;
  const send = (...messages: Buffer[]) => socket.write(Buffer.concat(messages));
  const onData = (chunk: Buffer): void => {
    input = Buffer.concat([input, chunk]);
    // The startup message alone has no type in front.
    const head = isStarted ? 1 : 0;
    while (input.length >= head + 4 && input.length >= head + input.readInt32BE(head)) {
      const length = head + input.readInt32BE(head);
      const [first, rest] = [input.subarray(0, length), input.subarray(length)];
      input = rest;
      if (!isStarted && first.readInt32BE(4) === SSL_REQUEST) {
        if (secureContext === undefined) send(Buffer.from('N'));
        else {
          send(Buffer.from('S'));
          socket.off('data', onData);
          const secure = new TLSSocket(socket, { isServer: true, secureContext });
          secure.on('error', () => socket.destroy());
          serve(secure, trick, heard, undefined);
          return;
        }
      } else if (!isStarted) {
        isStarted = true;
        send(...opening(trick));
        return onData(Buffer.alloc(0));
      } else {
        heard.push(`${String.fromCharCode(first.readUInt8(0))}: ${first.subarray(5).toString('latin1')}`);
        send(...answer(trick, first));
      }
    }
  };
  socket.on('data', onData);
}

/** opening is what the trick says to the startup message. */
function opening(trick: Trick): Buffer[] {
  switch (trick) {
    case 'asks for the password in clear':
      return [message('R', int32(3))];
    case 'asks for a hash of the password':
      return [message('R', Buffer.concat([int32(5), Buffer.from('salt')]))];
    case 'asks for no password':
      return [...AUTHENTICATION_OK, ...READY];
    case 'skips the authentication':
      return READY;
    default:
      return [message('R', Buffer.concat([int32(10), Buffer.from('SCRAM-SHA-256\0\0')]))];
  }
}

/** answer is what the trick says to whatever it is told next: in the end that all is well. */
function answer(trick: Trick, told: Buffer): Buffer[] {
  if (told.readUInt8(0) !== 'p'.charCodeAt(0) || !trick.includes('SCRAM')) {
    return [...AUTHENTICATION_OK, ...READY];
  }
  const nonce = /n=\*,r=(.+)$/.exec(told.toString('latin1'))?.[1];
  if (nonce !== undefined) {
    const challenge = `r=${nonce}more,s=${Buffer.from('salt').toString('base64')},i=4096`;
    return [message('R', Buffer.concat([int32(11), Buffer.from(challenge)]))];
  }
  const proof = `v=${createHash('sha256').update('a guess').digest('base64')}`;
  const end = trick.includes('proof') ? [message('R', Buffer.concat([int32(12), Buffer.from(proof)]))] : [];
  return [...end, ...AUTHENTICATION_OK, ...READY];
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}
