import { Readable } from 'node:stream';
import type { ServerHttp2Stream } from 'node:http2';
import { streamOf } from '../library.js';
import type { Admission } from './method-rules.js';
import type { RequestBody } from './request-body.js';

const BODY = Symbol('request body');

interface Guarded {
  [BODY]?: RequestBody;
}

/** guardStream has a body take what comes for a stream. */
export function guardStream(stream: ServerHttp2Stream, body: RequestBody): void {
  (stream as Guarded)[BODY] = body;
  stream.push = pushIntoBody;
}

/** bodyOf is the body that guards a stream. */
export function bodyOf(stream: object): RequestBody | undefined {
  return (stream as Guarded)[BODY];
}

/** admissionOf is the admission of one of the library's calls; undefined if it did not come through the front door. */
export function admissionOf(call: object): Admission | undefined {
  const stream = streamOf(call);
  return stream === undefined ? undefined : bodyOf(stream);
}

/** pushToStream does what Node's own streams do with what is pushed. */
export function pushToStream(stream: ServerHttp2Stream, piece: Buffer | null): boolean {
  return Readable.prototype.push.call(stream, piece);
}

/** Node pushes what comes for a stream with this, and so into its body instead. */
function pushIntoBody(this: ServerHttp2Stream, piece: Buffer | null): boolean {
  return bodyOf(this)?.receive(piece) ?? pushToStream(this, piece);
}

/** ignore keeps an error of a stream that the library does not listen to yet from ending the process. */
export function ignore(): void {
  // The end of the stream follows.
}

/** discardBody lets nothing that comes for a stream into memory. */
export function discardBody(stream: ServerHttp2Stream): void {
  stream.push = (piece: Buffer | null) => (piece === null ? pushToStream(stream, null) : false);
}
