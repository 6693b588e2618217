import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Credentials } from './authenticator.js';

/** authContextOf is what the library tells of a call on that socket, to the letter. */
export function authContextOf(socket: Duplex | undefined): Credentials['authContext'] {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return {};
  const certificate = socket.getPeerCertificate();
  return {
    transportSecurityType: 'ssl',
    // An empty object stands for none.
    ...(Buffer.isBuffer(certificate.raw) ? { sslPeerCertificate: certificate } : {}),
  };
}
