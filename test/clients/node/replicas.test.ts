import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  connect,
  createSecretReader,
  createValidator,
  type KeywardClient,
  type Validator,
} from '@keyward/client';
import { registerCanary } from '../../support/canaries.js';
import type { TestServer } from '../../support/server.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { World } from '../../support/world.js';

let world: World;
let second: TestServer;
let admin: KeywardClient;
const opened: { close(): void }[] = [];

beforeAll(async () => {
  world = await World.create();
  second = await world.startServer();
  admin = clientOf(world.server.address);
});

afterAll(async () => {
  for (const each of opened) each.close();
  await world.close();
});

function clientOf(...servers: readonly string[]): KeywardClient {
  const client = connect({ servers, token: world.adminToken });
  opened.push(client);
  return client;
}

async function validatorOf(...servers: readonly string[]): Promise<Validator> {
  const validator = createValidator(clientOf(...servers), { label: 'test/validator' });
  opened.unshift(validator);
  await vi.waitFor(() => expect(validator.isLeased).toBe(true), { timeout: 10_000 });
  return validator;
}

async function issue(name: string): Promise<{ id: bigint; plaintext: string }> {
  const { token, plaintext } = await admin.tokens.createToken({ name, scopes: ['orders:*'] });
  registerCanary(plaintext);
  // What has just been made is told of a moment later, and would have to be forgotten then.
  await second.heard();
  return { id: token?.id ?? 0n, plaintext };
}

async function kept(validator: Validator, text: string): Promise<void> {
  await vi.waitFor(async () => {
    await validator.validate(text);
    expect(validator.validateCached(text)?.valid).toBe(true);
  });
}

describe('a validator', () => {
  test('says what the service says, and holds it', async () => {
    const validator = await validatorOf(second.address);
    const { plaintext } = await issue('same');
    const { reason, ...said } = await admin.tokens.validateToken({ token: plaintext });
    expect(reason).toBe('VERDICT_REASON_OK');
    await kept(validator, plaintext);
    expect(validator.validateCached(plaintext, { scopes: ['orders:read'] })).toEqual({
      ...said,
      reason: 'OK',
    });
    expect(validator.validateCached(plaintext, { scopes: ['users:read'] })?.reason).toBe(
      'INSUFFICIENT_SCOPE',
    );
  });

  test('contradicts no change that is complete', async () => {
    const validator = await validatorOf(second.address);
    for (let round = 0; round < 5; round += 1) {
      const { id, plaintext } = await issue(`revoked-${round}`);
      await kept(validator, plaintext);
      const { propagation } = await admin.tokens.deactivateToken({ selector: { id } });
      expect(validator.validateCached(plaintext)?.valid).not.toBe(true);
      expect(propagation).toMatchObject({ complete: true, clientsAcknowledged: 1, clientsExpired: 0 });
      expect((await validator.validate(plaintext)).reason).toBe('INACTIVE');
    }
  });

  test('that hears nothing answers no longer than its lease, for which the change waits', async () => {
    const proxy: TcpProxy = await startTcpProxy(`tcp://${second.address}`);
    const validator = await validatorOf(new URL(proxy.url).host);
    const { id, plaintext } = await issue('unheard');
    await kept(validator, plaintext);
    proxy.silence();
    const { propagation } = await admin.tokens.deactivateToken({ selector: { id } });
    expect(validator.validateCached(plaintext)).toBeUndefined();
    expect(propagation).toMatchObject({ complete: true, clientsExpired: 1 });
    await proxy.close();
  });

  test('keeps what it holds when it goes to another replica', async () => {
    const third = await world.startServer();
    const validator = await validatorOf(third.address, second.address);
    const { id, plaintext } = await issue('moved');
    await kept(validator, plaintext);
    const { lookUp } = validator.counts;
    await third.stop();
    await vi.waitFor(() => expect(validator.validateCached(plaintext)?.valid).toBe(true), {
      timeout: 10_000,
    });
    expect(validator.counts.lookUp).toBe(lookUp);
    await admin.tokens.deactivateToken({ selector: { id } });
    expect(validator.validateCached(plaintext)?.valid).not.toBe(true);
  });
});

describe('a reader', () => {
  test('hands a new value over, and gives no old one after the change', async () => {
    const reader = createSecretReader(clientOf(second.address), { keep: true });
    opened.unshift(reader);
    const { secret } = await admin.secrets.createSecret({ name: 'db-password', payload: { text: 'first' } });
    const told: (string | undefined)[] = [];
    reader.onChange('db-password', (value) => told.push(value?.text));
    await vi.waitFor(() => expect(told).toEqual(['first']));
    await admin.secrets.addSecretVersion({ selector: { id: secret?.id ?? 0n }, payload: { text: 'second' } });
    await vi.waitFor(() => expect(told).toEqual(['first', 'second']), { timeout: 10_000 });
    await admin.secrets.disableSecretVersion({ selector: { id: secret?.id ?? 0n }, version: 2 });
    expect((await reader.get('db-password')).text).toBe('first');
  });
});
