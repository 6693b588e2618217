import { once } from 'node:events';
import { createServer, Agent, request, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Client,
  Metadata,
  Server,
  ServerCredentials,
  credentials,
  status,
  type ServerInterceptor,
  type ServiceError,
} from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  fastifyAuth,
  httpAuth,
  type KeywardCallError,
  verdictOf,
  type BoundText,
  type Validator,
  type ValidateOptions,
  type Verdict,
} from '@keyward/client';
import { grpcAuth } from '@keyward/client/grpc';
import { toCallError } from '../../../clients/node/src/transport/call-error.js';
import { OWNER } from '../../support/fake-replica.js';

/** Judges the texts `good`, `narrow` and any other; a KeywardCallError where nobody can tell. */
class FakeValidator implements Validator {
  readonly isLeased = true;
  readonly size = 0;
  readonly counts = { memory: 0, lookUp: 0, call: 0 };
  failure: KeywardCallError | undefined;
  bound = 0;

  validate(text: string, { scopes = [] }: ValidateOptions = {}): Promise<Verdict> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const isNarrow = text === 'narrow' && scopes.length > 0;
    const valid = (text === 'good' || text === 'narrow') && !isNarrow;
    return Promise.resolve({
      valid,
      reason: valid ? 'OK' : isNarrow ? 'INSUFFICIENT_SCOPE' : 'UNKNOWN',
      keyId: 'k',
      principal: valid ? { ...OWNER, isStaff: false, isSuperuser: false } : undefined,
      name: '',
      scopes: [],
      expiresAt: undefined,
      stale: false,
    });
  }

  validateCached(): undefined {
    return undefined;
  }

  bind(text: string): BoundText {
    this.bound += 1;
    return {
      validate: (options) => this.validate(text, options),
      validateCached: () => undefined,
      release: () => undefined,
    };
  }

  close(): void {
    // Nothing is held.
  }
}

function failure(code: status, headers: Readonly<Record<string, string>> = {}): KeywardCallError {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const error: ServiceError = Object.assign(new Error('down'), { code, details: 'down', metadata });
  return toCallError(error);
}

const CASES = [
  [undefined, 401, 'Bearer realm="shop \\"1\\""', undefined],
  ['Basic good', 401, 'Bearer realm="shop \\"1\\""', undefined],
  ['Bearer bad', 401, 'Bearer realm="shop \\"1\\"", error="invalid_token"', undefined],
  ['Bearer narrow', 403, 'Bearer realm="shop \\"1\\"", error="insufficient_scope", scope="a b"', undefined],
  ['bearer good', 200, undefined, undefined],
] as const;
const OPTIONS = { scopes: ['a', 'b'], realm: 'shop "1"' };

let validator: FakeValidator;

beforeEach(() => {
  validator = new FakeValidator();
});

