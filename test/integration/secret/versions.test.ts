import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VERSION_COLUMNS } from '../../../src/secret/secret-columns.js';
import type { Secret, VersionState } from '../../../src/secret/secret.js';
import { byId, outcomes, page, SecretApi, text } from '../../support/secret-api.js';
import { existing } from '../../support/world.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

function add(secret: Secret, value: string) {
  return api.services.versions.add(api.as('owner'), byId(secret), '', text(value));
}

async function setState(secret: Secret, number: number, state: VersionState) {
  return (await api.services.versions.setState(api.as('owner'), byId(secret), number, '', state)).result;
}

function valueOf(secret: Secret, version: number | null = null): Promise<string> {
  return api.textOf(api.as('owner'), secret, { version });
}

function current(secret: Secret): Promise<Secret> {
  return api.services.secrets.get(api.as('owner'), byId(secret));
}

describe('adding', () => {
  test('a new version is the one given out, and the older ones stay as they were', async () => {
    const secret = await api.newSecret({}, text('first'));
    const before = await api.ciphertexts(secret.id);
    const version = await add(secret, 'second');
    expect(version).toMatchObject({
      secretId: secret.id,
      number: 2,
      state: 'ENABLED',
      format: 'TEXT',
      keyId: api.keyring.primaryId,
      createdBy: 'owner',
      destroyedAt: null,
    });
    expect(await valueOf(secret)).toBe('second');
    expect(await valueOf(secret, 1)).toBe('first');
    expect((await api.ciphertexts(secret.id))[0]).toEqual(before[0]);
    const after = await current(secret);
    expect(after).toMatchObject({ latestVersion: 2, enabledVersion: 2 });
    expect(after.rowVersion).toBeGreaterThan(secret.rowVersion);
  });

  test('many at once get numbers of their own, without a gap', async () => {
    const secret = await api.newSecret();
    const added = await Promise.all(Array.from({ length: 20 }, (_, index) => add(secret, `value ${index}`)));
    expect(added.map(({ number }) => number).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 2),
    );
    for (const [index, { number }] of added.entries()) {
      expect(await valueOf(secret, number)).toBe(`value ${index}`);
    }
  });
});

