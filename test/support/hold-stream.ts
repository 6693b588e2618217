import { randomUUID } from 'node:crypto';
import { Client, Metadata, status, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { toCallError } from '@keyward/client/transport';
import { channelArguments } from './channel-arguments.js';
import { digestBytes, digestOf } from '../../src/crypto/digest.js';
import type { Duration } from '../../src/gen/google/protobuf/duration.js';
import type { Propagation } from '../../src/gen/keyward/coherence/v1/propagation.js';
import type {
  HoldVerdictsRequest,
  HoldAccessed,
  HoldFact,
  HoldGrant,
  HoldInvalidation,
  HoldOpen,
  HoldPosition,
  HoldVerdictsResponse,
} from '../../src/gen/keyward/token/v1/hold_verdicts.js';
import { TokenServiceService } from '../../src/gen/keyward/token/v1/token_service.js';
import { byId } from './requests.js';
import type { TestServer } from './server.js';
import { existing } from './world.js';

type Request = NonNullable<HoldVerdictsRequest['message']>;
type Response = NonNullable<HoldVerdictsResponse['message']>;
type ValueOf<Case extends Response['$case']> = Extract<Response, { readonly $case: Case }>['value'];

export interface HoldStreamOptions {
  /** UUID of the client; a new one if not given. */
  readonly clientId?: string;
  readonly label?: string;
  /** False for one that acknowledges nothing. */
  readonly acknowledges?: boolean;
}

/** HoldStream is a client of HoldVerdicts that does as it is told by a test, message by message. */
export class HoldStream {
  readonly clientId: string;
  readonly received: Response[] = [];
  /** How the stream ended: the code's name and the reason. */
  readonly ended: Promise<string>;
  acknowledges: boolean;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<HoldVerdictsRequest, HoldVerdictsResponse>;
  readonly #label: string;
  readonly #server: TestServer;
  #lastId = 0n;
  #lastRenewal = 0n;

  constructor(server: TestServer, token: string, options: HoldStreamOptions = {}) {
    this.clientId = options.clientId ?? randomUUID();
    this.#label = options.label ?? 'a-test';
    this.#server = server;
    this.acknowledges = options.acknowledges ?? true;
    this.#client = new Client(...channelArguments({ server: server.address, token }));
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = TokenServiceService.holdVerdicts;
    this.#call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.ended = new Promise((resolve) => {
      this.#call.on('error', (error: ServiceError) => {
        resolve(`${status[error.code]} ${toCallError(error).reason}`.trim());
      });
      this.#call.on('end', () => {
        resolve('OK');
      });
    });
    this.#call.on('data', ({ message }: HoldVerdictsResponse) => {
      if (message === undefined) return;
      this.received.push(message);
      if (message.$case === 'invalidation' && this.acknowledges) this.acknowledge(message.value.number);
    });
  }

  send(message: Request): void {
    this.#call.write({ message });
  }

  /** open begins, with what the client holds already, and waits for the terms. */
  async open(
    coming: Partial<Pick<HoldOpen, 'position' | 'tokens' | 'secretIds'>> = {},
  ): Promise<ValueOf<'opened'>> {
    this.begin(coming);
    return this.next('opened');
  }

  begin(coming: Partial<HoldOpen> = {}): void {
    const value = {
      clientId: this.clientId,
      label: this.#label,
      agent: 'a test',
      position: undefined,
      tokens: [],
      secretIds: [],
      ...coming,
    };
    this.send({ $case: 'open', value });
  }

  /** lookUp gives the facts of texts, in their order. */
  async lookUp(...texts: readonly string[]): Promise<HoldFact[]> {
    const asked = texts.map((text) => ({ id: (this.#lastId += 1n), digest: digestBytes(digestOf(text)) }));
    this.send({ $case: 'lookUp', value: { texts: asked } });
    const all = (): HoldFact[] => this.#all('facts').flatMap(({ facts }) => facts);
    await expect
      .poll(() => asked.every(({ id }) => all().some((fact) => fact.id === id)), QUICKLY)
      .toBe(true);
    return asked.map(({ id }) => existing(all().find((fact) => fact.id === id)));
  }

  /** access gives the value of a secret, or why there is none. */
  async access(secretId: bigint): Promise<HoldAccessed> {
    const id = (this.#lastId += 1n);
    const request = {
      secret: byId({ id: secretId }),
      version: 0,
      includeExpired: false,
      skipAccessTime: false,
    };
    this.send({ $case: 'access', value: { id, request } });
    const find = (): HoldAccessed | undefined => this.#all('accessed').find((each) => each.id === id);
    await expect.poll(find, QUICKLY).toBeDefined();
    return existing(find());
  }

  /** renew asks for a lease and gives the answer. */
  async renew(released: readonly bigint[] = []): Promise<HoldGrant> {
    this.#lastRenewal += 1n;
    const number = this.#lastRenewal;
    this.send({ $case: 'renewal', value: { number, released: [...released], uses: [], secretUses: [] } });
    const find = (): HoldGrant | undefined => this.#all('grant').find((grant) => grant.number === number);
    await expect.poll(find, QUICKLY).toBeDefined();
    return existing(find());
  }

  /** hold looks texts up, and makes sure that they are kept under a lease. */
  async hold(...texts: readonly string[]): Promise<HoldFact[]> {
    // What has just been made is told of a moment later, and would have to be forgotten then.
    await this.#server.heard();
    const facts = await this.lookUp(...texts);
    expect(facts).toMatchObject(texts.map(() => ({ keep: true, known: true })));
    expect((await this.renew()).lease).toBeDefined();
    return facts;
  }

  acknowledge(number: bigint): void {
    this.send({ $case: 'acknowledgement', value: { number } });
  }

  left(): void {
    this.send({ $case: 'left', value: {} });
  }

  /** grants are all answers to renewals. */
  get grants(): HoldGrant[] {
    return this.#all('grant');
  }

  get invalidations(): HoldInvalidation[] {
    return this.#all('invalidation');
  }

  get position(): HoldPosition {
    return existing(this.#all('grant').at(-1)?.position);
  }

  /** next waits for the first message of a kind. */
  async next<Case extends Response['$case']>(kind: Case): Promise<ValueOf<Case>> {
    await expect.poll(() => this.#all(kind), QUICKLY).not.toHaveLength(0);
    const [first] = this.#all(kind);
    if (first === undefined) throw new Error(`there is no ${kind}`);
    return first;
  }

  /** pause takes nothing any more. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  /** cut ends the connection without a word. */
  cut(): void {
    this.#call.cancel();
    this.#client.close();
  }

  #all<Case extends Response['$case']>(kind: Case): ValueOf<Case>[] {
    return this.received.flatMap((message) =>
      message.$case === kind ? [message.value as ValueOf<Case>] : [],
    );
  }
}

const QUICKLY = { interval: 2, timeout: 5_000 };

/** millisecondsOf is the length of a span; 0 for none. */
export function millisecondsOf(span: Duration | undefined): number {
  return Number(span?.seconds ?? 0n) * 1_000 + (span?.nanos ?? 0) / 1e6;
}

/** waitedMs is how long a change has waited. */
export function waitedMs({ waited }: Propagation): number {
  return millisecondsOf(waited);
}

/** ownedBy names tokens as a client that comes from another stream does. */
export function ownedBy(...facts: readonly HoldFact[]): HoldOpen['tokens'] {
  return facts.map(({ principal, handle }) => {
    const { userProfileId, userId, accountId } = existing(principal);
    return { userProfileId, userId, accountId, handles: [handle] };
  });
}
