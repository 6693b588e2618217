import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etagOf } from '../../../src/lib/etag.js';
import { SECRET_COLUMNS } from '../../../src/secret/secret-columns.js';
import type { Secret } from '../../../src/secret/secret.js';
import {
  byId,
  DAY_MS,
  outcomes,
  page,
  RETENTION_DAYS,
  SecretApi,
  settingsOf,
  text,
  type Person,
} from '../../support/secret-api.js';
import { existing } from '../../support/world.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

async function listed(person: Person, filter: string, showDeleted = false): Promise<string[]> {
  const { items } = await api.services.secrets.list(
    api.as(person),
    page(SECRET_COLUMNS, filter),
    showDeleted,
  );
  return items.map(({ name }) => name);
}

function stateOf(secret: Secret): Promise<Secret> {
  return api.services.secrets.get(api.as('owner'), byId(secret));
}

describe('creating', () => {
  test('a secret holds what was given, is encrypted in the table, and is ready', async () => {
    const given = {
      name: 'Production Key',
      description: 'for tests',
      version: '2.0.0',
      tags: ['b', 'a'],
      annotations: new Map([['host', 'db1']]),
      manifestPath: '/x.yaml',
      expiresAt: api.now() + 1_000_000n,
    };
    const secret = await api.newSecret(given, text('plain as can be'));
    expect(secret).toMatchObject({
      ...given,
      latestVersion: 1,
      enabledVersion: 1,
      lastAccessedAt: null,
      deletedAt: null,
      purgeAt: null,
    });
    expect(secret.owner).toMatchObject({ username: 'owner', accountNumber: '1111-1111-1111' });
    const [ciphertext] = await api.ciphertexts(secret.id);
    expect(existing(ciphertext).toString('latin1')).toMatch(/^gAAAA/);
    expect(await api.actions(secret.id)).toEqual(['SECRET_CREATED', 'SECRET_READY']);
    expect(await api.textOf(api.as('owner'), secret)).toBe('plain as can be');
  });

  test('bytes come out as bytes, text as text, each unchanged', async () => {
    const bytes = Buffer.from([0, 255, 128, 10]);
    const binary = await api.newSecret({}, { format: 'BINARY', bytes });
    const textual = await api.newSecret({}, text(' \0 zażółć 🔑\r\n'));
    expect((await api.access(api.as('owner'), binary)).payload).toEqual({ format: 'BINARY', bytes });
    expect((await api.access(api.as('owner'), textual)).payload).toEqual(text(' \0 zażółć 🔑\r\n'));
  });

  test('for an owner whose secrets the caller does not manage it is refused, and nothing is written', async () => {
    const create = (person: Person, name: string) =>
      api.services.secrets.create(
        api.as(person),
        { by: 'id', id: api.profileId('owner') },
        settingsOf({ name }),
        text('x'),
      );
    await expect(create('reader', 'not-mine')).rejects.toMatchObject({ reason: 'NOT_PERMITTED' });
    await expect(create('staff-b', 'not-mine')).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    await expect(create('nowhere', 'not-mine')).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    expect(await api.knex('secrets').where('name', 'not-mine')).toEqual([]);
    expect(await create('staff-a', 'by-staff')).toMatchObject({ name: 'by-staff' });
  });
});

