import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  connect,
  createSecretReader,
  createValidator,
  type SecretReader,
  type SecretReaderOptions,
} from '@keyward/client';
import { FakeReplica, SECRET_ID } from '../../support/fake-replica.js';

let replica: FakeReplica;
const opened: { close(): void }[] = [];

beforeEach(async () => {
  replica = await FakeReplica.start();
});

afterEach(() => {
  for (const each of opened.splice(0)) each.close();
  replica.stop();
});

function open(options: SecretReaderOptions = {}): SecretReader {
  const client = connect({ servers: replica.address, token: 'own', timeoutMs: 2_000 });
  const reader = createSecretReader(client, options);
  opened.push(reader, client);
  return reader;
}

async function leased(): Promise<SecretReader> {
  const reader = open({ keep: true });
  await vi.waitFor(() => expect(replica.all('renewal').length).toBeGreaterThan(1));
  return reader;
}

describe('a reader', () => {
  test('keeps nothing unless it is asked to', async () => {
    const reader = open();
    for (let count = 1; count <= 2; count += 1) {
      expect(await reader.get('db-password')).toMatchObject({
        text: 'first',
        version: 1,
        secretId: SECRET_ID,
      });
      expect(replica.calls).toBe(count);
    }
    expect(replica.streams).toEqual([]);
    expect(() => reader.onChange('db-password', () => undefined)).toThrow('keep');
  });

  test('asks once for what it may keep, and tells how often it was used', async () => {
    const reader = await leased();
    for (let count = 0; count < 3; count += 1) expect((await reader.get('db-password')).text).toBe('first');
    expect(replica.all('access')).toHaveLength(1);
    expect(replica.all('access')[0]?.request).toMatchObject({
      secret: { ownedName: { name: 'db-password' } },
    });
    await vi.waitFor(() => {
      const uses = replica.all('renewal').flatMap(({ secretUses }) => secretUses);
      expect(uses.map(({ secretId, count }) => [secretId, count])).toEqual([[SECRET_ID, 2]]);
    });
  });

  test('has forgotten before it acknowledges, and gives the new value then', async () => {
    const reader = await leased();
    const before = await reader.get({ id: SECRET_ID });
    replica.secret = { version: 2, text: 'second' };
    replica.stream.send({ invalidation: { number: 1n, secretIds: [SECRET_ID] } });
    await vi.waitFor(() => expect(replica.all('acknowledgement')).toHaveLength(1));
    expect((await reader.get({ id: SECRET_ID })).text).toBe('second');
    expect(before.text).toBe('first');
    expect(before.bytes.toString()).toBe('first');
  });

  test('fails as the service does', async () => {
    const reader = await leased();
    replica.secret = undefined;
    await expect(reader.get('none')).rejects.toMatchObject({ codeName: 'NOT_FOUND' });
    await expect(reader.get({ nam: 'x' } as object)).rejects.toMatchObject({
      violations: [{ field: 'secret.nam', rule: 'is no field of the request' }],
    });
  });
});

describe('a reader and a validator of one client', () => {
  const TEXT = 'token-text';

  test('share one stream, and what one of them holds is forgotten when that one is closed', async () => {
    replica.tokens.set(TEXT, {});
    const client = connect({ servers: replica.address, token: 'own', timeoutMs: 2_000 });
    const validator = createValidator(client, { label: 'checkout' });
    const reader = createSecretReader(client, { keep: true });
    opened.push(client);
    await vi.waitFor(() => expect(validator.isLeased).toBe(true));
    const hold = async (): Promise<void> => {
      await Promise.all([validator.validate(TEXT), reader.get('db-password')]);
    };
    await hold();
    await hold();
    expect(replica.streams).toHaveLength(1);
    expect([replica.all('lookUp').length, replica.all('access').length, replica.calls]).toEqual([1, 1, 0]);
    reader.close();
    // Nobody is left who keeps values.
    await hold();
    expect([replica.all('lookUp').length, replica.all('access').length, replica.calls]).toEqual([1, 2, 0]);
    expect(replica.all('left')).toEqual([]);
    validator.close();
    expect(validator.validateCached(TEXT)).toBeUndefined();
    await vi.waitFor(() => expect(replica.all('left')).toHaveLength(1));
    const again = createValidator(client, { label: 'another' });
    await vi.waitFor(() => expect(again.isLeased).toBe(true));
    expect(replica.all('open').map(({ label }) => label)).toEqual(['checkout', 'another']);
  });

  test('have one label, and hold as much as they want together', async () => {
    const client = connect({ servers: replica.address, token: 'own' });
    opened.push(client);
    for (const text of ['a', 'b', 'c']) replica.tokens.set(text, {});
    const first = createValidator(client, { label: 'checkout', maxEntries: 1 });
    expect(() => createSecretReader(client, { keep: true, label: 'other' })).toThrow('checkout');
    createValidator(client, { label: 'checkout', maxEntries: 1 });
    await vi.waitFor(() => expect(first.isLeased).toBe(true));
    for (const text of ['a', 'b', 'c']) await first.validate(text);
    expect(first.size).toBe(2);
  });
});

