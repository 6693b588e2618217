/** The few HTTP/2 frames (RFC 9113) and HPACK forms (RFC 7541) that a load of gRPC calls is made of. */

export const FRAME = {
  data: 0,
  headers: 1,
  resetStream: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
} as const;
export const FLAG = { ack: 0x1, endStream: 0x1, endHeaders: 0x4 } as const;
export const FRAME_HEADER_BYTES = 9;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES + payload.length);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = type;
  bytes[4] = flags;
  bytes.writeUInt32BE(streamId, 5);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** opening is what a client sends first: it never holds the server back. */
export function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
  settings.writeUInt32BE(MAX_WINDOW, 2);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(MAX_WINDOW - DEFAULT_WINDOW);
  return Buffer.concat([
    Buffer.from(PREFACE),
    frame(FRAME.settings, 0, 0, settings),
    frame(FRAME.windowUpdate, 0, 0, window),
  ]);
}

/** messageOf frames a message as gRPC does: not compressed, with its length. */
export function messageOf(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

/** headerBlocks are the request headers as clients send them: in full on the first call of a connection, then by index. */
export function headerBlocks(
  authority: string,
  path: string,
  authorization: string,
): { first: Buffer; later: Buffer } {
  const POST = Buffer.from([0x83]);
  const HTTP = Buffer.from([0x86]);
  const credentials = literal(0x10, 23, authorization);
  const indexed = [
    literal(0x40, 1, authority),
    literal(0x40, 4, path),
    literal(0x40, 58, 'keyward-bench'),
    literal(0x40, 31, 'application/grpc'),
    Buffer.concat([Buffer.from([0x40]), text('te'), text('trailers')]),
  ];
  // The newest entry of the dynamic table is number 62.
  const references = Buffer.from(indexed.map((_, index) => 0x80 | (62 + indexed.length - 1 - index)));
  return {
    first: Buffer.concat([POST, HTTP, ...indexed, credentials]),
    later: Buffer.concat([POST, HTTP, references, credentials]),
  };
}

/** literal is a header whose name is in the static table: 0x40 to be remembered, 0x10 never to be. */
function literal(form: 0x40 | 0x10, nameIndex: number, value: string): Buffer {
  const prefix = form === 0x40 ? 63 : 15;
  const name = nameIndex < prefix ? [form | nameIndex] : [form | prefix, nameIndex - prefix];
  return Buffer.concat([Buffer.from(name), text(value)]);
}

function text(value: string): Buffer {
  if (value.length > 127) throw new Error('a header of the benchmark is too long');
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
}
