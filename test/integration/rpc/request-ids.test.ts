import { randomUUID } from 'node:crypto';
import { status, type ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DoneRequestRepository } from '../../../src/idempotency/done-request-repository.js';
import { KeywardCallError, type KeywardClient } from '../../../src/client/index.js';
import { openDatabase } from '../../../src/db/knex.js';
import { ResourceInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { METHOD_NAMES, type MethodName, type RequestOf } from '../../support/rpc.js';
import { requestFor } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { existing, textOf, World } from '../../support/world.js';

/** What a retry must not do twice. */
const REPEATABLE = [
  'createToken',
  'cloneToken',
  'rotateToken',
  'createSecret',
  'cloneSecret',
  'addSecretVersion',
  'createAccount',
  'createUser',
  'createUserProfile',
] as const satisfies MethodName[];

type Response = Readonly<Record<string, { readonly id?: bigint } | undefined>>;
interface Selected {
  readonly selector?: { readonly selector: { readonly value: bigint } };
}

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

function call(client: KeywardClient, name: MethodName, request: object): Promise<Response> {
  const services = [client.tokens, client.secrets, client.accounts];
  const service = existing(services.find((each) => name in each));
  const method = Reflect.get(service, name) as (request: object) => Promise<unknown>;
  return method(request) as Promise<Response>;
}

async function failureOf(result: Promise<unknown>): Promise<KeywardCallError> {
  const error = await result.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (error instanceof KeywardCallError) return error;
  throw new Error('the call did not fail');
}

function resourceInfoOf(error: KeywardCallError): ResourceInfo {
  const [bytes] = (error.cause as ServiceError).metadata.get('grpc-status-details-bin');
  const { details } = Status.decode(bytes as Buffer);
  return ResourceInfo.decode(
    existing(details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ResourceInfo'))).value,
  );
}

async function rowsIn(table: string): Promise<unknown> {
  const [row] = await execute(world.database.url, `SELECT count(*) FROM ${table}`);
  return row?.['count'];
}

/** madeBy is the id of what a response tells of; where that is a version, the id of its secret. */
function madeBy(response: Response, request: object): bigint {
  const { token, secret, account, user, userProfile } = response;
  const made = token ?? secret ?? account ?? user ?? userProfile;
  return existing(made?.id ?? (request as Selected).selector?.selector.value);
}

test('every Create, Clone, Rotate and Add takes a request id, but for what does nothing twice', () => {
  const makers = METHOD_NAMES.filter((name) => /^(?:create|clone|rotate|add)/.test(name));
  expect(makers.sort()).toEqual([...REPEATABLE, 'rotateEncryptionKey'].sort());
});

describe.each(REPEATABLE)('%s', (name) => {
  test('sent again with its request id changes nothing, and tells what it has made', async () => {
    const request = { ...(await requestFor(name, world)), requestId: randomUUID() };
    const response = await call(world.admin, name, request);
    const events = await rowsIn('audit_events');
    // A UUID is the same in capitals.
    const again = { ...request, requestId: request.requestId.toUpperCase() };
    const error = await failureOf(call(world.admin, name, again));
    expect(error).toMatchObject({ code: status.ALREADY_EXISTS, reason: 'REQUEST_ALREADY_DONE' });
    expect(error.metadata.get('id')).toBe(String(madeBy(response, request)));
    const info = resourceInfoOf(error);
    expect(info.resourceType).toBe(error.metadata.get('resource_type'));
    expect(info.resourceName).toBe(error.metadata.get('record_locator') ?? error.metadata.get('id'));
    expect(await rowsIn('audit_events')).toBe(events);
  });
});

describe('a request id', () => {
  function newToken(requestId: string): RequestOf<'createToken'> {
    return { name: world.newName(), requestId };
  }

  test('leads to the token whose plaintext was lost, which can be rotated', async () => {
    const requestId = randomUUID();
    const { token } = await world.admin.tokens.createToken(newToken(requestId));
    const error = await failureOf(world.admin.tokens.createToken(newToken(requestId)));
    expect(error.message).not.toMatch(/[0-9a-f]{64}/);
    const value = existing(error.metadata.get('record_locator'));
    const selector = { selector: { $case: 'recordLocator', value } } as const;
    const rotated = await world.admin.tokens.rotateToken({ selector });
    expect(rotated.token?.id).toBe(existing(token).id);
    expect((await world.admin.tokens.validateToken({ token: rotated.plaintext })).valid).toBe(true);
  });

  test('is found before the etag that its own first call has made stale', async () => {
    const { id } = await world.issue('admin');
    const selector = { selector: { $case: 'id', value: id } } as const;
    const { token } = await world.admin.tokens.getToken({ token: selector });
    const request = { selector, etag: existing(token).etag, requestId: randomUUID() };
    const { plaintext } = await world.admin.tokens.rotateToken(request);
    expect((await failureOf(world.admin.tokens.rotateToken(request))).reason).toBe('REQUEST_ALREADY_DONE');
    expect((await world.admin.tokens.validateToken({ token: plaintext })).valid).toBe(true);
  });

  test('tells the version that was added', async () => {
    const { id } = await world.keep('admin');
    const selector = { selector: { $case: 'id', value: id } } as const;
    const request = { selector, payload: textOf('another value'), requestId: randomUUID() };
    await world.admin.secrets.addSecretVersion(request);
    const error = await failureOf(world.admin.secrets.addSecretVersion(request));
    expect(Object.fromEntries(error.metadata)).toMatchObject({ id: String(id), version: '2' });
  });

  test('makes one of many calls at the same time', async () => {
    const request = newToken(randomUUID());
    const others = { ...request, name: world.newName() };
    const calls = [request, others, request, others].map((each) => world.admin.tokens.createToken(each));
    const results = await Promise.allSettled(calls);
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected')
        expect(result.reason).toHaveProperty('reason', 'REQUEST_ALREADY_DONE');
    }
  });

  test('of a call that failed can be used again', async () => {
    const requestId = randomUUID();
    const { name } = await world.issue('admin');
    const taken = await failureOf(world.admin.tokens.createToken({ name, requestId }));
    expect(taken.reason).toBe('ALREADY_EXISTS');
    expect((await world.admin.tokens.createToken(newToken(requestId))).plaintext).not.toBe('');
  });

  test('is refused where it stands for a call of another method', async () => {
    const requestId = randomUUID();
    await world.admin.tokens.createToken(newToken(requestId));
    const request = { ...(await requestFor('createAccount', world)), requestId };
    const error = await failureOf(world.admin.accounts.createAccount(request));
    expect(error.reason).toBe('INVALID_FIELDS');
    expect(error.violations.map(({ field }) => field)).toEqual(['request_id']);
  });

  test("means nothing to another user, and the same to all of a user's tokens", async () => {
    const requestId = randomUUID();
    const { plaintext } = await world.issue('staff-a');
    await world.as('staff-a').tokens.createToken(newToken(requestId));
    await world.as('staff-b').tokens.createToken(newToken(requestId));
    const again = world.client(plaintext).tokens.createToken(newToken(requestId));
    expect((await failureOf(again)).reason).toBe('REQUEST_ALREADY_DONE');
  });

  test('is forgotten after a day, and not before', async () => {
    const [old, young] = [randomUUID(), randomUUID()];
    for (const requestId of [old, young]) await world.admin.tokens.createToken(newToken(requestId));
    const age = `UPDATE done_requests SET created_at = created_at - $2::interval WHERE request_id = $1`;
    await execute(world.database.url, age, [old, '24 hours 1 minute']);
    await execute(world.database.url, age, [young, '23 hours']);
    const { url } = world.database;
    const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 10_000, statementTimeoutMs: 10_000 });
    try {
      await new DoneRequestRepository(knex).prune();
    } finally {
      await knex.destroy();
    }
    expect((await failureOf(world.admin.tokens.createToken(newToken(young)))).reason).toBe(
      'REQUEST_ALREADY_DONE',
    );
    expect((await world.admin.tokens.createToken(newToken(old))).plaintext).not.toBe('');
  });
});
