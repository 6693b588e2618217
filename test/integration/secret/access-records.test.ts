import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/audit/audit-log.js';
import { KeywardError } from '../../../src/lib/errors.js';
import type { AccessedSecret } from '../../../src/secret/access/access.js';
import type { SecretRef } from '../../../src/secret/secret-ref.js';
import type { Secret } from '../../../src/secret/secret.js';
import { ACCOUNT_A, byId, decode, outcomes, request, SecretApi, text } from '../../support/secret-api.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterEach(() => {
  api.appending = () => Promise.resolve();
});
afterAll(() => api.close());

async function lastAccessOf(secret: Secret): Promise<bigint | null> {
  return (await api.services.secrets.get(api.as('admin'), byId(secret))).lastAccessedAt;
}

/** spoil puts other bytes in the place of a value. */
async function spoil(secret: Secret, ciphertext: string, keyId: string | null): Promise<void> {
  await api.store(secret, Buffer.from(ciphertext), keyId);
}

describe('the record of an access', () => {
  test('is durable before the value is given', async () => {
    const secret = await api.newSecret();
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let asked = (): void => undefined;
    const asking = new Promise<void>((resolve) => (asked = resolve));
    api.appending = () => {
      asked();
      return released;
    };
    let given: AccessedSecret | undefined;
    const accessing = api.access(api.as('owner'), secret).then((accessed) => (given = accessed));
    await asking;
    await api.services.secrets.get(api.as('owner'), byId(secret));
    expect(given).toBeUndefined();
    release();
    await accessing;
    expect(given).toMatchObject({ secretId: secret.id, version: 1 });
    expect((await api.events(secret.id)).at(-1)).toMatchObject({
      action: 'SECRET_ACCESSED',
      outcome: 'OK',
      detail: { version: '1' },
    });
  });

  test('that cannot be written means no value, alone and in a batch, and no refusal either', async () => {
    const secret = await api.newSecret();
    api.appending = () =>
      Promise.reject(new KeywardError('DATABASE_UNAVAILABLE', 'The audit log cannot be written.'));
    expect(
      await outcomes([api.access(api.as('owner'), secret), api.access(api.as('reader'), secret)]),
    ).toEqual(['DATABASE_UNAVAILABLE', 'DATABASE_UNAVAILABLE']);
    const [result] = await api.services.access.accessMany(api.as('owner'), [request(secret)]);
    expect(result).toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });

  test('holds neither the value nor the name', async () => {
    const entries: AuditEntry[] = [];
    api.appending = (entry) => Promise.resolve(void entries.push(entry));
    const secret = await api.newSecret({ name: 'canary-name' }, text('canary-value'));
    const name: SecretRef = { by: 'account', accountNumber: ACCOUNT_A, name: 'canary-name' };
    await outcomes([
      api.access(api.as('owner'), name),
      api.access(api.as('reader'), name),
      api.access(api.as('staff-b'), name),
      api.services.clones.clone(api.as('reader'), name, { name: 'canary-clone' }, undefined),
    ]);
    expect(entries).toHaveLength(4);
    expect(JSON.stringify(await api.events())).not.toContain('canary');
    expect(await api.actions(secret.id)).toContain('SECRET_ACCESSED');
  });
});

describe('the time of the last access', () => {
  test('is set by success alone, unless told not to, and does not change the etag', async () => {
    const secret = await api.newSecret();
    const owner = api.as('owner');
    await api.access(owner, secret, { skipAccessTime: true });
    await outcomes([api.access(api.as('reader'), secret), api.access(owner, secret, { version: 9 })]);
    expect(await lastAccessOf(secret)).toBeNull();
    await api.access(owner, secret);
    const accessed = await api.services.secrets.get(owner, byId(secret));
    expect(accessed).toEqual({ ...secret, lastAccessedAt: api.now() });
  });

  test('only moves forward', async () => {
    const secret = await api.newSecret();
    const now = api.now();
    await api.access(api.as('owner'), secret);
    api.clock.advance(-10_000);
    await api.access(api.as('owner'), secret);
    expect(await lastAccessOf(secret)).toBe(now);
    api.clock.advance(10_000);
  });

  test('of many at once is written for each of them', async () => {
    const secrets = await Promise.all(Array.from({ length: 10 }, () => api.newSecret()));
    await Promise.all([...secrets, ...secrets, ...secrets].map((each) => api.access(api.as('owner'), each)));
    for (const secret of secrets) expect(await lastAccessOf(secret)).toBe(api.now());
  });

  test('waits for no change of the secret, and is written when that is over', async () => {
    const secret = await api.newSecret();
    const changing = await api.knex.transaction();
    try {
      await changing('secrets')
        .where({ id: String(secret.id) })
        .forUpdate()
        .pluck('id');
      expect(await api.textOf(api.as('owner'), secret)).toBe('the value');
    } finally {
      await changing.rollback();
    }
    expect(await lastAccessOf(secret)).toBeNull();
    await api.services.accessTimes.flush();
    expect(await lastAccessOf(secret)).toBe(api.now());
  });
});

