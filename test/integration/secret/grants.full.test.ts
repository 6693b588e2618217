import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '../../../src/gen/google/rpc/status.js';
import { ErrorInfo } from '../../../src/gen/google/rpc/error_details.js';
import { ListAuditEventsResponse } from '../../../src/gen/keyward/audit/v1/audit_service.js';
import {
  BatchAccessSecretsResponse,
  ListSecretsResponse,
} from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { status } from '@grpc/grpc-js';
import { requestFields, selectorOf } from '../../support/descriptors.js';
import { newestEvent, readEvents } from '../../support/audit.js';
import { byId, requestFor } from '../../support/requests.js';
import {
  METHOD_NAMES,
  pathOf,
  Peer,
  type MethodName,
  type Outcome,
  type RequestOf,
} from '../../support/rpc.js';
import { storedSecrets } from '../../support/stored-state.js';
import { existing, World, type Kept } from '../../support/world.js';

const OK = 'OK ';
const REFUSED = 'UNAUTHENTICATED CREDENTIALS_REFUSED';
const NOT_PERMITTED = 'PERMISSION_DENIED NOT_PERMITTED';
const NOT_FOUND = 'NOT_FOUND NOT_FOUND';
const NO_SCOPE = 'PERMISSION_DENIED SCOPE_MISSING';

const METHODS = METHOD_NAMES.filter((method) => /\.(secret|audit)\.v1\./.test(pathOf(method)));

/** Rights are what a caller is told of each kind of method. All but `lists` and `keys` are about one secret. */
interface Rights {
  readonly read: string;
  readonly value: string;
  readonly manage: string;
  /** To make a secret for the owner of this one. */
  readonly create: string;
  /** To clone it to the same owner. */
  readonly clone: string;
  readonly lists: string;
  readonly keys: string;
}

type Kind = keyof Rights;

const KINDS: Readonly<Partial<Record<MethodName, Kind>>> = {
  getSecret: 'read',
  listSecretVersions: 'read',
  listReferences: 'read',
  accessSecret: 'value',
  batchAccessSecrets: 'value',
  createSecret: 'create',
  cloneSecret: 'clone',
  listSecrets: 'lists',
  watchSecrets: 'lists',
  listAuditEvents: 'lists',
  rotateEncryptionKey: 'keys',
  getRotationStatus: 'keys',
};

const kindOf = (method: MethodName): Kind => KINDS[method] ?? 'manage';

const none = (outcome: string): Rights => ({
  read: outcome,
  value: outcome,
  manage: outcome,
  create: outcome,
  clone: outcome,
  lists: outcome === REFUSED ? outcome : OK,
  keys: outcome === REFUSED ? outcome : NOT_PERMITTED,
});

const GRANTED: Rights = { ...none(NOT_FOUND), read: OK, value: OK, manage: NOT_PERMITTED };
const READS: Rights = { ...none(NOT_PERMITTED), read: OK };

/** A case is a caller, with every scope, and what happened between them and a secret of account A. */
interface Case {
  readonly rights: Rights;
  readonly caller: (secret: Kept) => Promise<string>;
}

const grant = async (secret: Kept, more: RequestOf<'grantAccess'> = {}, to = world.profileOf('staff-b')) =>
  world.admin.secrets.grantAccess({ selector: byId(secret), userProfile: byId(to), ...more });