describe('updating', () => {
  test('changes the fields given, marks a new state and records the fields without their values', async () => {
    const secret = await api.newSecret({ tags: ['old'] });
    const updated = await api.services.secrets.update(
      api.as('owner'),
      byId(secret),
      etagOf(secret.rowVersion),
      {
        description: 'canary-description',
        expiresAt: api.now() + 5_000_000n,
      },
    );
    expect(updated).toMatchObject({
      description: 'canary-description',
      tags: ['old'],
      expiresAt: api.now() + 5_000_000n,
    });
    expect(updated.rowVersion).toBeGreaterThan(secret.rowVersion);
    const events = await api.events(secret.id);
    expect(events.at(-1)).toMatchObject({
      action: 'SECRET_EDITED',
      detail: { fields: 'description,expires_at' },
    });
    expect(JSON.stringify(events)).not.toContain('canary-description');
  });

  test('an expired secret whose expiry is taken away is recorded as ready again', async () => {
    const secret = await api.newSecret({ expiresAt: api.now() + 1_000n });
    api.clock.advance(10);
    await expect(api.textOf(api.as('owner'), secret)).rejects.toMatchObject({ reason: 'SECRET_EXPIRED' });
    await api.services.secrets.update(api.as('owner'), byId(secret), '', { expiresAt: null });
    expect((await api.actions(secret.id)).slice(-2)).toEqual(['SECRET_EDITED', 'SECRET_READY']);
    expect(await api.textOf(api.as('owner'), secret)).toBe('the value');
  });

  test('a stale etag changes nothing, whatever the change', async () => {
    const secret = await api.newSecret();
    const stale = etagOf(secret.rowVersion);
    await api.services.secrets.update(api.as('owner'), byId(secret), stale, { description: 'first' });
    const before = await stateOf(secret);
    const { secrets, versions } = api.services;
    const owner = api.as('owner');
    const changes = [
      secrets.update(owner, byId(secret), stale, { description: 'second' }),
      secrets.rename(owner, byId(secret), stale, 'stale-name'),
      secrets.delete(owner, byId(secret), stale, true),
      versions.add(owner, byId(secret), stale, text('stale')),
      versions.setState(owner, byId(secret), 1, stale, 'DESTROYED'),
    ];
    expect(new Set(await outcomes(changes))).toEqual(new Set(['ETAG_MISMATCH']));
    expect(await stateOf(secret)).toEqual(before);
    expect(await api.ciphertexts(secret.id)).toHaveLength(1);
  });

  test('of two changes by the same etag one is made', async () => {
    const secret = await api.newSecret();
    const etag = etagOf(secret.rowVersion);
    const results = await Promise.allSettled(
      ['one', 'two'].map((value) =>
        api.services.versions.add(api.as('owner'), byId(secret), etag, text(value)),
      ),
    );
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await stateOf(secret)).toMatchObject({ latestVersion: 2 });
  });
});

