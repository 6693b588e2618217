import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GRANT_COLUMNS, REFERENCE_COLUMNS } from '../../../src/secret/secret-columns.js';
import { ACCOUNT_B, byId, outcomes, page, SecretApi, type Person } from '../../support/secret-api.js';
import { existing } from '../../support/world.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

describe('grants', () => {
  test('can be given to any profile there is, by its number or membership, and to no other', async () => {
    const secret = await api.newSecret();
    const { grants } = api.services;
    const give = (username: string, accountNumber: string) =>
      grants.grant(api.as('owner'), byId(secret), { by: 'membership', username, accountNumber }, null);
    const plainB = { by: 'id', id: api.profileId('plain-b') } as const;
    expect(await grants.grant(api.as('owner'), byId(secret), plainB, null)).toMatchObject({
      grantee: { profileId: plainB.id, username: '', accountNumber: '' },
      expiresAt: null,
      grantedBy: 'owner',
    });
    expect(await give('staff-b', ACCOUNT_B)).toMatchObject({ grantee: { username: 'staff-b' } });
    const before = await api.actions(secret.id);
    expect(
      await outcomes([
        give('nobody', ACCOUNT_B),
        give('owner', ACCOUNT_B),
        grants.grant(api.as('owner'), byId(secret), { by: 'id', id: 5n }, null),
        grants.revoke(api.as('owner'), byId(secret), { by: 'id', id: 5n }),
      ]),
    ).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
    expect(await api.actions(secret.id)).toEqual(before);
  });

  test('are recorded with the profile, given and taken back', async () => {
    const secret = await api.newSecret();
    const grantee = { by: 'id', id: api.profileId('plain-b') } as const;
    await api.services.grants.grant(api.as('staff-a'), byId(secret), grantee, null);
    await api.services.grants.revoke(api.as('owner'), byId(secret), grantee);
    expect((await api.events(secret.id)).slice(-2)).toMatchObject([
      {
        action: 'SECRET_GRANTED',
        actor_username: 'staff-a',
        detail: { user_profile_id: String(grantee.id) },
      },
      {
        action: 'SECRET_GRANT_REVOKED',
        actor_username: 'owner',
        detail: { user_profile_id: String(grantee.id) },
      },
    ]);
  });

  test('are listed for managers alone, each once, expired ones too', async () => {
    const secret = await api.newSecret();
    const { grants } = api.services;
    for (const person of ['reader', 'plain-b', 'plain-b'] as const) {
      const accountNumber = existing(api.as(person).accountNumber);
      const grantee = { by: 'membership', username: person, accountNumber } as const;
      await grants.grant(api.as('owner'), byId(secret), grantee, api.now() + 1n);
    }
    api.clock.advance(1);
    const list = async (person: Person, order = '') => {
      const { items } = await grants.list(api.as(person), byId(secret), page(GRANT_COLUMNS, '', order));
      return items.map(({ grantee }) => grantee.username);
    };
    for (const field of Object.keys(GRANT_COLUMNS.order)) expect(await list('owner', field)).toHaveLength(2);
    expect((await list('staff-a', 'username')).join()).toBe('plain-b,reader');
    expect(await outcomes([list('reader'), list('staff-b')])).toEqual(['NOT_PERMITTED', 'NOT_FOUND']);
  });

  test('go with the profile that they were given to', async () => {
    const secret = await api.newSecret();
    const [row] = await api
      .knex('user_profiles')
      .insert({
        user_id: String(api.as('nowhere').userId),
        account_id: api.knex('accounts').select('id').where('account_number', ACCOUNT_B),
        name: 'passing',
      })
      .returning<{ id: bigint }[]>('id');
    const grantee = { by: 'id', id: row?.id ?? 0n } as const;
    await api.services.grants.grant(api.as('owner'), byId(secret), grantee, null);
    expect(await api.textOf(api.as('nowhere'), secret)).toBe('the value');
    await api.knex('user_profiles').where('id', String(grantee.id)).delete();
    expect(await outcomes([api.access(api.as('nowhere'), secret)])).toEqual(['NOT_FOUND']);
  });
});

describe('references', () => {
  const PASSWORD = { kind: 'sql_connection.password', consumer: 'reports' };

  test('are kept once each, and gone when they are detached', async () => {
    const secret = await api.newSecret();
    const { references } = api.services;
    const owner = api.as('owner');
    const attached = await references.attach(owner, byId(secret), PASSWORD);
    expect(await references.attach(owner, byId(secret), PASSWORD)).toEqual(attached);
    await references.attach(owner, byId(secret), { ...PASSWORD, consumer: 'Reports' });
    const list = async (filter: string, order = '') =>
      (await references.list(api.as('reader'), byId(secret), page(REFERENCE_COLUMNS, filter, order))).items;
    expect(await list('', 'consumer')).toMatchObject([{ consumer: 'Reports' }, PASSWORD]);
    expect(await list('consumer = "reports"')).toEqual([attached]);
    for (const field of Object.keys(REFERENCE_COLUMNS.order)) expect(await list('', field)).toHaveLength(2);
    await references.detach(owner, byId(secret), PASSWORD);
    await expect(references.detach(owner, byId(secret), PASSWORD)).rejects.toMatchObject({
      reason: 'NOT_FOUND',
    });
    expect(await list('')).toMatchObject([{ consumer: 'Reports' }]);
    expect(await api.actions(secret.id)).toEqual([
      'SECRET_CREATED',
      'SECRET_READY',
      'SECRET_REFERENCE_ATTACHED',
      'SECRET_REFERENCE_ATTACHED',
      'SECRET_REFERENCE_DETACHED',
    ]);
  });

  test('attached by many at once are one, and never a fault', async () => {
    const secret = await api.newSecret();
    const attached = await Promise.all(
      Array.from({ length: 10 }, () =>
        api.services.references.attach(api.as('owner'), byId(secret), PASSWORD),
      ),
    );
    expect(new Set(attached.map(({ id }) => id)).size).toBe(1);
  });

  test('attached while the secret is deleted either keep it or come too late', async () => {
    for (let round = 0; round < 10; round += 1) {
      const secret = await api.newSecret();
      const results = await outcomes([
        api.services.references.attach(api.as('owner'), byId(secret), PASSWORD),
        api.services.secrets.delete(api.as('owner'), byId(secret), '', false),
      ]);
      expect([
        ['OK', 'SECRET_REFERENCED'],
        ['NOT_FOUND', 'OK'],
      ]).toContainEqual(results);
    }
  });
});
