import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connect, createSecretReader, type SecretReader, type SecretReaderOptions } from '@keyward/client';
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