const CASES: Readonly<Record<string, Case>> = {
  'staff of another account': {
    rights: none(NOT_FOUND),
    caller: () => Promise.resolve(world.tokenOf('staff-b')),
  },
  'staff of the platform account': {
    rights: none(NOT_FOUND),
    caller: () => Promise.resolve(world.tokenOf('staff-platform')),
  },
  'a reader without a grant': {
    rights: READS,
    caller: () => Promise.resolve(world.tokenOf('plain-a')),
  },
  'a reader with a grant': {
    rights: { ...READS, value: OK },
    caller: async (secret) => {
      await grant(secret, {}, world.profileOf('plain-a'));
      return world.tokenOf('plain-a');
    },
  },
  'staff of another account with a grant': {
    rights: GRANTED,
    caller: async (secret) => {
      await grant(secret);
      return world.tokenOf('staff-b');
    },
  },
  'staff of another account with a grant that is taken back': {
    rights: none(NOT_FOUND),
    caller: async (secret) => {
      await grant(secret);
      await world.admin.secrets.revokeAccess({
        selector: byId(secret),
        userProfile: byId(world.profileOf('staff-b')),
      });
      return world.tokenOf('staff-b');
    },
  },
  'staff of another account with a grant that is over': {
    rights: none(NOT_FOUND),
    caller: async (secret) => {
      await grant(secret, { expiry: { $case: 'ttl', value: { seconds: 1n } } });
      world.clock.advance(1_001);
      return world.tokenOf('staff-b');
    },
  },
  'staff of another account with a grant that is over and given anew': {
    rights: GRANTED,
    caller: async (secret) => {
      await grant(secret, { expiry: { $case: 'ttl', value: { seconds: 1n } } });
      world.clock.advance(1_001);
      await grant(secret);
      return world.tokenOf('staff-b');
    },
  },
  'a user with a grant who is switched off': {
    rights: none(REFUSED),
    caller: async (secret) => {
      const { plaintext, profile } = await world.issueTo({ isStaff: true });
      await grant(secret, {}, profile);
      const peer = new Peer(world.server.address, { token: plaintext });
      expect(await peer.call('accessSecret', { secret: byId(secret) })).toMatchObject({ code: 'OK' });
      peer.close();
      await world.admin.accounts.updateUser({
        selector: { selector: { $case: 'id', value: profile.userId } },
        user: { isActive: false },
        updateMask: ['is_active'],
      });
      return plaintext;
    },
  },
};

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

/** requestAbout makes a request of a method about this secret. */
async function requestAbout(method: MethodName, secret: Kept): Promise<RequestOf<MethodName>> {
  const request = await requestFor(method, world);
  if (method === 'batchAccessSecrets') return { requests: [{ secret: byId(secret) }] };
  const fields = requestFields(method).filter((field) => selectorOf(field)?.name === 'SecretSelector');
  const selected = Object.fromEntries(fields.map(({ localName }) => [localName, byId(secret)]));
  return { ...request, ...selected };
}

/** told is the code and reason of an outcome, of a batch that of its only part. */
function told(method: MethodName, { code, reason, response }: Outcome): string {
  if (method !== 'batchAccessSecrets' || code !== 'OK') return `${code} ${reason}`;
  const [part] = BatchAccessSecretsResponse.decode(response).results;
  if (part?.result?.$case !== 'error') return OK;
  const error: Status = part.result.value;
  const info = existing(error.details.find(({ typeUrl }) => typeUrl.endsWith('ErrorInfo')));
  return `${existing(status[error.code])} ${ErrorInfo.decode(info.value).reason}`;
}

describe.each(Object.entries(CASES))('%s', (_, { rights, caller }) => {
  test('is listed what they may read, and of its records only those of what they did', async () => {
    const secret = await world.keep('owner-a');
    const peer = new Peer(world.server.address, { token: await caller(secret) });
    await peer.call('accessSecret', { secret: byId(secret) });
    const listed = await peer.call('listSecrets', { filter: `name = "${secret.name}"` });
    const events = await peer.call('listAuditEvents', { filter: `resource_id = ${secret.id}` });
    peer.close();
    const { secrets } = ListSecretsResponse.decode(listed.response);
    expect(secrets.map(({ id }) => id)).toEqual(rights.read === OK ? [secret.id] : []);
    const actors = ListAuditEventsResponse.decode(events.response).events.map(({ actor }) => actor?.username);
    expect(actors).not.toContain('admin');
    expect(actors.length).toBeLessThanOrEqual(1);
  });

  test('may do what their rights say, by every method, and changes nothing', async () => {
    const secret = await world.keep('owner-a');
    const requests = [];
    for (const method of METHODS) requests.push([method, await requestAbout(method, secret)] as const);
    const peer = new Peer(world.server.address, { token: await caller(secret) });
    const before = await storedSecrets(world.database.url);
    const newest = await newestEvent(world.database.url);

    const outcomes: Record<string, string> = {};
    for (const [method, request] of requests)
      outcomes[method] = told(method, await peer.call(method, request));
    peer.close();

    expect(outcomes).toEqual(Object.fromEntries(METHODS.map((method) => [method, rights[kindOf(method)]])));
    expect(await storedSecrets(world.database.url)).toEqual(before);
    const attempts = METHODS.filter((method) => ['value', 'clone'].includes(kindOf(method)));
    const records = (await readEvents(world.database.url, newest)).map(
      ({ action, outcome, resourceId }) => `${action} ${outcome} ${String(resourceId === secret.id)}`,
    );
    const recorded = attempts.map((method) => {
      const [, reason = ''] = rights[kindOf(method)].split(' ');
      return `${method === 'cloneSecret' ? 'SECRET_CLONED' : 'SECRET_ACCESSED'} ${reason || 'OK'} true`;
    });
    // The same refusal again is counted, and recorded a minute later.
    const atOnce = recorded.filter((each, at) => each.includes(' OK ') || recorded.indexOf(each) === at);
    expect(records.sort()).toEqual(rights.lists === REFUSED ? [] : atOnce.sort());
  });
});

