import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';

/** Recorder keeps all bytes that were sent to it. */
export interface Recorder {
  readonly port: number;
  /** received is what clients sent, as text of single bytes. */
  received(): string;
  close(): void;
}

/** startRecordingProxy is an HTTP proxy that connects wherever it is asked to, and keeps what clients sent. */
export async function startRecordingProxy(): Promise<Recorder> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  const server = createServer((request, response) => {
    chunks.push(
      Buffer.from(`${request.method ?? ''} ${request.url ?? ''} ${request.rawHeaders.join(' ')}\n`),
    );
    response.writeHead(405).end();
  });
  server.on('connect', (request, near: Socket, head: Buffer) => {
    chunks.push(Buffer.from(`CONNECT ${request.url ?? ''} ${request.rawHeaders.join(' ')}\n`), head);
    const { hostname, port } = new URL(`http://${request.url ?? ''}`);
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
    }
    near.on('data', (chunk: Buffer) => chunks.push(chunk));
    near.write('HTTP/1.1 200 Connection established\r\n\r\n');
    far.write(head);
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(chunks).toString('latin1'),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      server.closeAllConnections();
    },
  };
}

/** startRecorder is a server, on all addresses, that keeps what it gets, answers nothing, and soon hangs up. */
export async function startRecorder(): Promise<Recorder> {
  const chunks: Buffer[] = [];
  const server = createTcpServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      // Plaintext HTTP/2 sends the headers of the call only after the server's settings.
      if (!isTls(Buffer.concat(chunks))) socket.write(EMPTY_SETTINGS);
      else socket.end();
    });
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => Buffer.concat(chunks).toString('latin1'),
    close: () => server.close(),
  };
}

const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const HANDSHAKE_RECORD = 22;

/** isTls tells whether what a client sent begins a TLS handshake. */
export function isTls(sent: Buffer): boolean {
  return sent[0] === HANDSHAKE_RECORD;
}