describe('a value that cannot be decrypted', () => {
  const lostKey = '0123456789abcdef';
  const SPOILT: [string, string, () => string | null, Record<string, string>][] = [
    ['of a key that is lost', 'gAAAA', () => lostKey, { key_id: lostKey, cause: 'KEY_MISSING' }],
    ['that is no token', 'garbage', () => null, { key_id: '', cause: 'MALFORMED' }],
  ];

  test.each(SPOILT)('%s is told by its key and cause, recorded, and no access', async (...row) => {
    const [, ciphertext, keyId, metadata] = row;
    const secret = await api.newSecret();
    await spoil(secret, ciphertext, keyId());
    await expect(api.access(api.as('owner'), secret)).rejects.toMatchObject({
      reason: 'SECRET_UNDECRYPTABLE',
      metadata,
    });
    expect(await lastAccessOf(secret)).toBeNull();
    expect((await api.events(secret.id)).at(-1)).toMatchObject({
      action: 'SECRET_ACCESSED',
      outcome: 'SECRET_UNDECRYPTABLE',
      detail: { version: '1', ...metadata },
    });
  });

  test('text that is none is told so', async () => {
    const secret = await api.newSecret();
    const { keyId, ciphertext } = api.keyring.encrypt(Buffer.from([0xff, 0xfe]));
    await spoil(secret, ciphertext.toString('latin1'), keyId);
    await expect(api.access(api.as('owner'), secret)).rejects.toMatchObject({
      reason: 'SECRET_UNDECRYPTABLE',
      metadata: { key_id: keyId, cause: 'NOT_UTF8' },
    });
  });
});

describe('a batch', () => {
  function summary(results: readonly (AccessedSecret | KeywardError)[]): string[] {
    return results.map((result) => (result instanceof KeywardError ? result.reason : decode(result.payload)));
  }

  test('answers each request in order, errors where they belong, and records each', async () => {
    const first = await api.newSecret({}, text('one'));
    await api.services.versions.add(api.as('owner'), byId(first), '', text('one again'));
    const second = await api.newSecret({}, text('two'));
    const gone = await api.newSecret();
    await api.services.secrets.delete(api.as('owner'), byId(gone), '', false);
    const expired = await api.newSecret({ expiresAt: api.now() + 1n });
    const disabled = await api.newSecret();
    await api.services.versions.setState(api.as('owner'), byId(disabled), 1, '', 'DISABLED');
    const spoilt = await api.newSecret();
    await spoil(spoilt, 'garbage', null);
    const foreign = await api.newSecret({}, text('b'), 'plain-b');
    const platform = await api.newSecret({}, text('p'), 'admin');
    api.clock.advance(1);
    const account = (name: string): SecretRef => ({ by: 'account', accountNumber: ACCOUNT_A, name });

    const before = (await api.events()).length;
    const results = await api.services.access.accessMany(api.as('owner'), [
      request(second),
      request(gone),
      request(first, { version: 1 }),
      request(account(first.name)),
      request(expired),
      request(account('there-is-none')),
      request(disabled),
      request(spoilt),
      request(foreign),
      request(platform),
      request(first, { version: 7 }),
      request(expired, { includeExpired: true }),
      request(second, { skipAccessTime: true }),
    ]);
    expect(summary(results)).toEqual([
      'two',
      'NOT_FOUND',
      'one',
      'one again',
      'SECRET_EXPIRED',
      'NOT_FOUND',
      'VERSION_NOT_ENABLED',
      'SECRET_UNDECRYPTABLE',
      'NOT_FOUND',
      'NOT_PERMITTED',
      'NOT_FOUND',
      'the value',
      'two',
    ]);
    const events = (await api.events()).slice(before);
    expect(events.map(({ outcome }) => outcome).sort()).toEqual(
      summary(results)
        .map((result) => (/^[A-Z_]+$/.test(result) ? result : 'OK'))
        .sort(),
    );
  });

  test('of a hundred, as large as fit, is a few statements and not one of each', async () => {
    const large = Buffer.alloc(30_000, 'x');
    const secrets = await Promise.all(
      Array.from({ length: 10 }, () => api.newSecret({}, { format: 'BINARY', bytes: large })),
    );
    const requests = Array.from({ length: 10 }, () => secrets)
      .flat()
      .map((secret) => request(secret));
    const statements: string[] = [];
    const client = api.knex.client as { acquireConnection(): Promise<unknown> };
    const acquire = client.acquireConnection.bind(client);
    client.acquireConnection = () => {
      statements.push('acquired');
      return acquire();
    };
    try {
      const results = await api.services.access.accessMany(api.as('owner'), requests);
      expect(results).toHaveLength(100);
      const isLarge = (result: AccessedSecret | KeywardError) =>
        !(result instanceof KeywardError) && large.equals(result.payload.bytes);
      expect(results.every(isLarge)).toBe(true);
    } finally {
      client.acquireConnection = acquire;
    }
    expect(statements.length).toBeLessThan(10);
  });

  test('of nothing is nothing', async () => {
    expect(await api.services.access.accessMany(api.as('owner'), [])).toEqual([]);
  });
});