describe('a clone for oneself', () => {
  const WRITE = 'keyward.secrets.write';
  const ACCESS = 'keyward.secrets.access';
  const BOTH = [WRITE, ACCESS];

  test.each([
    ['staff of another account', BOTH, NOT_FOUND],
    ['staff of another account', [WRITE], NO_SCOPE],
    ['a reader without a grant', BOTH, NOT_PERMITTED],
    ['a reader without a grant', [WRITE], NO_SCOPE],
    ['a reader with a grant', BOTH, OK],
    ['a reader with a grant', [WRITE], NO_SCOPE],
    ['a reader with a grant', [ACCESS], NO_SCOPE],
    ['staff of another account with a grant', BOTH, OK],
    ['staff of another account with a grant', [WRITE], NO_SCOPE],
    ['staff of another account with a grant', [ACCESS], NO_SCOPE],
    ['staff of another account with a grant that is taken back', BOTH, NOT_FOUND],
    ['staff of another account with a grant that is over', BOTH, NOT_FOUND],
  ])('by %s with the scopes %s: %s, and nothing is written unless it is made', async (name, scopes, told) => {
    const secret = await world.keep('owner-a');
    const token = await existing(CASES[name]).caller(secret);
    const member = token === world.tokenOf('plain-a') ? 'plain-a' : 'staff-b';
    const peer = new Peer(world.server.address, {
      token: (await issueTo(member, scopes)).plaintext,
    });
    const before = await storedSecrets(world.database.url);
    const newest = await newestEvent(world.database.url);
    const owner = byId(world.profileOf(member));
    const clone = { selector: byId(secret), newName: world.newName(), owner };
    const { code, reason, metadata } = await peer.call('cloneSecret', clone);
    peer.close();
    expect(`${code} ${reason}`).toBe(told);
    if (told === NO_SCOPE)
      expect(metadata).toEqual({ required_scope: scopes.includes(WRITE) ? ACCESS : WRITE });
    const events = await readEvents(world.database.url, newest);
    if (told === OK) {
      expect(events.map(({ action }) => action)).toContain('SECRET_CREATED');
    } else {
      expect(await storedSecrets(world.database.url)).toEqual(before);
      expect(events).toMatchObject([{ action: 'SECRET_CLONED', outcome: reason, actor: member }]);
    }
  });
});

/** issueTo makes a token of a member, who is staff meanwhile: others get none. */
async function issueTo(member: 'plain-a' | 'staff-b', scopes: readonly string[]) {
  const setStaff = (isStaff: boolean) =>
    world.admin.accounts.updateUser({
      selector: { selector: { $case: 'username', value: member } },
      user: { isStaff },
      updateMask: ['is_staff'],
    });
  await setStaff(true);
  const issued = await world.issue(member, { scopes: [...scopes] });
  if (member === 'plain-a') await setStaff(false);
  return issued;
}