describe('whoever watches a secret', () => {
  test('is handed the value, each new one once, and told when there is none any more', async () => {
    const reader = await leased();
    const told: string[] = [];
    const end = reader.onChange('db-password', (value, error) =>
      told.push(value?.text ?? error?.codeName ?? ''),
    );
    await vi.waitFor(() => expect(told).toEqual(['first']));
    const change = (secret: FakeReplica['secret']): void => {
      replica.secret = secret;
      replica.stream.send({ invalidation: { number: 1n, secretIds: [SECRET_ID] } });
    };
    change({ version: 2, text: 'second' });
    await vi.waitFor(() => expect(told).toEqual(['first', 'second']));
    // Something else of the secret was changed.
    change({ version: 2, text: 'second' });
    await vi.waitFor(() => expect(replica.all('access')).toHaveLength(3));
    change(undefined);
    await vi.waitFor(() => expect(told).toEqual(['first', 'second', 'NOT_FOUND']));
    replica.secret = { version: 3, text: 'third' };
    await vi.waitFor(() => expect(told.at(-1)).toBe('third'));
    end();
    change({ version: 4, text: 'fourth' });
    await vi.waitFor(() => expect(replica.all('acknowledgement')).toHaveLength(4));
    expect(told).toEqual(['first', 'second', 'NOT_FOUND', 'third']);
  });

  test('is told nothing by an answer that comes after that to a later question', async () => {
    replica.leaseMs = undefined;
    let answerFirst = (): void => undefined;
    replica.callsWaitFor = new Promise((resolve) => (answerFirst = resolve));
    const client = connect({ servers: replica.address, token: 'own' });
    const reader = createSecretReader(client, { keep: true });
    opened.push(client);
    const told: (string | undefined)[] = [];
    reader.onChange('db-password', (value) => told.push(value?.text));
    await vi.waitFor(() => expect(replica.calls).toBe(1));
    // Somebody else asks for it once there is a lease, and holds it until it is another value again.
    replica.leaseMs = 3_000;
    const { length } = replica.all('renewal');
    await vi.waitFor(() => expect(replica.all('renewal').length).toBeGreaterThan(length + 1));
    replica.secret = { version: 2, text: 'second' };
    expect((await reader.get('db-password')).text).toBe('second');
    replica.secret = { version: 3, text: 'third' };
    replica.stream.send({ invalidation: { number: 1n, secretIds: [SECRET_ID] } });
    await vi.waitFor(() => expect(told).toEqual(['third']));
    answerFirst();
    // What is called later by the same connection is answered later.
    await createSecretReader(client).get('db-password');
    expect(told).toEqual(['third']);
  });

  test('misses nothing that happens before there is a lease', async () => {
    replica.leaseMs = undefined;
    const reader = open({ keep: true });
    const told: (string | undefined)[] = [];
    reader.onChange('db-password', (value) => told.push(value?.text));
    await vi.waitFor(() => expect(told).toEqual(['first']));
    replica.secret = { version: 2, text: 'second' };
    replica.leaseMs = 3_000;
    await vi.waitFor(() => expect(told).toEqual(['first', 'second']));
  });
});
