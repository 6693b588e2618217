import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { authContextOf } from '../rpc/auth-context.js';
import type { Credentials } from '../rpc/authenticator.js';

/** Who asks: its token, and the key's id where it gave one too. */
export interface HttpCredentials {
  /** As in the metadata of a gRPC call; undefined for a client certificate. */
  readonly authorization: string | undefined;
  readonly keyId: string | undefined;
}

const GATEWAY_TOKEN = 'x-keyward-gateway-token';
const BASIC = /^ *basic +([A-Za-z0-9+/_=-]+) *$/i;
const contexts = new WeakMap<Socket, Credentials['authContext']>();

/** gatewayCredentials are those of a gateway, which hands its client's `authorization` on. */
export function gatewayCredentials(request: IncomingMessage): HttpCredentials {
  const token = only(request, GATEWAY_TOKEN);
  return { authorization: token && `Bearer ${token}`, keyId: undefined };
}

/** ownCredentials are those of a caller who may present its own in `authorization`, by Basic as well. */
export function ownCredentials(request: IncomingMessage): HttpCredentials {
  const authorization = only(request, 'authorization');
  if (authorization === undefined) return gatewayCredentials(request);
  const basic = BASIC.exec(authorization)?.[1];
  return basic === undefined ? { authorization, keyId: undefined } : readBasic(basic);
}

/** authContext is that of the connection: who its certificate names does not change while it lasts. */
export function authContext({ socket }: IncomingMessage): Credentials['authContext'] {
  const known = contexts.get(socket) ?? authContextOf(socket);
  contexts.set(socket, known);
  return known;
}

/** peerOf is the other end of the connection, written as gRPC does. */
export function peerOf({ socket }: IncomingMessage): string {
  const { remoteAddress = 'unknown', remotePort = 0, remoteFamily } = socket;
  return remoteFamily === 'IPv6' ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}

/** only is the header of a name; one that is there twice is none that could be accepted. */
function only({ headersDistinct }: IncomingMessage, name: string): string | undefined {
  const values = headersDistinct[name];
  return values === undefined || values.length === 1 ? values?.[0] : '';
}

/** readBasic reads `id:token`, each of them form-encoded as OAuth has it. What cannot be read is refused. */
function readBasic(basic: string): HttpCredentials {
  const text = Buffer.from(basic, 'base64').toString();
  const colon = text.indexOf(':');
  const keyId = formDecoded(text.slice(0, Math.max(colon, 0)));
  const token = formDecoded(text.slice(colon + 1));
  return { authorization: keyId === '' ? '' : `Bearer ${token}`, keyId };
}

function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return '';
  }
}