describe('the state of a version', () => {
  test('a disabled version is not given out; the newest enabled one is', async () => {
    const secret = await api.newSecret({}, text('first'));
    await add(secret, 'second');
    expect(await setState(secret, 2, 'DISABLED')).toMatchObject({ number: 2, state: 'DISABLED' });
    expect(await valueOf(secret)).toBe('first');
    expect(await current(secret)).toMatchObject({ latestVersion: 2, enabledVersion: 1 });
    await expect(valueOf(secret, 2)).rejects.toMatchObject({
      reason: 'VERSION_NOT_ENABLED',
      metadata: { state: 'DISABLED' },
    });
    await setState(secret, 1, 'DISABLED');
    await expect(valueOf(secret)).rejects.toMatchObject({ reason: 'VERSION_NOT_ENABLED' });
    await setState(secret, 2, 'ENABLED');
    expect(await valueOf(secret)).toBe('second');
  });

  test('the only version enabled again makes the secret ready, another does not', async () => {
    const secret = await api.newSecret();
    await add(secret, 'second');
    await setState(secret, 1, 'DISABLED');
    await setState(secret, 2, 'DISABLED');
    await setState(secret, 1, 'ENABLED');
    await setState(secret, 2, 'ENABLED');
    const events = await api.events(secret.id);
    expect(events.slice(2).map(({ action, detail }) => [action, detail['version']])).toEqual([
      ['SECRET_VERSION_ADDED', '2'],
      ['SECRET_VERSION_DISABLED', '1'],
      ['SECRET_VERSION_DISABLED', '2'],
      ['SECRET_VERSION_ENABLED', '1'],
      ['SECRET_READY', undefined],
      ['SECRET_VERSION_ENABLED', '2'],
    ]);
  });

  test('a value added where none is enabled makes the secret ready', async () => {
    const secret = await api.newSecret();
    await setState(secret, 1, 'DESTROYED');
    await add(secret, 'second');
    expect((await api.actions(secret.id)).slice(-2)).toEqual(['SECRET_VERSION_ADDED', 'SECRET_READY']);
  });

  test('a state that is so already is left, recorded and marked as no change', async () => {
    const secret = await api.newSecret();
    await add(secret, 'second');
    for (const state of ['ENABLED', 'DISABLED', 'DESTROYED'] as const) {
      const first = await setState(secret, 1, state);
      const { rowVersion } = await current(secret);
      const actions = await api.actions(secret.id);
      expect(await setState(secret, 1, state)).toEqual(first);
      expect((await current(secret)).rowVersion).toBe(rowVersion);
      expect(await api.actions(secret.id)).toEqual(actions);
    }
  });

  test('a destroyed version is erased from the table for good, with its key', async () => {
    const secret = await api.newSecret({}, text('to be erased'));
    await add(secret, 'second');
    const [ciphertext] = await api.ciphertexts(secret.id);
    const destroyed = await setState(secret, 1, 'DESTROYED');
    expect(destroyed).toMatchObject({ state: 'DESTROYED', keyId: null, destroyedAt: api.now() });

    const rows = (await api
      .knex('secret_versions')
      .where({ secret_id: String(secret.id), number: 1 })) as unknown[];
    expect(rows).toMatchObject([
      { state: 'DESTROYED', ciphertext: null, key_id: null, binding: null, binding_key_id: null },
    ]);
    const { rows: found } = await api.knex.raw<{ rows: { found: boolean }[] }>(
      'SELECT EXISTS (SELECT FROM secret_versions v WHERE v.ciphertext = ?) AS found',
      [existing(ciphertext)],
    );
    expect(found).toEqual([{ found: false }]);

    expect(
      await outcomes([setState(secret, 1, 'ENABLED'), setState(secret, 1, 'DISABLED'), valueOf(secret, 1)]),
    ).toEqual(['VERSION_NOT_ENABLED', 'VERSION_NOT_ENABLED', 'VERSION_NOT_ENABLED']);
    expect(await valueOf(secret)).toBe('second');
  });

  test('an unknown version is NOT_FOUND, and nothing is written', async () => {
    const secret = await api.newSecret();
    const before = await api.actions(secret.id);
    expect(await outcomes([setState(secret, 2, 'DISABLED'), setState(secret, 0, 'ENABLED')])).toEqual([
      'NOT_FOUND',
      'NOT_FOUND',
    ]);
    await expect(valueOf(secret, 99)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    expect((await api.actions(secret.id)).slice(0, -1)).toEqual(before);
  });
});

describe('the table', () => {
  const CHANGES: [string, Record<string, unknown>][] = [
    ['number', { number: 5 }],
    ['format', { format: 'BINARY' }],
    ['maker', { created_by: 'somebody' }],
    ['time', { created_at: new Date(0) }],
  ];

  test.each(CHANGES)("refuses to change a version's %s", async (_, change) => {
    const secret = await api.newSecret();
    const changing = api
      .knex('secret_versions')
      .where('secret_id', String(secret.id))
      .update(change)
      .then(() => 'changed');
    await expect(changing).rejects.toThrow('cannot be changed so');
  });

  test('refuses to bring a destroyed version back', async () => {
    const secret = await api.newSecret();
    const [ciphertext] = await api.ciphertexts(secret.id);
    await setState(secret, 1, 'DESTROYED');
    const restoring = api
      .knex('secret_versions')
      .where('secret_id', String(secret.id))
      .update({ state: 'ENABLED', ciphertext, destroyed_at: null })
      .then(() => 'changed');
    await expect(restoring).rejects.toThrow('cannot be changed so');
  });
});

test('versions can be listed by whoever reads the secret, filtered and ordered', async () => {
  const secret = await api.newSecret();
  await add(secret, 'second');
  await add(secret, 'third');
  await setState(secret, 2, 'DISABLED');
  const { items } = await api.services.versions.list(
    api.as('reader'),
    byId(secret),
    page(VERSION_COLUMNS, 'state = "ENABLED"', 'number desc'),
  );
  expect(items.map(({ number }) => number)).toEqual([3, 1]);
  for (const field of Object.keys(VERSION_COLUMNS.order)) {
    const all = await api.services.versions.list(
      api.as('owner'),
      byId(secret),
      page(VERSION_COLUMNS, '', field),
    );
    expect(all.items).toHaveLength(3);
  }
  await expect(
    api.services.versions.list(api.as('staff-b'), byId(secret), page(VERSION_COLUMNS)),
  ).rejects.toMatchObject({ reason: 'NOT_FOUND' });
});