describe('an HTTP server', () => {
  let server: HttpServer;
  let agent: Agent;

  beforeEach(async () => {
    const auth = httpAuth(validator, OPTIONS);
    server = createServer((incoming, response) => {
      auth(incoming, response, (error) => {
        response.statusCode = error === undefined ? 200 : 500;
        response.end(verdictOf(incoming)?.principal?.username);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    agent = new Agent({ keepAlive: true, maxSockets: 1 });
  });

  afterEach(() => {
    agent.destroy();
    server.close();
  });

  function get(authorization: string | undefined): Promise<{ code: number; headers: unknown; body: string }> {
    const { port } = server.address() as AddressInfo;
    return new Promise((resolve, reject) => {
      const headers = authorization === undefined ? {} : { authorization };
      request({ port, host: '127.0.0.1', agent, headers }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () =>
          resolve({ code: response.statusCode ?? 0, headers: response.headers, body }),
        );
      })
        .on('error', reject)
        .end();
    });
  }

  test.each(CASES)('answers credentials "%s" with %i', async (authorization, code, challenge) => {
    const answer = await get(authorization);
    expect(answer.code).toBe(code);
    const { 'www-authenticate': given } = answer.headers as Record<string, string | undefined>;
    expect(given).toBe(challenge);
    if (code === 200) expect(answer.body).toBe(OWNER.username);
  });

  test.each([status.UNAVAILABLE, status.UNAUTHENTICATED, status.PERMISSION_DENIED, status.DEADLINE_EXCEEDED])(
    "answers with 503 where Keyward fails with status %i, and with nothing about anybody's credentials",
    async (code) => {
      validator.failure = failure(code);
      const answer = await get('Bearer good');
      expect(answer.code).toBe(503);
      expect(answer.headers).toMatchObject({ 'retry-after': '1' });
      expect(answer.headers).not.toHaveProperty('www-authenticate');
    },
  );

  test('hands a fault of its own on', async () => {
    validator.failure = failure(status.INVALID_ARGUMENT);
    expect((await get('Bearer good')).code).toBe(500);
  });

  test('hashes what a connection presents again only once', async () => {
    for (const text of ['good', 'good', 'narrow', 'narrow', 'good']) await get(`Bearer ${text}`);
    expect(validator.bound).toBe(3);
  });
});

describe('a hook of Fastify', () => {
  test.each(CASES)('answers credentials "%s" with %i', async (authorization, code, challenge) => {
    const sent: { code?: number; body?: unknown; headers: Record<string, string> } = { headers: {} };
    const reply = {
      code: (statusCode: number) => (sent.code = statusCode),
      header: (name: string, value: string) => (sent.headers[name] = value),
      send: (body: unknown) => (sent.body = body),
    };
    const incoming = { headers: { authorization }, raw: {} };
    await fastifyAuth(validator, OPTIONS)(incoming, reply);
    expect(sent.code ?? 200).toBe(code);
    expect(sent.headers['www-authenticate']).toBe(challenge);
    expect(verdictOf(incoming)?.valid).toBe(code === 200 ? true : undefined);
  });
});

describe('a gRPC server', () => {
  const same = (value: Buffer): Buffer => value;
  const method = {
    path: '/test.Test/Call',
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  const open = { ...method, path: '/test.Test/Open' };
  let server: Server;
  let client: Client;
  const fake = new FakeValidator();

  beforeAll(async () => {
    const auth: ServerInterceptor = grpcAuth(fake, {
      scopes: () => ['a'],
      isOpen: (path) => path === open.path,
    });
    server = new Server({ interceptors: [auth] });
    const answer = (call: { metadata: Metadata }, done: (error: null, value: Buffer) => void): void =>
      done(null, Buffer.from(verdictOf(call.metadata)?.principal?.username ?? 'nobody'));
    server.addService({ call: method, open }, { call: answer, open: answer });
    const port = await new Promise<number>((resolve) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_, bound) => resolve(bound));
    });
    client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  });

  afterAll(() => {
    client.close();
    server.forceShutdown();
  });

  function call(authorization: string | undefined, path = method.path): Promise<string> {
    const metadata = new Metadata();
    if (authorization !== undefined) metadata.set('authorization', authorization);
    return new Promise((resolve) => {
      client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, (error, answer) => {
        resolve(error === null ? String(answer) : status[error.code]);
      });
    });
  }

  test.each([
    [undefined, 'UNAUTHENTICATED'],
    ['Bearer bad', 'UNAUTHENTICATED'],
    ['Bearer narrow', 'PERMISSION_DENIED'],
    ['Bearer good', OWNER.username],
  ])('answers credentials "%s" with %s', async (authorization, answer) => {
    expect(await call(authorization)).toBe(answer);
  });

  test('answers with UNAVAILABLE where nobody can tell', async () => {
    fake.failure = failure(status.UNAUTHENTICATED);
    expect(await call('Bearer good')).toBe('UNAVAILABLE');
    fake.failure = undefined;
  });

  test('lets anybody call what is open', async () => {
    expect(await call(undefined, open.path)).toBe('nobody');
  });
});
