import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { FLAG, FRAME, FRAME_HEADER_BYTES, frame, opening } from '../bench/http2-frames.js';

/** Field is a header field, written as it stands. */
export type Field = readonly [name: string, value: string];

/** RawRequest is a call as frames, and when it ends. */
export interface RawRequest {
  readonly fields: readonly Field[];
  /** The payloads of its DATA frames. */
  readonly pieces: readonly Buffer[];
  /**
   * With its last frame; by a frame of its own; by one that comes when the server has read all before; reset instead, when
   * that is so; or not at all.
   */
  readonly end: 'at once' | 'apart' | 'later' | 'reset' | 'never';
}

const CANCEL = Buffer.from([0, 0, 0, 8]);
const PADDED = 0x8;
/** What says how an answer is ended, and what was read before it. How much may be sent is not compared. */
const COMPARED: readonly number[] = [FRAME.data, FRAME.headers, FRAME.resetStream, FRAME.ping, FRAME.goAway];

/** answerTo is every frame that a server sends on a new connection to one request, byte for byte. */
export async function answerTo(port: number, request: RawRequest): Promise<string[]> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  try {
    await once(socket, 'connect');
    return await talk(socket, request);
  } finally {
    socket.destroy();
  }
}

function talk(socket: Socket, { fields, pieces, end }: RawRequest): Promise<string[]> {
  const answer: string[] = [];
  let rest: Buffer = Buffer.alloc(0);
  socket.write(Buffer.concat([opening(), ...framesOf(fields, pieces, end)]));
  return new Promise((resolve) => {
    const onFrame = (type: number, flags: number, bytes: Buffer): void => {
      if (COMPARED.includes(type)) answer.push(bytes.toString('hex'));
      if (type === FRAME.ping && (flags & FLAG.ack) !== 0) {
        if (end === 'reset') resolve(answer);
        else socket.write(frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(0)));
      }
      const isLast = (type === FRAME.headers || type === FRAME.data) && (flags & FLAG.endStream) !== 0;
      if (isLast || type === FRAME.resetStream || type === FRAME.goAway) resolve(answer);
    };
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= FRAME_HEADER_BYTES && rest.length >= FRAME_HEADER_BYTES + rest.readUIntBE(0, 3)) {
        const length = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
        const bytes = rest.subarray(0, length);
        rest = rest.subarray(length);
        onFrame(bytes[3] ?? 0, bytes[4] ?? 0, bytes);
      }
    });
    socket.on('error', () => {
      resolve(answer);
    });
    socket.on('close', () => {
      resolve([...answer, 'closed']);
    });
  });
}

function framesOf(fields: readonly Field[], pieces: readonly Buffer[], end: RawRequest['end']): Buffer[] {
  const isBare = end === 'at once' && pieces.length === 0;
  const headers = frame(FRAME.headers, FLAG.endHeaders | (isBare ? FLAG.endStream : 0), 1, blockOf(fields));
  const bodies = pieces.map((piece, index) => {
    const isLast = end === 'at once' && index === pieces.length - 1;
    // Every other one has a byte of padding.
    const payload = index % 2 === 0 ? piece : Buffer.concat([Buffer.from([1]), piece, Buffer.from([0])]);
    return frame(FRAME.data, (isLast ? FLAG.endStream : 0) | (index % 2 === 0 ? 0 : PADDED), 1, payload);
  });
  const ping = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
  const ends: Record<RawRequest['end'], Buffer[]> = {
    'at once': [],
    apart: [frame(FRAME.data, FLAG.endStream, 1, Buffer.alloc(0))],
    later: [ping],
    never: [],
    reset: [frame(FRAME.resetStream, 0, 1, CANCEL), ping],
  };
  return [headers, ...bodies, ...ends[end]];
}

/** blockOf writes fields one by one, none of them by an index. */
function blockOf(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
}

/** text is a string of HPACK: its length in the low seven bits, and in bytes that follow. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
