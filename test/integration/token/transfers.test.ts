import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerdictReason, type KeywardClient } from '../../../src/client/index.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { outcomeOf } from '../../support/rpc.js';
import { existing, World, type Issued, type Member } from '../../support/world.js';

const NOT_PERMITTED = 'PERMISSION_DENIED NOT_PERMITTED';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function read(token: { readonly id: bigint }) {
  return existing((await world.admin.tokens.getToken({ token: byId(token) })).token);
}

async function validated(plaintext: string, client: KeywardClient = world.admin) {
  const { reason, principal } = await client.tokens.validateToken({ token: plaintext });
  return [VerdictReason[reason].replace('VERDICT_REASON_', ''), principal?.username];
}

function transfer(client: KeywardClient, token: { readonly id: bigint }, to: Member | 'admin') {
  return client.tokens.transferToken({ selector: byId(token), owner: byId(world.profileOf(to)) });
}

describe('a token that is given to another owner', () => {
  test('stands for that one on every replica when the call returns, with its plaintexts, ids and references', async () => {
    const replica = await world.startServer();
    const other = world.client(world.adminToken, replica);
    const token = await world.issue('owner-a');
    const rotated = await world.admin.tokens.rotateToken({
      selector: byId(token),
      gracePeriod: { seconds: 3600n, nanos: 0 },
    });
    const plaintexts = [token.plaintext, registerCanary(rotated.plaintext)];
    await world.admin.tokens.attachReference({ selector: byId(token), kind: 'job', consumer: 'nightly' });
    for (const text of plaintexts) expect(await validated(text, other)).toEqual(['OK', 'owner-a']);
    const before = await read(token);

    const { token: moved, propagation } = await transfer(world.admin, token, 'staff-b');
    expect(propagation?.complete).toBe(true);
    for (const text of plaintexts) {
      expect(await validated(text, other)).toEqual(['OK', 'staff-b']);
      expect(await validated(text)).toEqual(['OK', 'staff-b']);
    }
    const { owner, etag, updatedAt, issuedBy } = existing(moved);
    expect(owner?.username).toBe('staff-b');
    expect(etag).not.toBe(before.etag);
    expect({ ...before, owner, etag, updatedAt, issuedBy }).toEqual(moved);
    const { consumers } = await world.admin.tokens.getToken({ token: byId(token) });
    expect(consumers?.count).toBe(1n);
  });

  test('does not exist for the one who had it, and can be used by its new owner', async () => {
    const token = await world.issue('owner-a');
    await transfer(world.admin, token, 'staff-b');
    expect(await outcomeOf(world.as('owner-a').tokens.getToken({ token: byId(token) }))).toBe(
      'NOT_FOUND NOT_FOUND',
    );
    expect(await outcomeOf(world.as('staff-b').tokens.deactivateToken({ selector: byId(token) }))).toBe('OK');
  });

  test('is unchanged if it is that one’s already, or if its etag is another', async () => {
    const token = await world.issue('owner-a');
    const { etag } = await read(token);
    await transfer(world.admin, token, 'owner-a');
    expect((await read(token)).etag).toBe(etag);
    const request = { selector: byId(token), owner: byId(world.profileOf('staff-a')), etag: 'djk' };
    expect(await outcomeOf(world.admin.tokens.transferToken(request))).toBe('ABORTED ETAG_MISMATCH');
  });

  test('needs a name there that is free', async () => {
    const token = await world.issue('owner-a');
    await world.issue('staff-a', { name: token.name });
    expect(await outcomeOf(transfer(world.admin, token, 'staff-a'))).toBe('ALREADY_EXISTS ALREADY_EXISTS');
    expect((await read(token)).owner?.username).toBe('owner-a');
  });

  test('counts as known to who had it, so that a promotion of its new owner switches it off', async () => {
    const { profile, ...own } = await world.issueTo();
    // The new owner has issued it, to the one who has it now.
    const newOwner = world.client(own.plaintext);
    const made = await newOwner.tokens.createToken({
      owner: byId(world.profileOf('owner-a')),
      name: world.newName(),
    });
    const token = existing(made.token);
    const plaintext = registerCanary(made.plaintext);
    await newOwner.tokens.transferToken({ selector: byId(token), owner: byId(profile) });
    expect((await read(token)).issuedBy).toEqual({
      keyId: '',
      username: 'owner-a',
      userId: world.profileOf('owner-a').userId,
    });
    expect(await validated(plaintext)).toEqual(['OK', profile.username]);
    await world.admin.accounts.updateUser({
      selector: { selector: { $case: 'id', value: profile.userId } },
      user: { isSuperuser: true },
      updateMask: ['is_superuser'],
    });
    expect(await validated(plaintext)).toEqual(['INACTIVE', undefined]);
  });
});

