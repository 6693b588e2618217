import { once } from 'node:events';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import { status } from '@grpc/grpc-js';

/** RawAnswer is the end of a call as it came over the wire. */
export interface RawAnswer {
  /** Name of the status; `no status` if the stream ended without one, `no answer` if it did not end in time. */
  readonly code: string;
  readonly message: string;
  /** All that came: the header fields, binary ones as bytes too, and the body. */
  readonly received: Buffer;
}

/** RawCall is a call whose body the test writes. */
export interface RawCall {
  write(bytes: Buffer): void;
  end(bytes: Buffer): void;
  readonly answer: Promise<RawAnswer>;
}

const WATCH = /\/Watch\w+$/;

/** RawHttp2 sends gRPC calls without a gRPC library: any bytes as the message, any headers. */
export class RawHttp2 {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
  }

  static open(port: number): Promise<RawHttp2> {
    return RawHttp2.connect(`http://127.0.0.1:${port}`);
  }

  /** connect opens a connection to a URL, with TLS where that says https. */
  static async connect(url: string, tls: SecureClientSessionOptions = {}): Promise<RawHttp2> {
    const session = connect(url, { ...tls, settings: { enablePush: false } });
    await once(session, 'connect');
    session.on('error', () => undefined); // The calls under way report it, each as status -1.
    return new RawHttp2(session);
  }

  /** call sends one message. A watch, which has no end, is ended with the first message that it gives, and is OK. */
  call(
    path: string,
    body: Buffer,
    headers: Readonly<Record<string, string>>,
    limitMs: number,
  ): Promise<RawAnswer> {
    const call = this.begin(path, headers, limitMs);
    call.end(body);
    return call.answer;
  }

  /** begin is the same for a body that comes in pieces, or never to its end. */
  begin(path: string, headers: Readonly<Record<string, string>>, limitMs: number): RawCall {
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    return {
      write: (bytes) => void stream.write(bytes),
      end: (bytes) => void stream.end(bytes),
      answer: answerOf(stream, WATCH.test(path), limitMs),
    };
  }

  /** isOpen tells whether the server has not closed the connection, and takes further calls. */
  get isOpen(): boolean {
    return !this.#session.closed && !this.#session.destroyed;
  }

  close(): void {
    this.#session.destroy();
  }
}

function answerOf(stream: ClientHttp2Stream, isWatch: boolean, limitMs: number): Promise<RawAnswer> {
  return new Promise((resolve) => {
    let answer = { code: 'no status', message: '' };
    const received: Buffer[] = [];
    const read = (headers: IncomingHttpHeaders): void => {
      received.push(...bytesOf(headers));
      const { 'grpc-status': code, 'grpc-message': message } = headers;
      if (typeof code !== 'string') return;
      answer = { code: status[Number(code)] ?? code, message: typeof message === 'string' ? message : '' };
    };
    const timer = setTimeout(() => {
      answer = { code: 'no answer', message: `no answer within ${limitMs} ms` };
      stream.close(constants.NGHTTP2_CANCEL);
    }, limitMs);
    stream.on('response', read).on('trailers', read);
    stream.on('error', () => undefined); // `close` follows, and the status says what is known.
    stream.on('close', () => {
      clearTimeout(timer);
      resolve({ ...answer, received: Buffer.concat(received) });
    });
    stream.on('data', (chunk: Buffer) => {
      received.push(chunk);
      if (!isWatch) return;
      answer = { code: 'OK', message: '' };
      stream.close(constants.NGHTTP2_CANCEL);
    });
  });
}

function bytesOf(headers: IncomingHttpHeaders): Buffer[] {
  return Object.entries(headers).flatMap(([name, value]) => [
    Buffer.from(`${name}: ${String(value)}\n`),
    ...(name.endsWith('-bin') ? [Buffer.from(String(value), 'base64')] : []),
  ]);
}

/** framed is a message with gRPC's five bytes before it. */
export function framed(message: Buffer): Buffer {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}
