import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { foldName } from '../../../src/lib/text.js';
import type { Secret } from '../../../src/secret/secret.js';
import { byId, outcomes, SecretApi, text } from '../../support/secret-api.js';
import { existing } from '../../support/world.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

function rename(secret: Secret, name: string): Promise<Secret> {
  return api.services.secrets.rename(api.as('owner'), byId(secret), '', name);
}

function clone(secret: Secret, name: string): Promise<Secret> {
  return api.services.clones.clone(api.as('owner'), byId(secret), { name }, undefined);
}

/** imported inserts a secret as an import does, with whatever name. */
async function imported(name: string): Promise<Secret> {
  const [row] = await api
    .knex('secrets')
    .insert({ user_profile_id: String(api.profileId('owner')), name, name_key: foldName(name) })
    .returning<{ id: bigint }[]>('id');
  return api.services.secrets.get(api.as('owner'), byId(existing(row)));
}

async function live(prefix: string): Promise<string[]> {
  return (await api
    .knex('secrets')
    .whereLike('name_key', `${prefix}%`)
    .whereNull('deleted_at')
    .orderBy('name')
    .pluck('name')) as string[];
}

describe('a name that another secret of the owner has', () => {
  test.each([
    ['as it is', 'db_password', 'db_password'],
    ['in another case', 'Api Key', 'API KEY'],
    ['in another Unicode form', 'ｆｕｌｌ-width', 'full-width'],
    ['with a ligature', 'ﬁle.key', 'file.key'],
    ['with a letter of several capitals', 'straße', 'STRASSE'],
  ])('is refused: %s', async (_, taken, name) => {
    await imported(taken);
    const other = await api.newSecret();
    const calls = [api.newSecret({ name }), rename(other, name), clone(other, name)];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ reason: { reason: 'ALREADY_EXISTS', metadata: { field: 'name' } } });
    }
    expect((await api.services.secrets.get(api.as('owner'), byId(other))).name).toBe(other.name);
  });

  test('is free for another owner, and again once that one is deleted', async () => {
    const secret = await api.newSecret({ name: 'shared-name' });
    await api.newSecret({ name: 'shared-name' }, text('x'), 'reader');
    await api.services.secrets.delete(api.as('owner'), byId(secret), '', false);
    expect(await api.newSecret({ name: 'Shared-Name' })).toMatchObject({ name: 'Shared-Name' });
  });

  test('may differ by case from an own earlier one: a secret can be renamed to that', async () => {
    const secret = await api.newSecret({ name: 'own-case' });
    expect(await rename(secret, 'Own-Case')).toMatchObject({ name: 'Own-Case' });
    expect((await api.actions(secret.id)).at(-1)).toBe('SECRET_RENAMED');
  });

  test('an import may hold two that differ by case, and each can leave', async () => {
    const [lower, upper] = [await imported('twin'), await imported('TWIN')];
    expect(await rename(lower, 'twin')).toEqual(lower);
    await expect(rename(lower, 'Twin')).rejects.toMatchObject({ reason: 'ALREADY_EXISTS' });
    expect(await rename(upper, 'another-twin')).toMatchObject({ name: 'another-twin' });
    expect(await rename(lower, 'Twin')).toMatchObject({ name: 'Twin' });
  });
});

describe('at the same time', () => {
  test('of many that make one name in all cases, one does', async () => {
    const names = ['race-name', 'Race-Name', 'RACE-NAME', 'race-NAME', 'rAcE-nAmE'];
    const other = await api.newSecret();
    const results = await outcomes([
      ...names.map((name) => api.newSecret({ name })),
      ...names.map((name) => clone(other, name)),
      ...names.map((name) => rename(other, name)),
    ]);
    expect(results.filter((result) => result === 'OK')).toHaveLength(1);
    expect(results.filter((result) => result === 'ALREADY_EXISTS')).toHaveLength(14);
    expect(await live('race-name')).toHaveLength(1);
  });

  test('secrets renamed in a circle end with names of their own, none lost, none locked out', async () => {
    const ring = await Promise.all(['ring-a', 'ring-b', 'ring-c'].map((name) => api.newSecret({ name })));
    for (let round = 0; round < 5; round += 1) {
      const names = (await live('ring-')).map((name) => name.toUpperCase());
      const results = await outcomes(
        ring.map((secret, index) => rename(secret, existing(names[(index + 1) % names.length]))),
      );
      expect(results.filter((result) => result !== 'OK' && result !== 'ALREADY_EXISTS')).toEqual([]);
      expect(new Set((await live('ring-')).map(foldName)).size).toBe(3);
    }
  });

  test('secrets cloned from each other while they are renamed and deleted end as one of each name', async () => {
    const [a, b] = await Promise.all([
      api.newSecret({ name: 'cycle-a' }, text('cycle')),
      api.newSecret({ name: 'cycle-b' }, text('cycle')),
    ]);
    for (let round = 0; round < 5; round += 1) {
      const results = await outcomes([
        clone(a, 'cycle-b'),
        clone(b, 'cycle-a'),
        rename(a, 'cycle-b'),
        rename(b, 'cycle-a'),
        clone(a, `cycle-from-a-${round}`),
        rename(a, `cycle-moved-${round}`),
        api.services.secrets.delete(api.as('owner'), byId(b), '', false),
        api.services.secrets.undelete(api.as('owner'), byId(b), ''),
      ]);
      const expected = ['OK', 'ALREADY_EXISTS', 'NOT_FOUND', 'NOT_DELETED'];
      expect(results.filter((result) => !expected.includes(result))).toEqual([]);
    }
    const names = await live('cycle-');
    expect(new Set(names.map(foldName)).size).toBe(names.length);
    for (const name of names) {
      const owner = { by: 'id', id: api.profileId('owner') } as const;
      expect(await api.textOf(api.as('owner'), { by: 'owner', owner, name })).toBe('cycle');
    }
  });
});
