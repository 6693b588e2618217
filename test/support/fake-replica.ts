import { createHash } from 'node:crypto';
import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import {
  HoldFact,
  HoldVerdictsResponse,
  type HoldVerdictsRequest,
} from '../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import {
  AccessSecretResponse,
  SecretServiceDefinition,
} from '../../clients/node/src/gen/keyward/secret/v1/secret_service.js';
import {
  TokenServiceDefinition,
  ValidateTokenResponse,
  type ValidateTokenRequest,
} from '../../clients/node/src/gen/keyward/token/v1/token_service.js';

import {
  wireMethod,
  type MessageType,
  type ServiceDefinition as Definition,
} from '../../clients/node/src/transport/definitions.js';

type Call = ServerDuplexStream<HoldVerdictsRequest, HoldVerdictsResponse>;
type Sent = Parameters<typeof HoldVerdictsResponse.fromPartial>[0];
type Facts = Parameters<typeof HoldFact.fromPartial>[0];

/** OWNER is whose all tokens of a fake replica are. */
export const OWNER = {
  userId: 1n,
  userProfileId: 2n,
  accountId: 3n,
  username: 'someone',
  accountNumber: '4',
};

/** The id of every secret of a fake replica. */
export const SECRET_ID = 5n;

/** FakeStream is a client's stream, as the replica sees it. */
export class FakeStream {
  readonly received: HoldVerdictsRequest[] = [];
  hasEnded = false;
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  send(message: Sent): void {
    this.#call.write(HoldVerdictsResponse.fromPartial(message));
  }

  /** fail ends the stream. */
  fail(code = status.UNAVAILABLE): void {
    this.#call.emit('error', { code, details: 'ended by the test' });
  }

  end(): void {
    this.#call.end();
  }
}

/** FakeReplica plays the replica's part in the protocol, as far as a test lets it. */
export class FakeReplica {
  readonly streams: FakeStream[] = [];
  /** Texts that pass, with what is said of them besides. */
  readonly tokens = new Map<string, Facts>();
  /** The value of every secret; undefined: there is none. */
  secret: { readonly version: number; readonly text: string } | undefined = { version: 1, text: 'first' };
  /** How many calls of ValidateToken and AccessSecret came. */
  calls = 0;
  /** What the answers of AccessSecret wait for. */
  callsWaitFor: Promise<void> = Promise.resolve();
  /** What is granted; undefined: nothing is. */
  leaseMs: number | undefined = 3_000;
  renewEveryMs = 20;
  resumes = true;
  /** Whether a stream ends as soon as its client has ended its side. */
  endsWithClient = true;
  /** The status with which every call fails, streams included. */
  fails: status | undefined;
  address = '';
  readonly #server = new Server();

