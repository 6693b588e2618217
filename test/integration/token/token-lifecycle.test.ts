import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerdictReason } from '../../../src/client/index.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { Peer, outcomeOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { existing, World, type Issued } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function verdict(token: string): Promise<string> {
  const { reason } = await world.admin.tokens.validateToken({ token });
  return VerdictReason[reason].replace('VERDICT_REASON_', '');
}

async function read(token: { readonly id: bigint }) {
  return existing((await world.admin.tokens.getToken({ token: byId(token) })).token);
}

async function rotate(token: Issued, graceSeconds = 0n): Promise<string> {
  const { plaintext } = await world.admin.tokens.rotateToken({
    selector: byId(token),
    gracePeriod: { seconds: graceSeconds, nanos: 0 },
  });
  return registerCanary(plaintext);
}

describe('making a token', () => {
  test('the plaintext is the prefix and 64 random hex digits, and only its digest is kept', async () => {
    const { id, plaintext } = await world.issue('owner-a', { prefix: 'live_-9' });
    expect(plaintext).toMatch(/^live_-9[0-9a-f]{64}$/);
    const digest = createHash('sha512').update(plaintext).digest('hex');
    const [row] = await execute(
      world.database.url,
      "SELECT encode(digest, 'hex') AS digest, token_key FROM token_digests WHERE token_id = $1",
      [String(id)],
    );
    expect(row).toEqual({ digest, token_key: plaintext.slice(0, 15) });
    expect(await read({ id })).toMatchObject({
      tokenKey: plaintext.slice(0, 15),
      identifier: `****${digest.slice(-4)}`,
      prefix: 'live_-9',
      scopes: ['*'],
      version: '1.0.0',
      isActive: true,
      recordLocator: expect.stringMatching(/^token-r.+x$/) as string,
    });
  });

  test('what is given is kept as written', async () => {
    const given = {
      description: 'A "quoted" \\ text é 😀\n',
      version: '2.0.0-rc.1+build',
      tags: ['b', 'a', 'Ä'],
      annotations: new Map([
        ['__proto__', 'x'],
        ['constructor', 'y'],
        ['1', 'z'],
      ]),
      manifestPath: '/a b/c',
      scopes: ['z', 'a'],
      isActive: false,
    };
    const { id } = await world.issue('owner-a', given);
    expect(await read({ id })).toMatchObject(given);
  });

  test('no owner given is the caller’s own profile', async () => {
    const { token } = await world.as('staff-a').tokens.createToken({ name: world.newName() });
    expect(token?.owner?.userProfileId).toBe(world.profileOf('staff-a').id);
  });

  test('an owner who is not staff gets none; one who lost staff keeps what there is', async () => {
    const before = await world.issueTo();
    await world.admin.accounts.updateUser({
      selector: byId({ id: before.profile.userId }),
      user: { isStaff: false },
      updateMask: ['is_staff'],
    });
    expect(await verdict(before.plaintext)).toBe('OK');
    const create = world.admin.tokens.createToken({ owner: byId(before.profile), name: world.newName() });
    expect(await outcomeOf(create)).toBe('FAILED_PRECONDITION OWNER_NOT_STAFF');
    const clone = world.admin.tokens.cloneToken({ selector: byId(before), newName: world.newName() });
    expect(await outcomeOf(clone)).toBe('FAILED_PRECONDITION OWNER_NOT_STAFF');
    await rotate(before);
  });

  test('a name that the owner has is refused; another owner may have it', async () => {
    const { name, id } = await world.issue('owner-a');
    const other = await world.issue('owner-a');
    await world.issue('staff-a', { name });
    const peer = new Peer(world.server.address, { token: world.adminToken });
    const taken = { code: 'ALREADY_EXISTS', reason: 'ALREADY_EXISTS', metadata: { field: 'name' } };
    const owner = byId(world.profileOf('owner-a'));
    expect(await peer.call('createToken', { owner, name })).toMatchObject(taken);
    expect(await peer.call('cloneToken', { selector: byId({ id }), newName: name })).toMatchObject(taken);
    expect(await peer.call('renameToken', { selector: byId(other), newName: name })).toMatchObject(taken);
    expect(await peer.call('renameToken', { selector: byId({ id }), newName: name })).toMatchObject({
      code: 'OK',
    });
    peer.close();
  });

  test('of many who take one name at once, one gets it', async () => {
    const name = world.newName();
    const owner = byId(world.profileOf('owner-a'));
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => outcomeOf(world.admin.tokens.createToken({ owner, name }))),
    );
    expect(outcomes.sort()).toEqual([...Array<string>(19).fill('ALREADY_EXISTS ALREADY_EXISTS'), 'OK']);
  });
});