describe('to transfer a token', () => {
  const CASES: readonly [string, Member, Member | 'admin', Member | 'admin', string][] = [
    ['staff of the account of both may', 'staff-a', 'owner-a', 'staff-a', 'OK'],
    [
      'one may give away one’s own, with the right to manage the new owner’s',
      'owner-a',
      'owner-a',
      'staff-a',
      'OK',
    ],
    ['one must manage it', 'staff-b', 'owner-a', 'staff-b', 'NOT_FOUND NOT_FOUND'],
    ['one must manage the tokens of the new owner', 'staff-a', 'owner-a', 'staff-b', 'NOT_FOUND NOT_FOUND'],
    ['reading the new owner is not enough', 'plain-a', 'plain-a', 'staff-a', NOT_PERMITTED],
    ['one must have all rights of the new owner', 'staff-a', 'owner-a', 'staff-a-and-b', NOT_PERMITTED],
    ['the new owner must be staff', 'staff-a', 'owner-a', 'plain-a', 'FAILED_PRECONDITION OWNER_NOT_STAFF'],
  ];

  test.each(CASES)('%s', async (_, caller, from, to, outcome) => {
    const token = from === 'plain-a' ? await ofPlain() : await world.issue(from);
    expect(await outcomeOf(transfer(world.as(caller), token, to))).toBe(outcome);
  });

  test('one’s own scopes must cover those of the token', async () => {
    const token = await world.issue('owner-a', { scopes: ['keyward.tokens.write', 'billing'] });
    const narrow = await world.issue('staff-a', { scopes: ['keyward.tokens.write'] });
    const call = transfer(world.client(narrow.plaintext), token, 'staff-a');
    expect(await outcomeOf(call)).toBe('PERMISSION_DENIED SCOPE_NOT_HELD');
  });
});

/** ofPlain is the token that `plain-a` has from the time when they were staff. */
async function ofPlain(): Promise<{ readonly id: bigint }> {
  const { tokens } = await world.admin.tokens.listTokens({ filter: 'username = "plain-a"' });
  return existing(tokens[0]);
}

describe('a clone', () => {
  const clone = (client: KeywardClient, token: Issued, request: object) =>
    client.tokens.cloneToken({ selector: byId(token), newName: world.newName(), ...request });

  test('has another version and another owner where these are given', async () => {
    const token = await world.issue('owner-a', { version: '1.2.3', tags: ['ci'] });
    const same = existing((await clone(world.admin, token, {})).token);
    expect(same).toMatchObject({ version: '1.2.3', tags: ['ci'], owner: { username: 'owner-a' } });
    const other = await clone(world.admin, token, {
      newVersion: '2.0.0-rc.1',
      owner: byId(world.profileOf('staff-b')),
    });
    expect(other.token).toMatchObject({
      version: '2.0.0-rc.1',
      tags: ['ci'],
      owner: { username: 'staff-b' },
    });
    expect(await validated(registerCanary(other.plaintext))).toEqual(['OK', 'staff-b']);
    expect(await validated(token.plaintext)).toEqual(['OK', 'owner-a']);
  });

  test.each([
    ['staff-b', 'NOT_FOUND NOT_FOUND'],
    ['staff-a-and-b', NOT_PERMITTED],
    ['plain-a', 'FAILED_PRECONDITION OWNER_NOT_STAFF'],
    ['staff-a', 'OK'],
  ] as const)('for %s is made under the rules for a new token of that owner', async (owner, outcome) => {
    const token = await world.issue('owner-a');
    const call = clone(world.as('staff-a'), token, { owner: byId(world.profileOf(owner)) });
    expect(await outcomeOf(call)).toBe(outcome);
  });

  test('has no references', async () => {
    const token = await world.issue('owner-a');
    await world.admin.tokens.attachReference({ selector: byId(token), kind: 'job', consumer: 'nightly' });
    const copy = existing((await clone(world.admin, token, {})).token);
    expect((await world.admin.tokens.getToken({ token: byId(copy) })).consumers).toBeUndefined();
  });
});
