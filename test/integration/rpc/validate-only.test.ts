import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { requestFields } from '../../support/descriptors.js';
import { byId, changeFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer, type MethodName, type Outcome, type RequestOf } from '../../support/rpc.js';
import { readState } from '../../support/tables.js';
import { ACCOUNT_A, existing, World } from '../../support/world.js';
import { BAD_REQUESTS } from './bad-requests.js';

const READS = /^(?:get|list|watch|access|batch|validate|stream|resolve|hold)/;
/** These have `dry_run`, which also tells what would be done. */
const TRIES_OTHERWISE = ['applyManifest', 'rotateEncryptionKey'];
const CHANGES = METHOD_NAMES.filter((name) => !READS.test(name) && !TRIES_OTHERWISE.includes(name));

let world: World;
let admin: Peer;
const peers: Peer[] = [];

function peer(token: string): Peer {
  const made = new Peer(world.server.address, { token });
  peers.push(made);
  return made;
}

beforeAll(async () => {
  world = await World.create();
  admin = peer(world.adminToken);
});

afterAll(async () => {
  for (const each of peers) each.close();
  await world.close();
});

/** checked is a request of a call that is to be checked alone. */
function checked<Name extends MethodName>(request: RequestOf<Name>): RequestOf<Name> {
  return { ...request, validateOnly: true };
}

function fieldsOf(name: MethodName): string[] {
  return requestFields(name).map((field) => field.name);
}

/** told is all that a client learns of how a call ended, but for the id of the call. */
function told({ code, reason, message, metadata, violations }: Outcome): object {
  return { code, reason, message, metadata, violations };
}

test('every request that changes something has validate_only or dry_run, and no other has', () => {
  const having = METHOD_NAMES.filter((name) => fieldsOf(name).includes('validate_only'));
  expect(having.sort()).toEqual([...CHANGES].sort());
  for (const name of TRIES_OTHERWISE) expect(fieldsOf(name as MethodName)).toContain('dry_run');
});

describe.each(CHANGES)('%s, only validated,', (name) => {
  test('answers with nothing, leaves everything as it is, and can then be made', async () => {
    const request: RequestOf<typeof name> = await changeFor(name, world);
    const repeatable = fieldsOf(name).includes('request_id') ? { requestId: randomUUID() } : {};
    const before = await readState(world.database.url);
    const outcome = await admin.call(name, checked({ ...request, ...repeatable }));
    expect(told(outcome)).toMatchObject({ code: 'OK' });
    expect(outcome.response).toHaveLength(0);
    expect(await readState(world.database.url)).toEqual(before);
    expect(told(await admin.call(name, { ...request, ...repeatable }))).toMatchObject({ code: 'OK' });
    expect(await readState(world.database.url)).not.toEqual(before);
  });

  test('is refused as it would be otherwise: without the right, and for what is not there', async () => {
    const request: RequestOf<typeof name> = await changeFor(name, world);
    for (const token of [world.tokenOf('staff-b'), world.tokenOf('plain-a'), await withoutScopes()]) {
      const caller = peer(token);
      const outcome = await caller.call(name, checked(request));
      expect(outcome.code).not.toBe('OK');
      expect(told(outcome)).toEqual(told(await caller.call(name, request)));
    }
  });

  test('is refused as it would be otherwise: for what breaks a rule', async () => {
    const request: RequestOf<typeof name> = await changeFor(name, world);
    for (const [field, change] of BAD_REQUESTS[name].slice(0, 3)) {
      const bad = { ...request, ...change } as RequestOf<typeof name>;
      const outcome = await admin.call(name, checked(bad));
      expect(outcome.violations.map((violation) => violation.field)).toContain(field);
      expect(told(outcome)).toEqual(told(await admin.call(name, bad)));
    }
  });
});

async function withoutScopes(): Promise<string> {
  return (await world.issue('admin', { scopes: ['nothing'] })).plaintext;
}

/** Calls that are refused for the state in which things are. */
const CONFLICTS: Readonly<Record<string, () => Promise<readonly [MethodName, object]>>> = {
  'a name that is taken': async () => {
    const { name } = await world.issue('admin');
    return ['createToken', { name }];
  },
  'the name of another secret in another case': async () => {
    const { name } = await world.keep('admin', { name: world.newName() });
    const { id } = await world.keep('admin');
    return ['renameSecret', { selector: byId({ id }), newName: name.toUpperCase() }];
  },
  'a stale etag': async () => {
    const { id } = await world.issue('admin');
    return ['rotateToken', { selector: byId({ id }), etag: 'djA' }];
  },
  'a request id that was used': async () => {
    const requestId = randomUUID();
    await world.admin.tokens.createToken({ name: world.newName(), requestId });
    return ['createToken', { name: world.newName(), requestId }];
  },
  'an owner who is not staff': () =>
    Promise.resolve(['createToken', { name: world.newName(), owner: byId(world.profileOf('plain-a')) }]),
  'a secret that is used': async () => {
    const selector = byId(await world.keep('owner-a'));
    await world.admin.secrets.attachReference({ selector, kind: 'provider.api_key', consumer: 'x' });
    return ['deleteSecret', { selector }];
  },
  'a secret that is not deleted': async () => [
    'undeleteSecret',
    { selector: byId(await world.keep('owner-a')) },
  ],
  'a version that is destroyed': async () => {
    const version = { selector: byId(await world.keep('owner-a')), version: 1 };
    await world.admin.secrets.destroySecretVersion(version);
    return ['enableSecretVersion', version];
  },
  'an account that has profiles': () =>
    Promise.resolve([
      'deleteAccount',
      { selector: { selector: { $case: 'accountNumber', value: ACCOUNT_A } } },
    ]),
  'the platform’s own account': () =>
    Promise.resolve([
      'deleteAccount',
      { selector: { selector: { $case: 'accountNumber', value: '3141-5926-5359' } }, force: true },
    ]),
  'a username that is taken': () => Promise.resolve(['createUser', { username: 'staff-a' }]),
  'a profile that is there': () =>
    Promise.resolve([
      'createUserProfile',
      {
        user: { selector: { $case: 'username', value: 'staff-a' } },
        account: { selector: { $case: 'accountNumber', value: ACCOUNT_A } },
      },
    ]),
};

test.each(Object.entries(CONFLICTS))(
  '%s is a conflict for a call that is only validated, too',
  async (_, make) => {
    const [name, request] = await make();
    const outcome = await admin.call(name, checked(request));
    expect(outcome.code).not.toBe('OK');
    expect(told(outcome)).toEqual(told(await admin.call(name, request)));
  },
);

test('a token that is only to be rotated, switched off or revoked goes on passing', async () => {
  const { id, plaintext } = await world.issue('owner-a');
  const selector = byId({ id });
  const { tokens, accounts } = world.admin;
  await tokens.rotateToken({ selector, validateOnly: true });
  await tokens.deactivateToken({ selector, validateOnly: true });
  await tokens.revokeToken({ selector, validateOnly: true });
  const user = byId({ id: world.profileOf('owner-a').userId });
  await tokens.revokeUserTokens({ user, validateOnly: true });
  await accounts.deleteUser({ selector: user, force: true, validateOnly: true });
  expect((await tokens.validateToken({ token: plaintext })).valid).toBe(true);
  expect(existing((await tokens.getToken({ token: selector })).token).isActive).toBe(true);
});