describe('nobody hands out more than they have', () => {
  const NOT_HELD = 'PERMISSION_DENIED SCOPE_NOT_HELD';
  let limited: ReturnType<World['client']>;

  beforeAll(async () => {
    const scopes = ['keyward.tokens.write', 'keyward.tokens.read', 'files.*'];
    limited = world.client((await world.issue('staff-a', { scopes })).plaintext);
  });

  test('a scope that the caller does not hold is refused, on every way to a plaintext', async () => {
    const { tokens } = limited;
    const create = (scopes: string[]) => tokens.createToken({ name: world.newName(), scopes });
    expect(await outcomeOf(create(['files.read', 'keyward.tokens.read']))).toBe('OK');
    expect(await outcomeOf(create(['files.read', 'billing']))).toBe(NOT_HELD);
    expect(await outcomeOf(create(['*']))).toBe(NOT_HELD);
    expect(await outcomeOf(create([]))).toBe(NOT_HELD);
    expect(await outcomeOf(create(['f*']))).toBe(NOT_HELD);
    const wide = await world.issue('owner-a', { scopes: ['billing', 'files.read'] });
    const selector = byId(wide);
    expect(await outcomeOf(tokens.cloneToken({ selector, newName: world.newName() }))).toBe(NOT_HELD);
    expect(await outcomeOf(tokens.rotateToken({ selector }))).toBe(NOT_HELD);
    const update = (scopes: string[]) =>
      tokens.updateToken({ selector, token: { scopes }, updateMask: ['scopes'] });
    expect(await outcomeOf(update(['billing', 'billing.more']))).toBe(NOT_HELD);
    expect(await outcomeOf(update(['billing', 'files.write']))).toBe(NOT_HELD);
    expect(await outcomeOf(update(['billing']))).toBe('OK');
    expect(await outcomeOf(update(['files.write']))).toBe('OK');
    expect(await outcomeOf(update(['billing']))).toBe(NOT_HELD);
  });

  test('staff get no plaintext of a superuser’s token, and may still switch it off', async () => {
    const token = await world.issueTo({ isSuperuser: true });
    const { tokens } = world.as('staff-a');
    const selector = byId(token);
    const refused = 'PERMISSION_DENIED NOT_PERMITTED';
    expect(await outcomeOf(tokens.rotateToken({ selector }))).toBe(refused);
    expect(await outcomeOf(tokens.cloneToken({ selector, newName: world.newName() }))).toBe(refused);
    const create = tokens.createToken({ owner: byId(token.profile), name: world.newName() });
    expect(await outcomeOf(create)).toBe(refused);
    expect(await verdict(token.plaintext)).toBe('OK');
    expect(await outcomeOf(tokens.deactivateToken({ selector }))).toBe('OK');
    expect(await verdict(token.plaintext)).toBe('INACTIVE');
  });
});

