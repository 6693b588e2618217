import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Secret } from '../../../src/secret/secret.js';
import { VERSION_COLUMNS } from '../../../src/secret/secret-columns.js';
import type { SecretRef } from '../../../src/secret/secret-ref.js';
import {
  ACCOUNT_A,
  byId,
  decode,
  outcomes,
  page,
  request,
  SecretApi,
  text,
  type Person,
} from '../../support/secret-api.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

function inAccount(name: string): SecretRef {
  return { by: 'account', accountNumber: ACCOUNT_A, name };
}

function make(name: string, owner: Person, value: string): Promise<Secret> {
  return api.newSecret({ name }, text(value), owner);
}

function grant(secret: Secret, by: Person, to: Person): Promise<unknown> {
  return api.services.grants.grant(api.as(by), byId(secret), { by: 'id', id: api.profileId(to) }, null);
}

/** got is what a caller gets by account and name: alone and in a batch, which are the same. */
async function got(person: Person, name: string): Promise<string> {
  const alone = await api.textOf(api.as(person), inAccount(name)).catch((error: unknown) => error);
  const [part] = await api.services.access.accessMany(api.as(person), [request(inAccount(name))]);
  const inBatch = part !== undefined && 'payload' in part ? decode(part.payload) : part;
  const [one, other] = [alone, inBatch].map((each) =>
    typeof each === 'string' ? each : (each as { reason: string }).reason,
  );
  expect(one).toBe(other);
  return one ?? '';
}

describe('a plain member of the account', () => {
  test('changes nobody else’s value by making, granting or deleting a secret of the same name', async () => {
    const name = api.newName();
    const real = await make(name, 'staff-a', 'real');
    await grant(real, 'staff-a', 'plain-b');
    const others = ['staff-a', 'in-both', 'admin', 'plain-b'] as const;
    const seen = () => Promise.all(others.map((person) => got(person, name)));
    expect(await seen()).toEqual(others.map(() => 'real'));

    const forged = await make(name, 'owner', 'forged');
    for (const person of others) await grant(forged, 'owner', person);
    expect(await seen()).toEqual(others.map(() => 'real'));
    await api.services.secrets.delete(api.as('owner'), byId(forged), '', false);
    expect(await seen()).toEqual(others.map(() => 'real'));
    await api.services.secrets.undelete(api.as('owner'), byId(forged), '');

    await api.services.secrets.delete(api.as('staff-a'), byId(real), '', false);
    expect(await seen()).toEqual(others.map(() => 'NOT_FOUND'));
    const byOwner: SecretRef = { by: 'owner', owner: { by: 'id', id: api.profileId('owner') }, name };
    expect(await api.textOf(api.as('staff-a'), byOwner)).toBe('forged');
    expect(await api.textOf(api.as('plain-b'), forged)).toBe('forged');
  });

  test('has nothing of what staff change by account and name in their own secret', async () => {
    const name = api.newName();
    const forged = await make(name, 'owner', 'forged');
    const { secrets, versions, grants, references, clones } = api.services;
    const staff = api.as('staff-a');
    const ref = inAccount(name);
    const grantee = { by: 'id', id: api.profileId('plain-b') } as const;
    const change = { kind: 'a', consumer: 'b' };
    const attempts = (): Promise<unknown>[] => [
      versions.add(staff, ref, '', text('new password')),
      versions.setState(staff, ref, 1, '', 'DISABLED'),
      secrets.update(staff, ref, '', { description: 'x' }),
      secrets.rename(staff, ref, '', api.newName()),
      clones.clone(staff, ref, { name: api.newName() }, undefined),
      grants.grant(staff, ref, grantee, null),
      grants.revoke(staff, ref, grantee),
      references.attach(staff, ref, change),
      references.detach(staff, ref, change),
      secrets.delete(staff, ref, '', true),
    ];
    expect(new Set(await outcomes(attempts()))).toEqual(new Set(['NOT_FOUND']));
    expect(await secrets.get(api.as('owner'), byId(forged))).toEqual(forged);
    // Besides a real one, they go there: nothing is ambiguous.
    const real = await make(name, 'in-both', 'real');
    await versions.add(staff, ref, '', text('new password'));
    expect(await api.textOf(staff, real)).toBe('new password');
    expect(await api.textOf(api.as('owner'), forged)).toBe('forged');
  });

  test('finds their own by it, also where staff have one of that name', async () => {
    const name = api.newName();
    await make(name, 'staff-a', 'of staff');
    await make(name, 'reader', 'of another');
    expect(await got('owner', name)).toBe('NOT_PERMITTED');
    const own = await make(name, 'owner', 'own');
    expect(await got('owner', name)).toBe('own');
    await api.services.secrets.update(api.as('owner'), inAccount(name), '', { description: 'mine' });
    expect(await api.services.secrets.get(api.as('owner'), byId(own))).toMatchObject({ description: 'mine' });
  });
});

describe('of several secrets of staff', () => {
  test('the one is found whose value the caller may have, and none where they may have two', async () => {
    const name = api.newName();
    const [one, other] = [await make(name, 'staff-a', 'one'), await make(name, 'in-both', 'other')];
    expect(await got('plain-b', name)).toBe('NOT_FOUND');
    await grant(one, 'staff-a', 'plain-b');
    expect(await got('plain-b', name)).toBe('one');
    await grant(other, 'staff-a', 'plain-b');
    expect(await got('plain-b', name)).toBe('NAME_AMBIGUOUS');
    expect(await got('staff-a', name)).toBe('NAME_AMBIGUOUS');
  });

  test('those count whose owner is staff at the time, whether switched off or not', async () => {
    const name = api.newName();
    await make(name, 'in-both', 'value');
    const set = (change: object) => api.knex('users').where('username', 'in-both').update(change);
    try {
      await set({ is_active: false });
      expect(await got('staff-a', name)).toBe('value');
      await set({ is_active: true, is_staff: false });
      expect(await got('staff-a', name)).toBe('NOT_FOUND');
      await set({ is_superuser: true });
      expect(await got('staff-a', name)).toBe('value');
    } finally {
      await set({ is_active: true, is_staff: true, is_superuser: false });
    }
    expect(await got('staff-a', name)).toBe('value');
  });
});

test('what is known of a secret is found by account and name whoever it belongs to, as before', async () => {
  const name = api.newName();
  const first = await make(name, 'owner', 'x');
  const { secrets, versions } = api.services;
  expect((await secrets.get(api.as('staff-a'), inAccount(name))).id).toBe(first.id);
  const listed = await versions.list(api.as('reader'), inAccount(name), page(VERSION_COLUMNS));
  expect(listed.items).toHaveLength(1);
  await make(name, 'reader', 'y');
  await expect(secrets.get(api.as('staff-a'), inAccount(name))).rejects.toMatchObject({
    reason: 'NAME_AMBIGUOUS',
  });
});
