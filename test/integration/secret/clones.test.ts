import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Secret } from '../../../src/secret/secret.js';
import { byId, outcomes, SecretApi, text, type Person } from '../../support/secret-api.js';
import { existing } from '../../support/world.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

function clone(person: Person, secret: Secret, owner?: Person, name = api.newName()): Promise<Secret> {
  const ref = owner && ({ by: 'id', id: api.profileId(owner) } as const);
  return api.services.clones.clone(api.as(person), byId(secret), { name }, ref);
}

describe('a clone', () => {
  test('has the settings and the newest enabled value, encrypted anew, and nothing else', async () => {
    const secret = await api.newSecret(
      { description: 'd', tags: ['t'], expiresAt: api.now() + 1_000_000_000n },
      text('first'),
    );
    const owner = api.as('owner');
    const { versions, grants, references } = api.services;
    await versions.add(owner, byId(secret), '', text('second'));
    await versions.add(owner, byId(secret), '', text('third'));
    await versions.setState(owner, byId(secret), 3, '', 'DISABLED');
    await grants.grant(owner, byId(secret), { by: 'id', id: api.profileId('plain-b') }, null);
    await references.attach(owner, byId(secret), { kind: 'k', consumer: 'c' });

    const copy = await clone('owner', secret);
    expect(copy).toMatchObject({
      description: 'd',
      tags: ['t'],
      expiresAt: secret.expiresAt,
      owner: secret.owner,
      latestVersion: 1,
      lastAccessedAt: null,
    });
    expect(await api.textOf(owner, copy)).toBe('second');
    const [ciphertext] = await api.ciphertexts(copy.id);
    for (const original of await api.ciphertexts(secret.id)) {
      expect(existing(ciphertext).equals(existing(original))).toBe(false);
    }
    expect(await api.actions(copy.id)).toEqual(['SECRET_CREATED', 'SECRET_READY', 'SECRET_ACCESSED']);
    expect(await outcomes([api.access(api.as('plain-b'), copy)])).toEqual(['NOT_FOUND']);
    expect(await api.knex('secret_references').where('secret_id', String(copy.id))).toEqual([]);
    expect(await api.services.secrets.get(owner, byId(secret))).toMatchObject({ lastAccessedAt: null });

    expect((await api.events(secret.id)).at(-1)).toMatchObject({
      action: 'SECRET_CLONED',
      outcome: 'OK',
      detail: { clone_id: String(copy.id), version: '2' },
    });
  });

  test('outlives its original', async () => {
    const secret = await api.newSecret();
    const copy = await clone('owner', secret);
    await api.services.versions.setState(api.as('owner'), byId(secret), 1, '', 'DESTROYED');
    expect(await api.textOf(api.as('owner'), copy)).toBe('the value');
  });
});

describe('who may clone', () => {
  const CASES: [Person, Person | undefined, string][] = [
    ['owner', undefined, 'OK'],
    ['staff-a', undefined, 'OK'],
    ['staff-a', 'reader', 'OK'],
    ['in-both', 'plain-b', 'OK'],
    ['owner', 'reader', 'NOT_PERMITTED'],
    ['owner', 'plain-b', 'NOT_FOUND'],
    ['reader', undefined, 'NOT_PERMITTED'],
    ['reader', 'reader', 'NOT_PERMITTED'],
    ['staff-b', 'staff-b', 'NOT_FOUND'],
    ['nowhere', undefined, 'NOT_FOUND'],
  ];

  test.each(CASES)('%s to %s: %s, and a refusal is recorded', async (person, owner, outcome) => {
    const secret = await api.newSecret();
    const name = api.newName();
    expect(await outcomes([clone(person, secret, owner, name)])).toEqual([outcome]);
    expect((await api.events(secret.id)).at(-1)).toMatchObject({
      action: 'SECRET_CLONED',
      outcome,
      actor_username: person,
    });
    expect(await api.knex('secrets').where({ name })).toHaveLength(outcome === 'OK' ? 1 : 0);
  });

  test('a grant is enough to clone to oneself, and no more once it is taken back', async () => {
    const secret = await api.newSecret();
    const grantee = { by: 'id', id: api.profileId('plain-b') } as const;
    await api.services.grants.grant(api.as('owner'), byId(secret), grantee, null);
    const copy = await clone('plain-b', secret, 'plain-b');
    expect(await api.textOf(api.as('plain-b'), copy)).toBe('the value');
    await api.services.grants.revoke(api.as('owner'), byId(secret), grantee);
    expect(await outcomes([clone('plain-b', secret, 'plain-b')])).toEqual(['NOT_FOUND']);
  });

  test('a grant that is being taken back is not used by a clone that ends after that', async () => {
    const secret = await api.newSecret();
    const grantee = { by: 'id', id: api.profileId('plain-b') } as const;
    await api.services.grants.grant(api.as('owner'), byId(secret), grantee, null);
    const revoking = await api.knex.transaction();
    await revoking('secrets')
      .where({ id: String(secret.id) })
      .forUpdate()
      .pluck('id');
    await revoking('secret_grants')
      .where({ secret_id: String(secret.id) })
      .delete();
    const cloning = outcomes([clone('plain-b', secret, 'plain-b')]);
    await api.waiting(1).finally(() => revoking.commit());
    expect(await cloning).toEqual(['NOT_FOUND']);
  });

  test('nobody clones what is expired, has no enabled version or cannot be decrypted', async () => {
    const expired = await api.newSecret({ expiresAt: api.now() + 1n });
    const disabled = await api.newSecret();
    await api.services.versions.setState(api.as('owner'), byId(disabled), 1, '', 'DISABLED');
    const spoilt = await api.newSecret();
    await api.store(spoilt, Buffer.from('garbage'), null);
    api.clock.advance(1);
    const before = await api.knex('secrets').pluck('id');
    expect(
      await outcomes([clone('owner', expired), clone('owner', disabled), clone('owner', spoilt)]),
    ).toEqual(['SECRET_EXPIRED', 'VERSION_NOT_ENABLED', 'SECRET_UNDECRYPTABLE']);
    expect(await api.knex('secrets').pluck('id')).toEqual(before);
  });
});