  static async start(): Promise<FakeReplica> {
    const replica = new FakeReplica();
    replica.#server.addService(servable(TokenServiceDefinition), {
      holdVerdicts: (call: Call) => replica.#hold(call),
      validateToken: (
        call: ServerUnaryCall<ValidateTokenRequest, ValidateTokenResponse>,
        answer: sendUnaryData<ValidateTokenResponse>,
      ) => replica.#validate(call.request, answer),
    });
    replica.#server.addService(servable(SecretServiceDefinition), {
      accessSecret: (_: unknown, answer: sendUnaryData<AccessSecretResponse>) => {
        replica.calls += 1;
        const access = replica.#access();
        void replica.callsWaitFor.then(() => {
          if (access === undefined) answer({ code: status.NOT_FOUND, details: 'no secret' });
          else answer(null, access);
        });
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      replica.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    replica.address = `127.0.0.1:${port}`;
    return replica;
  }

  /** stream is the one that was opened last. */
  get stream(): FakeStream {
    const last = this.streams.at(-1);
    if (last === undefined) throw new Error('no client has come');
    return last;
  }

  /** all are the messages of one kind on all streams. */
  all<Kind extends keyof HoldVerdictsRequest>(kind: Kind): NonNullable<HoldVerdictsRequest[Kind]>[] {
    return this.streams.flatMap(({ received }) =>
      received.flatMap((message) => (message[kind] === undefined ? [] : [message[kind]])),
    );
  }

  handleOf(text: string): bigint {
    return createHash('sha512').update(text).digest().readBigUInt64LE();
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #hold(call: Call): void {
    const stream = new FakeStream(call);
    if (this.fails !== undefined) {
      call.on('error', () => undefined);
      stream.fail(this.fails);
      return;
    }
    this.streams.push(stream);
    call.on('error', () => undefined);
    call.on('end', () => {
      stream.hasEnded = true;
      if (this.endsWithClient) call.end();
    });
    call.on('data', (message: HoldVerdictsRequest) => {
      stream.received.push(message);
      this.#answer(stream, message);
    });
  }

  #answer(stream: FakeStream, { open, lookUp, access, renewal }: HoldVerdictsRequest): void {
    if (open !== undefined) {
      const opened = {
        resumed: this.resumes,
        maxEntries: 100,
        maxSecrets: 10,
        renewEvery: this.renewEveryMs,
      };
      stream.send({ opened });
    }
    if (lookUp !== undefined)
      stream.send({ facts: { facts: lookUp.texts.map(({ id, digest }) => this.#factOf(id, digest)) } });
    if (access !== undefined) {
      const found = this.#access();
      const error = { code: status.NOT_FOUND, message: 'no secret' };
      const result = found === undefined ? { error } : { access: found, keep: true };
      stream.send({ accessed: { id: access.id, ...result } });
    }
    if (renewal !== undefined) {
      const position = { epoch: '8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1', revision: 1n };
      stream.send({ grant: { number: renewal.number, lease: this.leaseMs, position } });
    }
  }

  #access(): AccessSecretResponse | undefined {
    if (this.secret === undefined) return undefined;
    const { version, text } = this.secret;
    return AccessSecretResponse.fromPartial({ secretId: SECRET_ID, version, payload: { text } });
  }

  #factOf(id: bigint, digest: Uint8Array): HoldFact {
    for (const [text, facts] of this.tokens) {
      if (!createHash('sha512').update(text).digest().equals(digest)) continue;
      return HoldFact.fromPartial({
        id,
        keep: true,
        known: true,
        handle: this.handleOf(text),
        keyId: `key of ${text}`,
        principal: OWNER,
        scopes: ['*'],
        isActive: true,
        userIsActive: true,
        accountIsActive: true,
        ...facts,
      });
    }
    return HoldFact.fromPartial({ id });
  }

  #validate({ token }: ValidateTokenRequest, answer: sendUnaryData<ValidateTokenResponse>): void {
    this.calls += 1;
    if (this.fails !== undefined) {
      answer({ code: this.fails, details: 'refused by the test' });
      return;
    }
    const isActive = this.tokens.get(token)?.isActive ?? true;
    const valid = this.tokens.has(token) && isActive;
    const known = this.tokens.has(token) ? 'VERDICT_REASON_INACTIVE' : 'VERDICT_REASON_UNKNOWN';
    answer(
      null,
      ValidateTokenResponse.fromPartial({
        valid,
        reason: valid ? 'VERDICT_REASON_OK' : known,
        ...(valid ? { principal: OWNER, scopes: ['*'], keyId: `key of ${token}` } : {}),
      }),
    );
  }
}

/** servable is a service as the gRPC library serves it. */
function servable(definition: Definition): ServiceDefinition {
  const methods = Object.entries(definition.methods).map(([name, method]) => {
    const { path } = wireMethod(definition, method);
    const request = method.requestType as MessageType<unknown>;
    const response = method.responseType as MessageType<unknown>;
    return [
      name,
      {
        path,
        requestStream: method.requestStream,
        responseStream: method.responseStream,
        requestSerialize: (message: unknown) => Buffer.from(request.encode(message).finish()),
        requestDeserialize: (bytes: Buffer) => request.decode(bytes),
        responseSerialize: (message: unknown) => Buffer.from(response.encode(message).finish()),
        responseDeserialize: (bytes: Buffer) => response.decode(bytes),
      },
    ] as const;
  });
  return Object.fromEntries(methods);
}
