import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { byId } from '../../support/requests.js';
import { METHOD_NAMES, Peer, pathOf, type MethodName, type RequestOf } from '../../support/rpc.js';
import { storedSecrets } from '../../support/stored-state.js';
import { newValue, textOf, World, type Kept } from '../../support/world.js';

const ACCESS = 'keyward.secrets.access';
const SCOPES = ['keyward.secrets.read', 'keyward.secrets.write', ACCESS, 'keyward.keys.rotate'];

let world: World;
/** A superuser's credentials with every scope of secrets, but for that of values. */
let writer: Peer;
let both: Peer;

beforeAll(async () => {
  world = await World.create();
  const peer = async (scopes: string[]) =>
    new Peer(world.server.address, { token: (await world.issue('admin', { scopes })).plaintext });
  writer = await peer(SCOPES.filter((scope) => scope !== ACCESS));
  both = await peer(SCOPES);
});

afterAll(async () => {
  writer.close();
  both.close();
  await world.close();
});

const LATER = { seconds: 4_000_000_000n, nanos: 0 };
const SOONER = { seconds: 3_000_000_000n, nanos: 0 };

/** expiring makes a request that changes the expiry, of a secret that had another one or none. */
function expiring(before: typeof LATER | undefined, after: typeof LATER | undefined) {
  return async (): Promise<RequestOf<'updateSecret'>> => {
    const expiry = before && ({ $case: 'expiresAt', value: before } as const);
    const secret = await world.keep('owner-a', expiry === undefined ? {} : { expiry });
    return { selector: byId(secret), secret: { expiresAt: after }, updateMask: ['expires_at'] };
  };
}

const kept = async () => ({ selector: byId(await world.keep('owner-a')) });
const consumer = { kind: 'provider.api_key', consumer: 'x' };

interface Path<Name extends MethodName = MethodName> {
  readonly method: Name;
  /** Whether a value that is there already may reach somebody by it. */
  readonly reaches: boolean;
  readonly request: () => Promise<RequestOf<Name>>;
}

function path<Name extends MethodName>(method: Name, reaches: boolean, request: Path<Name>['request']): Path {
  return { method, reaches, request };
}

/** Every way in which a secret can be changed. */
const PATHS: Readonly<Record<string, Path>> = {
  granting: path('grantAccess', true, async () => ({
    ...(await kept()),
    userProfile: byId(world.profileOf('admin')),
  })),
  cloning: path('cloneSecret', true, async () => ({ ...(await kept()), newName: world.newName() })),
  'cloning for another': path('cloneSecret', true, async () => ({
    ...(await kept()),
    newName: world.newName(),
    owner: byId(world.profileOf('staff-b')),
  })),
  'giving it to another owner': path('transferSecret', true, async () => ({
    ...(await kept()),
    owner: byId(world.profileOf('staff-b')),
  })),
  undeleting: path('undeleteSecret', true, async () => {
    const secret = await kept();
    await world.admin.secrets.deleteSecret(secret);
    return secret;
  }),
  'enabling a version': path('enableSecretVersion', true, async () => {
    const version = { ...(await kept()), version: 1 };
    await world.admin.secrets.disableSecretVersion(version);
    return version;
  }),
  'putting an expiry off': path('updateSecret', true, expiring(SOONER, LATER)),
  'taking an expiry off': path('updateSecret', true, expiring(SOONER, undefined)),

  creating: path('createSecret', false, () =>
    Promise.resolve({
      owner: byId(world.profileOf('owner-a')),
      name: world.newName(),
      payload: textOf(newValue()),
    }),
  ),
  'bringing an expiry forward': path('updateSecret', false, expiring(LATER, SOONER)),
  'giving an expiry': path('updateSecret', false, expiring(undefined, SOONER)),
  'leaving an expiry': path('updateSecret', false, expiring(SOONER, SOONER)),
  'describing it': path('updateSecret', false, async () => ({
    ...(await kept()),
    secret: { description: 'x' },
    updateMask: ['description'],
  })),
  renaming: path('renameSecret', false, async () => ({ ...(await kept()), newName: world.newName() })),
  deleting: path('deleteSecret', false, kept),
  'adding a version': path('addSecretVersion', false, async () => ({
    ...(await kept()),
    payload: textOf(newValue()),
  })),
  'disabling a version': path('disableSecretVersion', false, async () => ({ ...(await kept()), version: 1 })),
  'destroying a version': path('destroySecretVersion', false, async () => ({
    ...(await kept()),
    version: 1,
  })),
  'attaching a reference': path('attachReference', false, async () => ({ ...(await kept()), ...consumer })),
  'detaching a reference': path('detachReference', false, async () => {
    const reference = { ...(await kept()), ...consumer };
    await world.admin.secrets.attachReference(reference);
    return reference;
  }),
  revoking: path('revokeAccess', false, async () => {
    const grant = { ...(await kept()), userProfile: byId(world.profileOf('admin')) };
    await world.admin.secrets.grantAccess(grant);
    return grant;
  }),
  rotating: path('rotateEncryptionKey', false, () => Promise.resolve({})),
};

test('every method that changes secrets is a path', () => {
  const reads = /^(get|list|access|batchAccess|watch)/;
  const changing = METHOD_NAMES.filter(
    (method) => pathOf(method).includes('.secret.') && !reads.test(method),
  );
  const paths = new Set(Object.values(PATHS).map(({ method }) => method));
  expect(paths).toEqual(new Set(changing));
});

describe.each(Object.entries(PATHS))('%s', (_, { method, reaches, request }) => {
  test(`${reaches ? 'needs' : 'does not need'} the scope to have values`, async () => {
    const asked = await request();
    const before = await storedSecrets(world.database.url);
    const outcome = await writer.call(method, asked);
    if (reaches) {
      expect(outcome).toMatchObject({
        code: 'PERMISSION_DENIED',
        reason: 'SCOPE_MISSING',
        metadata: { required_scope: ACCESS },
      });
      expect(await storedSecrets(world.database.url)).toEqual(before);
      expect(await both.call(method, asked)).toMatchObject({ code: 'OK' });
    } else {
      expect(outcome).toMatchObject({ code: 'OK' });
    }
  });
});

test('who may write and not read gets no value, whatever they try on the way', async () => {
  const secret: Kept = await world.keep('owner-a');
  const token = await world.issue('staff-a', { scopes: ['keyward.secrets.write', 'keyward.secrets.read'] });
  const peer = new Peer(world.server.address, { token: token.plaintext });
  const self = byId(world.profileOf('staff-a'));
  const granted = await peer.call('grantAccess', { selector: byId(secret), userProfile: self });
  expect(granted).toMatchObject({ reason: 'SCOPE_MISSING', metadata: { required_scope: ACCESS } });
  const cloned = await peer.call('cloneSecret', {
    selector: byId(secret),
    newName: world.newName(),
    owner: self,
  });
  expect(cloned).toMatchObject({ reason: 'SCOPE_MISSING' });
  peer.close();
});
