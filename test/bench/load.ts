import { Http2Connection, prepareExchange, type PreparedExchange } from './http2-connection.js';
import { batchExchangeOf, exchangeOf, plaintextOf, type Exchange } from './tokens.js';

/** Load is what is asked of a server, again and again, in turn, over several connections. */
export interface Load {
  readonly path: string;
  readonly connections: number;
  /** Calls under way on each connection. */
  readonly inFlight: number;
  readonly asked: Tokens | { readonly exchanges: readonly Exchange[] };
}

/** Tokens are what is asked for where it need not be told in full. */
interface Tokens {
  /** How many tokens are asked for in turn, from token 0 on. */
  readonly tokens: number;
  /** Tokens in one call; 1 for ValidateToken. */
  readonly batch: number;
  /** Set where the server gives the answer of token 0 to everyone. */
  readonly constantAnswer?: boolean;
}

/** LoadResult counts the calls between the first sending and the last answer. */
export interface LoadResult {
  readonly calls: number;
  readonly wrong: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Until when calls are made. */
export type Until = { readonly seconds: number } | { readonly calls: number };

/** LoadGenerator keeps its connections; each is the caller of a token of its own. */
export class LoadGenerator {
  readonly #load: Load;
  readonly #exchanges: readonly PreparedExchange[];
  readonly #connections: Http2Connection[] = [];
  #next = 0;
  #underWay = 0;
  #until = 0;
  #callsLeft = 0;
  #wrong = 0;
  #times: number[] = [];
  #finish: (() => void) | undefined;

  private constructor(load: Load) {
    this.#load = load;
    this.#exchanges = exchangesOf(load.asked).map(prepareExchange);
  }

  static async open(port: number, load: Load): Promise<LoadGenerator> {
    const generator = new LoadGenerator(load);
    for (let caller = 0; caller < load.connections; caller += 1) {
      const connection: Http2Connection = await Http2Connection.open(
        port,
        load.path,
        plaintextOf(caller),
        (milliseconds, right) => generator.#onAnswer(connection, milliseconds, right),
      );
      generator.#connections.push(connection);
    }
    return generator;
  }

  async run(until: Until): Promise<LoadResult> {
    const startedAt = performance.now();
    this.#times = [];
    this.#wrong = 0;
    this.#until = 'seconds' in until ? startedAt + until.seconds * 1000 : Infinity;
    this.#callsLeft = 'calls' in until ? until.calls : Infinity;
    await new Promise<void>((resolve) => {
      this.#finish = resolve;
      for (const connection of this.#connections) {
        for (let n = 0; n < this.#load.inFlight; n += 1) this.#send(connection);
      }
    });
    const times = this.#times.sort((a, b) => a - b);
    return {
      calls: times.length,
      wrong: this.#wrong,
      seconds: (performance.now() - startedAt) / 1000,
      p50: times[Math.floor(times.length * 0.5)] ?? NaN,
      p99: times[Math.floor(times.length * 0.99)] ?? NaN,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
  }

  #send(connection: Http2Connection): void {
    const exchange = this.#exchanges[this.#next];
    if (exchange === undefined) throw new Error('a load that asks for nothing');
    if (this.#callsLeft <= 0) return;
    this.#callsLeft -= 1;
    this.#next = (this.#next + 1) % this.#exchanges.length;
    this.#underWay += 1;
    connection.send(exchange);
  }

  #onAnswer(connection: Http2Connection, milliseconds: number, right: boolean): void {
    this.#underWay -= 1;
    this.#times.push(milliseconds);
    if (!right) this.#wrong += 1;
    if (performance.now() < this.#until) this.#send(connection);
    if (this.#underWay === 0) this.#finish?.();
  }
}

function exchangesOf(asked: Load['asked']): readonly Exchange[] {
  if ('exchanges' in asked) return asked.exchanges;
  const { tokens, batch, constantAnswer } = asked;
  const constant = exchangeOf(0).response;
  return Array.from({ length: Math.floor(tokens / batch) }, (_, index) => {
    const exchange = batch === 1 ? exchangeOf(index) : batchExchangeOf(index * batch, batch);
    return constantAnswer === true ? { ...exchange, response: constant } : exchange;
  });
}
