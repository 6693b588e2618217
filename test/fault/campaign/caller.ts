import {
  credentials,
  Metadata,
  status,
  type CallOptions,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { AccountServiceClient } from '../../../src/gen/keyward/account/v1/account_service.js';
import { TokenServiceClient } from '../../../src/gen/keyward/token/v1/token_service.js';

/** Connections are kept, and made anew soon after a replica is there again. */
const CHANNEL = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 300 };

type Method<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: Partial<CallOptions>,
  done: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/** CallFailed has the status code by its name. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  readonly code: string;

  constructor(error: ServiceError) {
    super(`${status[error.code]}: ${error.details}`, { cause: error });
    this.code = status[error.code];
  }
}

/** Caller calls one replica with one token. */
export class Caller {
  readonly tokens: TokenServiceClient;
  readonly accounts: AccountServiceClient;
  readonly #metadata = new Metadata();
  readonly #timeoutMs: number;

  constructor(port: number, token: string, timeoutMs: number) {
    const address = `127.0.0.1:${port}`;
    this.tokens = new TokenServiceClient(address, credentials.createInsecure(), CHANNEL);
    this.accounts = new AccountServiceClient(address, credentials.createInsecure(), CHANNEL);
    this.#metadata.set('authorization', `Bearer ${token}`);
    this.#timeoutMs = timeoutMs;
  }

  /** call makes one call of a method of `tokens` or `accounts`, which must be bound. It is cancelled when `cancelled` resolves. */
  call<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    cancelled?: Promise<void>,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + this.#timeoutMs };
      const call = method(request, this.#metadata, options, (error, response) => {
        if (error === null) resolve(response);
        else reject(new CallFailed(error));
      });
      void cancelled?.then(() => {
        call.cancel();
      });
    });
  }

  close(): void {
    this.tokens.close();
    this.accounts.close();
  }
}
