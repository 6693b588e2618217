import type { ServiceError } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { KeywardCallError, type KeywardClient } from '../../../src/client/index.js';
import { RetryInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { outcomeOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { Watching } from '../../support/watching.js';
import { existing, World } from '../../support/world.js';

const LIMIT = 3;
const PATIENCE = { timeout: 20_000 };

let world: World;
let plaintext: string;
/** They call as one user, who is staff of account A, by two tokens. */
let first: KeywardClient;
let second: KeywardClient;

beforeAll(async () => {
  world = await World.create({
    KEYWARD_MAX_CALLS_PER_CALLER: String(LIMIT),
    KEYWARD_MAX_STREAMS_PER_CALLER: String(LIMIT),
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '60',
    // Calls that are logged are not answered from memory at once.
    KEYWARD_LOG_LEVEL: 'info',
  });
  ({ plaintext } = await world.issue('staff-a'));
  first = world.as('staff-a');
  second = world.client(plaintext);
});

afterAll(() => world.close());

/** lockSecrets makes every statement about secrets wait until what it gives is run. */
async function lockSecrets(): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: world.database.url });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE');
  return () => holder.end();
}

async function statementsWaiting(): Promise<number> {
  const [row] = await execute(
    world.database.url,
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  );
  return Number(row?.['count']);
}

/** retryDelayOf is how long a refusal says to wait. */
async function retryDelayOf(call: Promise<unknown>): Promise<RetryInfo['retryDelay']> {
  const error = await call.catch((failure: unknown) => failure);
  if (!(error instanceof KeywardCallError)) throw new Error('the call did not fail');
  const [bytes] = (error.cause as ServiceError).metadata.get('grpc-status-details-bin');
  const { details } = Status.decode(bytes as Buffer);
  const retry = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.RetryInfo'));
  return RetryInfo.decode(existing(retry).value).retryDelay;
}

/** exchange asks one question in a conversation, and ends it. */
async function exchange(client: KeywardClient): Promise<void> {
  const questions = async function* () {
    yield await Promise.resolve({ token: plaintext });
  };
  for await (const { valid } of client.tokens.streamValidateTokens(questions())) expect(valid).toBe(true);
}

test('who has as many calls under way as one user may gets no more, by whatever token, and everyone else is served', async () => {
  const unlock = await lockSecrets();
  onTestFinished(unlock);
  const calls = [first, second, first].map((client) => outcomeOf(client.secrets.listSecrets({})));
  await expect.poll(statementsWaiting, PATIENCE).toBe(LIMIT);
  for (const client of [first, second]) {
    await expect(client.tokens.listTokens({})).rejects.toMatchObject({
      codeName: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_CALLS',
      metadata: new Map([['limit', String(LIMIT)]]),
    });
  }
  expect(await retryDelayOf(first.tokens.listTokens({}))).toEqual({ seconds: 1n, nanos: 0 });
  // What memory answers is not counted.
  await expect.poll(() => outcomeOf(second.tokens.validateToken({ token: plaintext })), PATIENCE).toBe('OK');
  expect(await outcomeOf(world.as('staff-b').tokens.listTokens({}))).toBe('OK');
  expect(await outcomeOf(world.admin.tokens.listTokens({}))).toBe('OK');
  await unlock();
  expect(await Promise.all(calls)).toEqual(['OK', 'OK', 'OK']);
  expect(await outcomeOf(first.tokens.listTokens({}))).toBe('OK');
});

test('calls that failed do not count any more', async () => {
  for (let times = 0; times < 2 * LIMIT; times += 1) {
    expect(await outcomeOf(first.tokens.listTokens({ filter: '?' }))).toBe('INVALID_ARGUMENT INVALID_FIELDS');
  }
  expect(await outcomeOf(first.tokens.listTokens({}))).toBe('OK');
});

test('watches and conversations of a user are counted together, and each that ends makes room', async () => {
  const open = await Promise.all([
    Watching.begin(first.tokens.watchTokens({})),
    Watching.begin(second.tokens.watchTokens({})),
    Watching.begin(first.secrets.watchSecrets({})),
  ]);
  await expect(exchange(second)).rejects.toMatchObject({
    codeName: 'RESOURCE_EXHAUSTED',
    reason: 'TOO_MANY_WATCHES',
    metadata: new Map([['limit', String(LIMIT)]]),
  });
  expect(await outcomeOf(Watching.begin(first.secrets.watchSecrets({})))).toBe(
    'RESOURCE_EXHAUSTED TOO_MANY_WATCHES',
  );
  expect(await outcomeOf(exchange(world.as('staff-b')))).toBe('OK');
  expect(await outcomeOf(first.tokens.listTokens({}))).toBe('OK');
  await open.pop()?.close();
  await expect.poll(() => outcomeOf(exchange(second)), PATIENCE).toBe('OK');
  for (const watching of open) await watching.close();
});