describe('deleting', () => {
  test('a deleted secret is gone for everyone, but for its managers by id, until it is brought back', async () => {
    const secret = await api.newSecret();
    const { secrets, versions, grants, references, clones } = api.services;
    await grants.grant(api.as('owner'), byId(secret), { by: 'id', id: api.profileId('plain-b') }, null);
    const { result: deleted } = await secrets.delete(api.as('owner'), byId(secret), '', false);
    expect(deleted.deletedAt).toBe(api.now());
    expect(deleted.purgeAt).toBe(api.now() + BigInt(RETENTION_DAYS * DAY_MS) * 1000n);

    const owner = api.as('owner');
    const profile = { by: 'id', id: api.profileId('reader') } as const;
    const reference = { kind: 'provider.api_key', consumer: 'c' };
    const calls = [
      secrets.get(api.as('reader'), byId(secret)),
      secrets.get(api.as('plain-b'), byId(secret)),
      secrets.get(owner, {
        by: 'owner',
        owner: { by: 'id', id: api.profileId('owner') },
        name: secret.name,
      }),
      secrets.update(owner, byId(secret), '', { description: 'x' }),
      secrets.rename(owner, byId(secret), '', 'x'),
      secrets.delete(owner, byId(secret), '', true),
      clones.clone(owner, byId(secret), { name: 'clone-of-deleted' }, undefined),
      versions.add(owner, byId(secret), '', text('x')),
      versions.setState(owner, byId(secret), 1, '', 'DISABLED'),
      grants.grant(owner, byId(secret), profile, null),
      references.attach(owner, byId(secret), reference),
      api.access(owner, secret),
      api.access(api.as('plain-b'), secret),
    ];
    expect(new Set(await outcomes(calls))).toEqual(new Set(['NOT_FOUND']));
    expect(await stateOf(secret)).toEqual(deleted);

    const back = await secrets.undelete(owner, byId(secret), etagOf(deleted.rowVersion));
    expect(back).toMatchObject({ deletedAt: null, purgeAt: null, name: secret.name });
    expect(await api.textOf(api.as('plain-b'), secret)).toBe('the value');
    expect((await api.actions(secret.id)).filter((action) => action !== 'SECRET_ACCESSED')).toEqual([
      'SECRET_CREATED',
      'SECRET_READY',
      'SECRET_GRANTED',
      'SECRET_DELETED',
      'SECRET_CLONED',
      'SECRET_UNDELETED',
      'SECRET_READY',
    ]);
  });

  test('a deleted secret is listed only where asked for, to those who manage it', async () => {
    const secret = await api.newSecret();
    const filter = `name = "${secret.name}"`;
    await api.services.secrets.delete(api.as('owner'), byId(secret), '', false);
    const shown = (person: Person) => listed(person, filter, true);
    expect(await listed('owner', filter)).toEqual([]);
    for (const person of ['owner', 'staff-a', 'admin'] as const) {
      expect(await shown(person)).toEqual([secret.name]);
    }
    for (const person of ['reader', 'staff-b', 'nowhere'] as const) expect(await shown(person)).toEqual([]);
  });

  test('what consumers use is not deleted, and they are named, unless it is forced', async () => {
    const secret = await api.newSecret();
    for (let index = 1; index <= 12; index += 1) {
      await api.services.references.attach(api.as('owner'), byId(secret), {
        kind: 'sql_connection.password',
        consumer: `conn-${index}`,
      });
    }
    const deleting = api.services.secrets.delete(api.as('owner'), byId(secret), '', false);
    await expect(deleting).rejects.toMatchObject({
      reason: 'SECRET_REFERENCED',
      metadata: {
        count: '12',
        consumers: Array.from({ length: 10 }, (_, index) => `sql_connection.password=conn-${index + 1}`).join(
          ',',
        ),
      },
    });
    expect(await stateOf(secret)).toMatchObject({ deletedAt: null });
    const { result } = await api.services.secrets.delete(api.as('owner'), byId(secret), '', true);
    expect(result).toMatchObject({
      deletedAt: api.now(),
    });
  });

  test('a secret that is not deleted is not brought back', async () => {
    const secret = await api.newSecret();
    const undeleting = api.services.secrets.undelete(api.as('owner'), byId(secret), '');
    await expect(undeleting).rejects.toMatchObject({ reason: 'NOT_DELETED' });
  });

  test('a secret whose name was taken meanwhile is not brought back until the name is free', async () => {
    const secret = await api.newSecret({ name: 'taken-meanwhile' });
    const { secrets } = api.services;
    await secrets.delete(api.as('owner'), byId(secret), '', false);
    const other = await api.newSecret({ name: 'Taken-Meanwhile' });
    await expect(secrets.undelete(api.as('owner'), byId(secret), '')).rejects.toMatchObject({
      reason: 'ALREADY_EXISTS',
      metadata: { field: 'name' },
    });
    await secrets.rename(api.as('owner'), byId(other), '', 'another-name');
    expect(await secrets.undelete(api.as('owner'), byId(secret), '')).toMatchObject({ deletedAt: null });
  });
});

