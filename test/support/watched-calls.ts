import { framed, RawHttp2 } from './raw-http2.js';
import { encodeRequest, pathOf, type MethodName, type RequestOf } from './rpc.js';

const LIMIT_MS = 20_000;

/** WatchedCalls are calls of a service of which everything is kept that came back: header fields, trailers, messages. */
export class WatchedCalls {
  readonly #wire: RawHttp2;
  readonly #token: string;
  readonly #heard: Buffer[] = [];

  private constructor(wire: RawHttp2, token: string) {
    this.#wire = wire;
    this.#token = token;
  }

  static async open(port: number, token: string): Promise<WatchedCalls> {
    return new WatchedCalls(await RawHttp2.open(port), token);
  }

  /** call gives the code that a call ended with. */
  async call<Name extends MethodName>(
    method: Name,
    request: RequestOf<Name>,
    token?: string,
  ): Promise<string> {
    return this.callRaw(method, encodeRequest(method, request), token);
  }

  async callRaw(method: MethodName, bytes: Buffer, token?: string): Promise<string> {
    const { code, received } = await this.#send(method, bytes, token);
    this.#heard.push(received);
    return code;
  }

  /** fetch calls, and gives what came back instead of keeping it. */
  async fetch<Name extends MethodName>(method: Name, request: RequestOf<Name>): Promise<Buffer> {
    const { code, received } = await this.#send(method, encodeRequest(method, request), this.#token);
    if (code !== 'OK') throw new Error(`${method} ended with ${code}`);
    return received;
  }

  /** heard is all that came back. */
  heard(): Buffer {
    return Buffer.concat(this.#heard);
  }

  close(): void {
    this.#wire.close();
  }

  #send(method: MethodName, bytes: Buffer, token = this.#token) {
    const headers = { authorization: `Bearer ${token}` };
    return this.#wire.call(pathOf(method), framed(bytes), headers, LIMIT_MS);
  }
}
