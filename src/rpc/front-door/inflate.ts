import { gunzip, gunzipSync, inflate, inflateSync, type InputType, type ZlibOptions } from 'node:zlib';
import { KeywardError, requestTooLarge } from '../../lib/errors.js';
import { hasCode } from '../../lib/errno.js';

/** Encoding is one that gRPC messages may be compressed in. */
export type Encoding = 'gzip' | 'deflate';

/** Before each message of gRPC: whether it is compressed, one byte, and its length, four. */
export const FRAME_HEADER = 5;

const ASYNC = { gzip: gunzip, deflate: inflate };
const SYNC: Record<Encoding, (input: InputType, options: ZlibOptions) => Buffer> = {
  gzip: gunzipSync,
  deflate: inflateSync,
};

/** encodingOf reads the header `grpc-encoding`; undefined for none, and for one that is not known here. */
export function encodingOf(header: string | string[] | undefined): Encoding | undefined {
  return header === 'gzip' || header === 'deflate' ? header : undefined;
}

/**
 * inflated makes a frame of a compressed one. Throws REQUEST_TOO_LARGE as soon as there is more than `most` bytes,
 * MALFORMED_REQUEST if it cannot be read.
 */
export function inflated(frame: Buffer, encoding: Encoding, most: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    ASYNC[encoding](frame.subarray(FRAME_HEADER), optionsFor(most), (error, message) => {
      if (error === null) resolve(framed(message));
      else reject(failure(error, most));
    });
  });
}

/** inflatedAtOnce is the same for messages whose limit is small. */
export function inflatedAtOnce(frame: Buffer, encoding: Encoding, most: number): Buffer {
  try {
    return framed(SYNC[encoding](frame.subarray(FRAME_HEADER), optionsFor(most)));
  } catch (error) {
    throw failure(error, most);
  }
}

function optionsFor(most: number): ZlibOptions {
  return { maxOutputLength: Math.max(most, 1) };
}

function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafeSlow(FRAME_HEADER + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, FRAME_HEADER);
  return frame;
}

function failure(error: unknown, most: number): KeywardError {
  return hasCode(error, 'ERR_BUFFER_TOO_LARGE')
    ? requestTooLarge(most)
    : new KeywardError('MALFORMED_REQUEST', 'The compressed message cannot be read.', { cause: error });
}

/** endOfMessage is where the message that begins there ends; undefined if its length is not there yet. */
export function endOfMessage(bytes: Buffer, start: number): number | undefined {
  return bytes.length - start < FRAME_HEADER
    ? undefined
    : start + FRAME_HEADER + bytes.readUInt32BE(start + 1);
}

/** isWhole tells whether a piece is one message to the letter, and not longer than that. */
export function isWhole(piece: Buffer, mostBytes: number): boolean {
  return endOfMessage(piece, 0) === piece.length && piece.length - FRAME_HEADER <= mostBytes;
}
