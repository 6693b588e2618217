import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Caller } from '../../../src/authz/caller.js';
import { KeywardError } from '../../../src/lib/errors.js';
import type { SecretRef } from '../../../src/secret/secret-ref.js';
import type { Secret } from '../../../src/secret/secret.js';
import {
  ACCOUNT_A,
  byId,
  outcomes,
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

function grant(secret: Secret, person: Person, expiresAt: bigint | null = null) {
  const grantee = { by: 'id', id: api.profileId(person) } as const;
  return api.services.grants.grant(api.as('owner'), byId(secret), grantee, expiresAt);
}

async function revoke(secret: Secret, person: Person): Promise<void> {
  const grantee = { by: 'id', id: api.profileId(person) } as const;
  await api.services.grants.revoke(api.as('owner'), byId(secret), grantee);
}

/** inspectable is all that a caller can learn of an error. */
function inspectable(error: unknown): unknown {
  if (!(error instanceof KeywardError)) throw error;
  const { reason, message, metadata, violations } = error;
  return { reason, message, metadata, violations };
}

describe('who gets a value', () => {
  const RIGHTS: [Person, string][] = [
    ['owner', 'OK'],
    ['staff-a', 'OK'],
    ['in-both', 'OK'],
    ['admin', 'OK'],
    ['reader', 'NOT_PERMITTED'],
    ['staff-b', 'NOT_FOUND'],
    ['plain-b', 'NOT_FOUND'],
    ['nowhere', 'NOT_FOUND'],
  ];

  test.each(RIGHTS)(
    '%s: %s, by every way to name the secret, and it is recorded',
    async (person, outcome) => {
      const secret = await api.newSecret();
      const { name } = secret;
      const refs: SecretRef[] = [
        byId(secret),
        { by: 'owner', owner: { by: 'id', id: api.profileId('owner') }, name },
        { by: 'owner', owner: { by: 'membership', username: 'owner', accountNumber: ACCOUNT_A }, name },
      ];
      for (const ref of refs) {
        expect(await outcomes([api.access(api.as(person), ref)])).toEqual([outcome]);
        const [event] = (await api.events(secret.id)).slice(-1);
        expect(event).toMatchObject({
          action: 'SECRET_ACCESSED',
          outcome,
          actor_username: person,
          resource_account_number: ACCOUNT_A,
        });
      }
      // Of those who are not staff, a secret is found so by its owner alone.
      const byAccount: SecretRef = { by: 'account', accountNumber: ACCOUNT_A, name };
      const found = person === 'owner' ? outcome : 'NOT_FOUND';
      expect(await outcomes([api.access(api.as(person), byAccount)])).toEqual([found]);
    },
  );

  test('what there is not is NOT_FOUND in the same words as what may not be known', async () => {
    const secret = await api.newSecret();
    const before = (await api.events(null)).length;
    const [hidden, absent] = await Promise.all(
      [byId(secret), byId({ id: 5n })].map((ref) =>
        api.access(api.as('staff-b'), ref).then(
          () => 'given',
          (error: unknown) => inspectable(error),
        ),
      ),
    );
    expect(hidden).toEqual(absent);
    expect(hidden).toMatchObject({ reason: 'NOT_FOUND' });
    expect((await api.events(null)).slice(before)).toMatchObject([
      { action: 'SECRET_ACCESSED', outcome: 'NOT_FOUND', actor_username: 'staff-b', resource_id: null },
    ]);
  });

  test('a user who is switched off gets nothing, although the credentials were accepted', async () => {
    const secret = await api.newSecret({}, text('x'), 'in-both');
    await api.knex('users').where('username', 'in-both').update({ is_active: false });
    const inBoth = api.as('in-both');
    try {
      expect(await outcomes([api.access(inBoth, secret)])).toEqual(['CREDENTIALS_REFUSED']);
      const many = api.services.access.accessMany(inBoth, [request(secret)]);
      await expect(many).rejects.toMatchObject({ reason: 'CREDENTIALS_REFUSED' });
    } finally {
      await api.knex('users').where('username', 'in-both').update({ is_active: true });
    }
    expect(await api.textOf(inBoth, secret)).toBe('x');
  });

  test('a name that means several secrets of an account is refused with their locators', async () => {
    const name = api.newName();
    const own = await api.newSecret({ name }, text('own'), 'staff-a');
    const other = await api.newSecret({ name }, text('other'), 'in-both');
    const ref: SecretRef = { by: 'account', accountNumber: ACCOUNT_A, name };
    await expect(api.access(api.as('staff-a'), ref)).rejects.toMatchObject({
      reason: 'NAME_AMBIGUOUS',
      metadata: { candidates: expect.stringMatching(/^secret-r\w+x,secret-r\w+x$/) as string },
    });
    await api.services.secrets.delete(api.as('in-both'), byId(other), '', false);
    expect(await api.access(api.as('staff-a'), ref)).toMatchObject({ secretId: own.id });
  });
});

describe('a grant', () => {
  test('gives the value to a user of another account, and the moment it is taken back, no more', async () => {
    const secret = await api.newSecret();
    const plain = api.as('plain-b');
    expect(await outcomes([api.access(plain, secret)])).toEqual(['NOT_FOUND']);
    await grant(secret, 'plain-b');
    expect(await api.textOf(plain, secret)).toBe('the value');
    expect(await outcomes([api.access(api.as('staff-b'), secret)])).toEqual(['NOT_FOUND']);
    expect(await api.services.secrets.get(plain, byId(secret))).toMatchObject({ name: secret.name });
    await revoke(secret, 'plain-b');
    expect(
      await outcomes([api.access(plain, secret), api.services.secrets.get(plain, byId(secret))]),
    ).toEqual(['NOT_FOUND', 'NOT_FOUND']);
    await expect(revoke(secret, 'plain-b')).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });

  test('that is taken back while many ask is not used by any call that begins after that', async () => {
    const secret = await api.newSecret();
    const plain = api.as('plain-b');
    for (let round = 0; round < 5; round += 1) {
      await grant(secret, 'plain-b');
      const during = Array.from({ length: 20 }, () => api.access(plain, secret));
      const settled = outcomes(during);
      await revoke(secret, 'plain-b');
      const after = await outcomes(Array.from({ length: 20 }, () => api.access(plain, secret)));
      expect(new Set(after)).toEqual(new Set(['NOT_FOUND']));
      await settled;
    }
  });

  test('lets read and access, and nothing else', async () => {
    const secret = await api.newSecret();
    await grant(secret, 'reader');
    const { secrets, versions, grants, references } = api.services;
    const reader = api.as('reader');
    const results = await outcomes([
      api.access(reader, secret),
      secrets.get(reader, byId(secret)),
      api.access(reader, secret, { includeExpired: true }),
      secrets.update(reader, byId(secret), '', { description: 'x' }),
      secrets.rename(reader, byId(secret), '', 'x'),
      secrets.delete(reader, byId(secret), '', false),
      secrets.undelete(reader, byId(secret), ''),
      versions.add(reader, byId(secret), '', text('x')),
      versions.setState(reader, byId(secret), 1, '', 'DESTROYED'),
      references.attach(reader, byId(secret), { kind: 'k', consumer: 'c' }),
      references.detach(reader, byId(secret), { kind: 'k', consumer: 'c' }),
      grants.grant(reader, byId(secret), { by: 'id', id: api.profileId('plain-b') }, null),
      grants.revoke(reader, byId(secret), { by: 'id', id: api.profileId('reader') }),
    ]);
    expect(results).toEqual(['OK', 'OK', ...Array.from({ length: 11 }, () => 'NOT_PERMITTED')]);
  });

  test('ends at its time, and counts anew when it is given again', async () => {
    const secret = await api.newSecret();
    await grant(secret, 'plain-b', api.now() + 1_000_000n);
    api.clock.advance(1_000);
    expect(await api.textOf(api.as('plain-b'), secret)).toBe('the value');
    api.clock.advance(1);
    const plain = api.as('plain-b');
    const owner = { by: 'id', id: api.profileId('plain-b') } as const;
    expect(
      await outcomes([
        api.access(plain, secret),
        api.services.secrets.get(plain, byId(secret)),
        api.services.clones.clone(plain, byId(secret), { name: api.newName() }, owner),
      ]),
    ).toEqual(['NOT_FOUND', 'NOT_FOUND', 'NOT_FOUND']);
    await grant(secret, 'plain-b');
    expect(await api.textOf(api.as('plain-b'), secret)).toBe('the value');
  });
});

describe('an expired secret', () => {
  test('is given to nobody but managers who ask for it', async () => {
    const secret = await api.newSecret({ expiresAt: api.now() + 1_000n });
    await grant(secret, 'plain-b');
    api.clock.advance(1);
    expect(await api.textOf(api.as('plain-b'), secret)).toBe('the value');
    api.clock.advance(1);
    const expired = { includeExpired: true };
    expect(
      await outcomes([
        api.access(api.as('owner'), secret),
        api.access(api.as('plain-b'), secret),
        api.access(api.as('plain-b'), secret, expired),
        api.access(api.as('reader'), secret, expired),
        api.access(api.as('staff-b'), secret, expired),
        api.access(api.as('owner'), secret, expired),
        api.access(api.as('staff-a'), secret, expired),
      ]),
    ).toEqual([
      'SECRET_EXPIRED',
      'SECRET_EXPIRED',
      'NOT_PERMITTED',
      'NOT_PERMITTED',
      'NOT_FOUND',
      'OK',
      'OK',
    ]);
  });
});

test('many callers at once each get what is theirs', async () => {
  const people: Person[] = ['owner', 'reader', 'plain-b', 'staff-b', 'admin'];
  const secrets = await Promise.all(people.map((person) => api.newSecret({}, text(`of ${person}`), person)));
  const calls = Array.from({ length: 40 }, () =>
    people.map(async (person, index) => {
      const caller: Caller = api.as(person);
      const own = secrets[index];
      if (own === undefined) throw new Error('no secret');
      expect(await api.textOf(caller, own)).toBe(`of ${person}`);
    }),
  );
  await Promise.all(calls.flat());
});
