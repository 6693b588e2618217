import type { Server } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

/**
 * limitConnections closes the connection of an HTTP server that has asked nothing for the longest where there is one too
 * many. A connection that is not encrypted yet is one too.
 */
export function limitConnections(server: Server | TlsServer, most: number): void {
  const connections = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    connections.set(peer, socket);
    socket.once('close', () => {
      if (connections.get(peer) === socket) connections.delete(peer);
    });
    if (connections.size <= most) return;
    const [idle] = connections;
    if (idle === undefined) return;
    connections.delete(idle[0]);
    idle[1].destroy();
  });
  server.on('request', ({ socket }: IncomingMessage) => {
    // The socket of TLS is another than that of the connection. A map keeps the order in which its elements came.
    const peer = peerOf(socket);
    const connection = connections.get(peer);
    if (connection !== undefined && connections.delete(peer)) connections.set(peer, connection);
  });
}

function peerOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