describe('purging', () => {
  async function remaining(secret: Secret): Promise<number[]> {
    const tables = ['secrets', 'secret_versions', 'secret_grants', 'secret_references'];
    return Promise.all(
      tables.map(async (table) => {
        const column = table === 'secrets' ? 'id' : 'secret_id';
        return (await api.knex(table).where(column, String(secret.id))).length;
      }),
    );
  }

  test('a deleted secret is removed with all that belongs to it when its time has come, not before', async () => {
    const secret = await api.newSecret();
    const owner = api.as('owner');
    await api.services.grants.grant(owner, byId(secret), { by: 'id', id: api.profileId('reader') }, null);
    await api.services.references.attach(owner, byId(secret), { kind: 'k', consumer: 'c' });
    await api.services.secrets.delete(owner, byId(secret), '', true);
    api.clock.advance(RETENTION_DAYS * DAY_MS - 1);
    await api.services.purger.purge();
    expect(await remaining(secret)).toEqual([1, 1, 1, 1]);
    api.clock.advance(1);
    expect(await api.services.purger.purge()).toBeGreaterThan(0);
    expect(await remaining(secret)).toEqual([0, 0, 0, 0]);
    expect((await api.events(secret.id)).at(-1)).toMatchObject({
      action: 'SECRET_PURGED',
      outcome: 'OK',
      actor_username: 'keyward',
      resource_account_number: '1111-1111-1111',
    });
    await expect(api.services.secrets.undelete(owner, byId(secret), '')).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
  });

  test('more than a batch is purged at once, by several purgers together each once', async () => {
    const ids = await api
      .knex('secrets')
      .insert(
        Array.from({ length: 250 }, (_, index) => ({
          user_profile_id: String(api.profileId('owner')),
          name: `due-${index}`,
          name_key: `due-${index}`,
          deleted_at: new Date(0),
          purge_at: new Date(1000),
        })),
      )
      .returning<{ id: bigint }[]>('id');
    const purged = await Promise.all([1, 2, 3].map(() => api.services.purger.purge()));
    expect(purged.reduce((sum, count) => sum + count, 0)).toBe(250);
    const events = await api
      .knex('audit_events')
      .whereIn(
        'resource_id',
        ids.map(({ id }) => String(id)),
      )
      .where('action', 'SECRET_PURGED');
    expect(events).toHaveLength(250);
  });

  test('with a retention of no days a deleted secret is gone at once', async () => {
    const strict = await SecretApi.open(0);
    try {
      const secret = await strict.newSecret();
      await strict.services.secrets.delete(strict.as('owner'), byId(secret), '', false);
      expect(await strict.knex('secrets').where('id', String(secret.id))).toEqual([]);
      expect((await strict.actions(secret.id)).slice(-2)).toEqual(['SECRET_DELETED', 'SECRET_PURGED']);
    } finally {
      await strict.close();
    }
  });
});

describe('lists', () => {
  test('hold what is of the own accounts, of the platform and what is granted, and nothing else', async () => {
    const tag = 'list-of-rights';
    const filter = `tag = "${tag}"`;
    const own = await api.newSecret({ tags: [tag], name: 'list-own' });
    await api.newSecret({ tags: [tag], name: 'list-b' }, text('b'), 'plain-b');
    await api.newSecret({ tags: [tag], name: 'list-platform' }, text('p'), 'admin');
    const names = async (person: Person) => (await listed(person, filter)).sort();
    expect(await names('reader')).toEqual(['list-own', 'list-platform']);
    expect(await names('staff-b')).toEqual(['list-b', 'list-platform']);
    expect(await names('admin')).toEqual(['list-b', 'list-own', 'list-platform']);
    expect(await names('nowhere')).toEqual([]);

    const toStaffB = { by: 'id', id: api.profileId('staff-b') } as const;
    await api.services.grants.grant(api.as('owner'), byId(own), toStaffB, api.now() + 1_000_000n);
    expect(await names('staff-b')).toEqual(['list-b', 'list-own', 'list-platform']);
    expect(await names('plain-b')).toEqual(['list-b', 'list-platform']);
    api.clock.advance(1_001);
    expect(await names('staff-b')).toEqual(['list-b', 'list-platform']);
  });

  test('can be filtered by the newest version and ordered by every field', async () => {
    const secret = await api.newSecret({ tags: ['versions'] });
    await api.newSecret({ tags: ['versions'] });
    await api.services.versions.add(api.as('owner'), byId(secret), '', text('second'));
    expect(await listed('owner', 'tag = versions AND latest_version >= 2')).toEqual([secret.name]);
    for (const field of Object.keys(SECRET_COLUMNS.order)) {
      const query = page(SECRET_COLUMNS, 'tag = versions', `${field} desc`);
      expect((await api.services.secrets.list(api.as('owner'), query, true)).items).toHaveLength(2);
    }
  });
});
