import { constants, type ServerHttp2Stream } from 'node:http2';
import { status, type StatusObject } from '@grpc/grpc-js';
import { RepeatedResponse } from '../library.js';
import { FRAME_HEADER } from './inflate.js';

/** The headers are those of the library. */
const CONTENT_TYPE = { ':status': constants.HTTP_STATUS_OK, 'content-type': 'application/grpc+proto' };
const HEADERS = {
  ...CONTENT_TYPE,
  'grpc-accept-encoding': 'identity,deflate,gzip',
  'grpc-encoding': 'identity',
};
const OK_TRAILERS = { 'grpc-status': status.OK, 'grpc-message': 'OK' };

/** MessageSender answers calls with one message each and the status OK, on streams that the library does not have. */
export class MessageSender {
  readonly #response = new RepeatedResponse(HEADERS, { waitForTrailers: true });

  send(stream: ServerHttp2Stream, message: Buffer): void {
    if (stream.destroyed || stream.closed) return;
    const frame = Buffer.allocUnsafe(FRAME_HEADER + message.length);
    frame[0] = 0;
    frame.writeUInt32BE(message.length, 1);
    message.copy(frame, FRAME_HEADER);
    stream.on('wantTrailers', sendOkTrailers);
    this.#response.begin(stream);
    stream.end(frame);
  }
}

function sendOkTrailers(this: ServerHttp2Stream): void {
  if (!this.destroyed && !this.closed) this.sendTrailers(OK_TRAILERS);
}

/**
 * sendStatus refuses a call in the way and with the bytes of the library, which may have the stream too, but answers no more.
 * What is still to come of the request is dropped.
 */
export function sendStatus(stream: ServerHttp2Stream, { code, details, metadata }: StatusObject): void {
  if (stream.destroyed || stream.closed || stream.headersSent) return;
  const trailers = {
    'grpc-status': code,
    'grpc-message': encodeURI(details),
    ...CONTENT_TYPE,
    ...metadata.toHttp2Headers(),
  };
  stream.respond(trailers, { endStream: true });
  stream.respond = respondNoMore;
  closeAnswered(stream);
}

function respondNoMore(): void {
  // The stream has its answer.
}

/**
 * closeAnswered closes a stream whose answer is on its way: its client need not end the request. It does so when nothing is
 * being read: from Node 22 on, a stream that is closed while its connection is read loses an answer that is not yet sent.
 */
export function closeAnswered(stream: ServerHttp2Stream): void {
  setImmediate(close, stream);
}

function close(stream: ServerHttp2Stream): void {
  if (!stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR);
}
