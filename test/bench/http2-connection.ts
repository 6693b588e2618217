import { connect, type Socket } from 'node:net';
import { FLAG, FRAME, FRAME_HEADER_BYTES, frame, headerBlocks, messageOf, opening } from './http2-frames.js';
import type { Exchange } from './tokens.js';

/** PreparedExchange is an Exchange in gRPC's framing. */
export interface PreparedExchange {
  readonly request: Buffer;
  readonly response: Buffer;
}

export function prepareExchange({ request, response }: Exchange): PreparedExchange {
  return { request: messageOf(request), response: messageOf(response) };
}

/** Answered is told of every answer: how long it took, and whether it was the right one, byte for byte. */
type Answered = (milliseconds: number, right: boolean) => void;

interface Stream {
  readonly expected: Buffer;
  readonly sentAt: number;
  received: number;
  right: boolean;
}

/**
 * Http2Connection sends gRPC calls over one plaintext connection, as cheaply as it can: a general client costs
 * more than the server that it is to measure. A call that fails has no message, so it counts as wrong.
 */
export class Http2Connection {
  readonly #socket: Socket;
  readonly #first: Buffer;
  readonly #later: Buffer;
  readonly #answered: Answered;
  readonly #streams = new Map<number, Stream>();
  #nextStream = 1;
  #window = 65_535;
  readonly #blocked: PreparedExchange[] = [];
  #rest: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket, blocks: { first: Buffer; later: Buffer }, answered: Answered) {
    this.#socket = socket;
    this.#first = frame(FRAME.headers, FLAG.endHeaders, 0, blocks.first);
    this.#later = frame(FRAME.headers, FLAG.endHeaders, 0, blocks.later);
    this.#answered = answered;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.write(opening());
  }

  static open(port: number, path: string, token: string, answered: Answered): Promise<Http2Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        const blocks = headerBlocks(`127.0.0.1:${port}`, path, `Bearer ${token}`);
        resolve(new Http2Connection(socket, blocks, answered));
      });
    });
  }

  /** send waits until the server allows so much. */
  send(exchange: PreparedExchange): void {
    if (exchange.request.length > this.#window) this.#blocked.push(exchange);
    else this.#send(exchange);
  }

  #send({ request, response }: PreparedExchange): void {
    const id = this.#nextStream;
    const headers = id === 1 ? this.#first : this.#later;
    this.#nextStream += 2;
    this.#window -= request.length;
    const bytes = Buffer.allocUnsafe(headers.length + FRAME_HEADER_BYTES + request.length);
    bytes.set(headers);
    bytes.writeUInt32BE(id, 5);
    bytes.writeUIntBE(request.length, headers.length, 3);
    bytes[headers.length + 3] = FRAME.data;
    bytes[headers.length + 4] = FLAG.endStream;
    bytes.writeUInt32BE(id, headers.length + 5);
    bytes.set(request, headers.length + FRAME_HEADER_BYTES);
    this.#streams.set(id, { expected: response, sentAt: performance.now(), received: 0, right: true });
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    this.#socket.cork();
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      this.#onFrame(bytes, at, end);
      at = end;
    }
    this.#socket.uncork();
    this.#rest = bytes.subarray(at);
  }

  #onFrame(bytes: Buffer, at: number, end: number): void {
    const type = bytes[at + 3];
    const flags = bytes[at + 4] ?? 0;
    const id = bytes.readUInt32BE(at + 5);
    const start = at + FRAME_HEADER_BYTES;
    if (type === FRAME.data) this.#onData(id, bytes, start, end);
    else if (type === FRAME.windowUpdate && id === 0) this.#allow(bytes.readUInt32BE(start));
    else if (type === FRAME.resetStream) this.#onReset(id);
    else if (type === FRAME.goAway) throw new Error('the server broke off');
    else if (type === FRAME.settings && (flags & FLAG.ack) === 0)
      this.#write(frame(FRAME.settings, FLAG.ack, 0, new Uint8Array()));
    else if (type === FRAME.ping && (flags & FLAG.ack) === 0)
      this.#write(frame(FRAME.ping, FLAG.ack, 0, bytes.subarray(start, end)));
    if ((type === FRAME.headers || type === FRAME.data) && (flags & FLAG.endStream) !== 0) this.#onEnd(id);
  }

  #allow(bytes: number): void {
    this.#window += bytes;
    for (const exchange of this.#blocked.splice(0)) this.send(exchange);
  }

  #onData(id: number, bytes: Buffer, start: number, end: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw new Error('an answer to a call that was not made');
    const { expected, received } = stream;
    const upTo = received + end - start;
    stream.right &&= upTo <= expected.length && bytes.compare(expected, received, upTo, start, end) === 0;
    stream.received = upTo;
  }

  /** #onReset is told of a refusal without an answer, or of the end of one: the server may not have come to the end of the call. */
  #onReset(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    stream.right = false;
    this.#onEnd(id);
  }

  #onEnd(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) throw new Error('an end of a call that was not made');
    this.#streams.delete(id);
    this.#answered(
      performance.now() - stream.sentAt,
      stream.right && stream.received === stream.expected.length,
    );
  }

  #write(bytes: Buffer): void {
    this.#socket.write(bytes);
  }
}