describe('rotation and copies', () => {
  test('without a grace period the old plaintext is refused at once', async () => {
    const token = await world.issue('owner-a', { prefix: 'p-' });
    expect(await verdict(token.plaintext)).toBe('OK');
    const next = await rotate(token);
    expect(next).toMatch(/^p-[0-9a-f]{64}$/);
    expect([await verdict(token.plaintext), await verdict(next)]).toEqual(['EXPIRED', 'OK']);
    expect(await read(token)).toMatchObject({ keyId: token.keyId, graceEndsAt: undefined });
  });

  test.each(['!"$%{|}~:/', 'smarter_'])('a copy and a new plaintext keep the prefix %j', async (prefix) => {
    const token = await world.issue('owner-a', { prefix });
    const next = await rotate(token);
    const copy = await world
      .as('owner-a')
      .tokens.cloneToken({ selector: byId(token), newName: world.newName() });
    for (const plaintext of [token.plaintext, next, copy.plaintext]) {
      expect(plaintext.slice(0, -64)).toBe(prefix);
      expect(plaintext.slice(-64)).toMatch(/^[0-9a-f]{64}$/);
    }
    expect([await verdict(token.plaintext), await verdict(next)]).toEqual(['EXPIRED', 'OK']);
    // As credentials too, whatever they begin with.
    expect(await outcomeOf(world.client(next).tokens.getToken({ token: byId(token) }))).toBe('OK');
  });

  test('an imported token keeps what is known of its prefix', async () => {
    const token = await world.issue('owner-a', { prefix: 'smarter_' });
    // As an import writes it: the source does not keep the prefix.
    await execute(world.database.url, `UPDATE tokens SET prefix = '' WHERE id = ${token.id}`);
    expect((await read(token)).prefix).toBe('smarter_');
    expect(await rotate(token)).toMatch(/^smarter_[0-9a-f]{64}$/);
    expect(await rotate(token)).toMatch(/^smarter_[0-9a-f]{64}$/);
    const copy = await world
      .as('owner-a')
      .tokens.cloneToken({ selector: byId(token), newName: world.newName() });
    expect(copy).toMatchObject({ plaintext: expect.stringMatching(/^smarter_[0-9a-f]{64}$/) as string });
  });

  test('with a grace period both pass until its end, and the old one not a millisecond longer', async () => {
    const token = await world.issue('owner-a');
    const next = await rotate(token, 60n);
    expect([await verdict(token.plaintext), await verdict(next)]).toEqual(['OK', 'OK']);
    expect((await read(token)).graceEndsAt).toEqual({
      seconds: BigInt(Math.floor(world.clock.now() / 1000)) + 60n,
      nanos: (world.clock.now() % 1000) * 1_000_000,
    });
    world.clock.advance(60_000);
    expect(await verdict(token.plaintext)).toBe('OK');
    world.clock.advance(1);
    expect([await verdict(token.plaintext), await verdict(next)]).toEqual(['EXPIRED', 'OK']);
  });

  test('a second rotation shortens a grace and never lengthens it', async () => {
    const token = await world.issue('owner-a');
    const second = await rotate(token, 60n);
    const third = await rotate(token, 3600n);
    world.clock.advance(60_001);
    expect(await Promise.all([token.plaintext, second, third].map(verdict))).toEqual(['EXPIRED', 'OK', 'OK']);
    const fourth = await rotate(token);
    expect(await Promise.all([second, third, fourth].map(verdict))).toEqual(['EXPIRED', 'EXPIRED', 'OK']);
  });

  test('the grace does not outlive the expiry, nor switching off, nor revoking', async () => {
    const token = await world.issue('owner-a', {
      expiry: { $case: 'ttl', value: { seconds: 30n, nanos: 0 } },
    });
    const next = await rotate(token, 3600n);
    await world.admin.tokens.deactivateToken({ selector: byId(token) });
    expect(await Promise.all([token.plaintext, next].map(verdict))).toEqual(['INACTIVE', 'INACTIVE']);
    world.clock.advance(30_001);
    expect(await Promise.all([token.plaintext, next].map(verdict))).toEqual(['EXPIRED', 'EXPIRED']);
    await world.admin.tokens.revokeToken({ selector: byId(token) });
    expect(await Promise.all([token.plaintext, next].map(verdict))).toEqual(['UNKNOWN', 'UNKNOWN']);
  });

  test('the ten plaintexts before the present one are expired, and older ones unknown', async () => {
    const token = await world.issue('owner-a');
    const plaintexts = [token.plaintext];
    for (let rotations = 0; rotations < 15; rotations += 1) plaintexts.push(await rotate(token));
    const verdicts = await Promise.all(plaintexts.map(verdict));
    expect(verdicts).toEqual([
      ...Array.from({ length: 5 }, () => 'UNKNOWN'),
      ...Array.from({ length: 10 }, () => 'EXPIRED'),
      'OK',
    ]);
  });

  test('twenty rotations at once leave one plaintext that passes', async () => {
    const token = await world.issue('owner-a');
    const plaintexts = await Promise.all(Array.from({ length: 20 }, () => rotate(token)));
    const verdicts = await Promise.all(plaintexts.map(verdict));
    expect(verdicts.filter((reason) => reason === 'OK')).toHaveLength(1);
    expect(await verdict(token.plaintext)).not.toBe('OK');
  });

  test('a clone has its own plaintext, key id and history, and the settings of the original', async () => {
    const settings = {
      description: 'x',
      tags: ['t'],
      scopes: ['a'],
      prefix: 'pre-',
      isActive: false,
    } as const;
    const original = await world.issue('owner-a', settings);
    const { token, plaintext } = await world.admin.tokens.cloneToken({
      selector: byId(original),
      newName: world.newName(),
    });
    registerCanary(plaintext);
    expect(plaintext).toMatch(/^pre-/);
    expect(plaintext).not.toBe(original.plaintext);
    expect(token).toMatchObject({ ...settings, owner: { username: 'owner-a' }, lastUsedAt: undefined });
    expect(token?.keyId).not.toBe(original.keyId);
    await world.admin.tokens.activateToken({ selector: byId(existing(token)) });
    expect([await verdict(original.plaintext), await verdict(plaintext)]).toEqual(['INACTIVE', 'OK']);
    await world.admin.tokens.revokeToken({ selector: byId(original) });
    expect(await verdict(plaintext)).toBe('OK');
  });
});

