import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeywardClient } from '../../../src/client/index.js';
import { newestEvent, readEvents } from '../../support/audit.js';
import { byId } from '../../support/requests.js';
import { outcomeOf } from '../../support/rpc.js';
import { existing, newValue, textOf, World, type Member } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function valueFor(client: KeywardClient, secret: { readonly id: bigint }, version = 0) {
  const { payload } = await client.secrets.accessSecret({ secret: byId(secret), version });
  return payload?.value?.value;
}

function transfer(client: KeywardClient, secret: { readonly id: bigint }, to: Member | 'admin') {
  return client.secrets.transferSecret({ selector: byId(secret), owner: byId(world.profileOf(to)) });
}

describe('a secret that is given to another owner', () => {
  test('keeps its ids, versions, references and history, and its value is for the new owner', async () => {
    const kept = await world.keep('owner-a');
    const selector = byId(kept);
    const second = newValue();
    await world.admin.secrets.addSecretVersion({ selector, payload: textOf(second) });
    await world.admin.secrets.attachReference({ selector, kind: 'provider.api_key', consumer: 'p' });
    const before = existing((await world.admin.secrets.getSecret({ secret: selector })).secret);
    const newest = await newestEvent(world.database.url);

    const moved = existing((await transfer(world.admin, kept, 'staff-b')).secret);
    const { owner, etag, updatedAt } = moved;
    expect(owner?.username).toBe('staff-b');
    expect(etag).not.toBe(before.etag);
    expect(moved).toEqual({ ...before, owner, etag, updatedAt });
    expect(await valueFor(world.as('staff-b'), kept)).toBe(second);
    expect(await valueFor(world.as('staff-b'), kept, 1)).toBe(kept.value);
    const { references } = await world.as('staff-b').secrets.listReferences({ secret: selector });
    expect(references).toHaveLength(1);
    const [record] = await readEvents(world.database.url, newest);
    expect(record).toMatchObject({
      action: 'SECRET_TRANSFERRED',
      detail: { from_user_profile_id: String(world.profileOf('owner-a').id) },
    });
  });

  test('does not exist for those who had it, but for who has a grant, until the new owner revokes it', async () => {
    const kept = await world.keep('owner-a');
    const userProfile = byId(world.profileOf('plain-a'));
    await world.admin.secrets.grantAccess({ selector: byId(kept), userProfile });
    await transfer(world.admin, kept, 'staff-b');
    expect(await outcomeOf(valueFor(world.as('owner-a'), kept))).toBe('NOT_FOUND NOT_FOUND');
    expect(await outcomeOf(valueFor(world.as('staff-a'), kept))).toBe('NOT_FOUND NOT_FOUND');
    expect(await valueFor(world.as('plain-a'), kept)).toBe(kept.value);
    await world.as('staff-b').secrets.revokeAccess({ selector: byId(kept), userProfile });
    expect(await outcomeOf(valueFor(world.as('plain-a'), kept))).toBe('NOT_FOUND NOT_FOUND');
  });

  test('needs a name there that is free, whatever its case', async () => {
    const kept = await world.keep('owner-a');
    await world.keep('staff-a', { name: kept.name.toUpperCase() });
    expect(await outcomeOf(transfer(world.admin, kept, 'staff-a'))).toBe('ALREADY_EXISTS ALREADY_EXISTS');
  });

  test('is unchanged if it is that one’s already', async () => {
    const kept = await world.keep('owner-a');
    const { secret } = await transfer(world.admin, kept, 'owner-a');
    expect(secret?.etag).toBe(kept.secret.etag);
  });
});

describe('to transfer a secret', () => {
  const CASES: readonly [string, Member, Member, Member | 'admin', string][] = [
    ['staff of the account of both may', 'staff-a', 'owner-a', 'staff-a', 'OK'],
    ['it may go to one who is not staff', 'staff-a', 'owner-a', 'plain-a', 'OK'],
    ['one must manage it', 'staff-b', 'owner-a', 'staff-b', 'NOT_FOUND NOT_FOUND'],
    ['one must manage the secrets of the new owner', 'staff-a', 'owner-a', 'staff-b', 'NOT_FOUND NOT_FOUND'],
    [
      'reading the new owner is not enough',
      'plain-a',
      'plain-a',
      'staff-a',
      'PERMISSION_DENIED NOT_PERMITTED',
    ],
  ];

  test.each(CASES)('%s', async (_, caller, from, to, outcome) => {
    const kept = await world.keep(from);
    expect(await outcomeOf(transfer(world.as(caller), kept, to))).toBe(outcome);
  });

  test('a grant is not enough', async () => {
    const kept = await world.keep('owner-a');
    await world.admin.secrets.grantAccess({
      selector: byId(kept),
      userProfile: byId(world.profileOf('staff-b')),
    });
    expect(await outcomeOf(transfer(world.as('staff-b'), kept, 'staff-b'))).toBe(
      'PERMISSION_DENIED NOT_PERMITTED',
    );
  });

  test('one needs the scope for its value', async () => {
    const kept = await world.keep('owner-a');
    const { plaintext } = await world.issue('staff-a', { scopes: ['keyward.secrets.write'] });
    const call = transfer(world.client(plaintext), kept, 'staff-a');
    expect(await outcomeOf(call)).toBe('PERMISSION_DENIED SCOPE_MISSING');
  });
});

test('a clone has another version where one is given', async () => {
  const kept = await world.keep('owner-a', { version: '1.2.3' });
  const clone = (request: object) =>
    world.admin.secrets.cloneSecret({ selector: byId(kept), newName: world.newName(), ...request });
  expect((await clone({})).secret?.version).toBe('1.2.3');
  expect((await clone({ newVersion: '2.0.0' })).secret?.version).toBe('2.0.0');
});