describe('changes', () => {
  test('a stale etag is ABORTED and changes nothing, a current one works, for every method that takes one', async () => {
    const token = await world.issue('owner-a');
    const { tokens } = world.admin;
    const selector = byId(token);
    const stale = (await read(token)).etag;
    await tokens.updateToken({ selector, token: { description: 'new' }, updateMask: ['description'] });
    const current = await read(token);
    const calls = (etag: string) => [
      () =>
        tokens.updateToken({ selector, etag, token: { description: 'lost' }, updateMask: ['description'] }),
      () => tokens.renameToken({ selector, etag, newName: world.newName() }),
      () => tokens.activateToken({ selector, etag }),
      () => tokens.deactivateToken({ selector, etag }),
      () => tokens.toggleToken({ selector, etag }),
      () => tokens.rotateToken({ selector, etag }),
      () => tokens.revokeToken({ selector, etag }),
    ];
    for (const call of calls(stale)) expect(await outcomeOf(call())).toBe('ABORTED ETAG_MISMATCH');
    expect(await outcomeOf(tokens.toggleToken({ selector, etag: '\0' }))).toBe('ABORTED ETAG_MISMATCH');
    expect(await read(token)).toEqual(current);
    for (let index = 0; index < calls('').length; index += 1) {
      const call = calls((await read(token)).etag)[index];
      expect(await outcomeOf(existing(call)())).toBe('OK');
    }
  });

  test('of many who change one state by its etag, one wins', async () => {
    const token = await world.issue('owner-a');
    const { etag } = await read(token);
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, () =>
        outcomeOf(world.admin.tokens.toggleToken({ selector: byId(token), etag })),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === 'OK')).toHaveLength(1);
  });

  test('no toggle is lost among many at once', async () => {
    const token = await world.issue('owner-a');
    const toggle = () => world.admin.tokens.toggleToken({ selector: byId(token) });
    await Promise.all(Array.from({ length: 25 }, toggle));
    expect([(await read(token)).isActive, await verdict(token.plaintext)]).toEqual([false, 'INACTIVE']);
    await Promise.all(Array.from({ length: 25 }, toggle));
    expect([(await read(token)).isActive, await verdict(token.plaintext)]).toEqual([true, 'OK']);
  });

  test('switching on what is on changes nothing, not even the etag', async () => {
    const token = await world.issue('owner-a');
    const before = await read(token);
    await world.admin.tokens.activateToken({ selector: byId(token) });
    expect(await read(token)).toEqual(before);
  });

  test('only the fields of the mask are changed', async () => {
    const token = await world.issue('owner-a', { description: 'd', tags: ['t'], manifestPath: 'm' });
    const before = await read(token);
    const { token: after } = await world.admin.tokens.updateToken({
      selector: byId(token),
      token: { id: 1n, name: 'no', isActive: false, keyId: 'no', tags: ['u'], description: 'no' },
      updateMask: ['tags', 'manifest_path'],
    });
    expect({ ...after, updatedAt: 0, etag: 0 }).toEqual({
      ...before,
      tags: ['u'],
      manifestPath: `/tokens/${token.hashedId}/`,
      updatedAt: 0,
      etag: 0,
    });
  });

  test('a revoked token is gone, and revoking it again is NOT_FOUND', async () => {
    const token = await world.issue('owner-a');
    const revoke = () => outcomeOf(world.admin.tokens.revokeToken({ selector: byId(token) }));
    expect([await verdict(token.plaintext), await revoke()]).toEqual(['OK', 'OK']);
    expect([await verdict(token.plaintext), await revoke()]).toEqual(['UNKNOWN', 'NOT_FOUND NOT_FOUND']);
    const again = await world.issue('owner-a', { name: token.name });
    expect([await verdict(token.plaintext), again.id > token.id]).toEqual(['UNKNOWN', true]);
  });
});
