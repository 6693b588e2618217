import { afterAll, beforeAll, expect, test } from 'vitest';
import { SecretEventType, type KeywardClient, type SecretEvent } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { Watching } from '../../support/watching.js';
import { newValue, textOf, World, type Kept } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

function watchSecrets(client: KeywardClient): Promise<Watching<SecretEvent>> {
  return Watching.begin(client.secrets.watchSecrets({}));
}

const { SECRET_EVENT_TYPE_CREATED, SECRET_EVENT_TYPE_UPDATED, SECRET_EVENT_TYPE_DELETED } = SecretEventType;

async function rename(secret: Kept): Promise<void> {
  await world.admin.secrets.renameSecret({ selector: byId(secret), newName: world.newName() });
}

const marks = new Set<bigint>();

/** told is what is told up to the next change of a secret that everyone may read. */
async function told(watching: Watching<SecretEvent>): Promise<[SecretEventType, bigint, boolean][]> {
  const mark = await world.keep('admin');
  marks.add(mark.id);
  const events = await watching.until(({ secretId }) => secretId === mark.id);
  return events
    .filter(({ secretId }) => !marks.has(secretId))
    .map(({ type, secretId, secret }) => [type, secretId, secret !== undefined]);
}

test('a secret is told of through its life, and never its value', async () => {
  const watching = await watchSecrets(world.as('staff-a'));
  const value = newValue();
  const kept = await world.keep('owner-a', { payload: textOf(value) });
  expect(await told(watching)).toEqual([[SECRET_EVENT_TYPE_CREATED, kept.id, true]]);
  await world.admin.secrets.addSecretVersion({ selector: byId(kept), payload: textOf(newValue()) });
  const [event] = await watching.until(() => true);
  expect(event).toMatchObject({
    type: SECRET_EVENT_TYPE_UPDATED,
    secret: { latestVersion: 2, name: kept.name },
  });
  await world.admin.secrets.disableSecretVersion({ selector: byId(kept), version: 1 });
  await world.admin.secrets.accessSecret({ secret: byId(kept) });
  for await (const _ of world.admin.secrets.rotateEncryptionKey({}));
  expect(await told(watching)).toEqual([[SECRET_EVENT_TYPE_UPDATED, kept.id, true]]);
  await watching.close();
});

test('a deleted one is told as deleted, and shown to those alone who may bring it back', async () => {
  const kept = await world.keep('owner-a');
  const [manager, reader] = [
    await watchSecrets(world.as('staff-a')),
    await watchSecrets(world.as('plain-a')),
  ];
  await world.admin.secrets.deleteSecret({ selector: byId(kept) });
  expect(await told(manager)).toEqual([[SECRET_EVENT_TYPE_DELETED, kept.id, true]]);
  expect(await told(reader)).toEqual([[SECRET_EVENT_TYPE_DELETED, kept.id, false]]);
  await world.admin.secrets.undeleteSecret({ selector: byId(kept) });
  expect(await told(reader)).toEqual([[SECRET_EVENT_TYPE_UPDATED, kept.id, true]]);
  await execute(world.database.url, 'DELETE FROM secrets WHERE id = $1', [String(kept.id)]);
  expect(await told(reader)).toEqual([[SECRET_EVENT_TYPE_DELETED, kept.id, false]]);
  await Promise.all([manager.close(), reader.close()]);
});

test('a grant lets its changes be seen, and its end is the last that is', async () => {
  const kept = await world.keep('owner-a');
  const grant = { selector: byId(kept), userProfile: byId(world.profileOf('staff-b')) };
  const watching = await watchSecrets(world.as('staff-b'));
  await rename(kept);
  expect(await told(watching)).toEqual([]);
  await world.admin.secrets.grantAccess(grant);
  await rename(kept);
  expect(await told(watching)).toEqual([
    [SECRET_EVENT_TYPE_UPDATED, kept.id, true],
    [SECRET_EVENT_TYPE_UPDATED, kept.id, true],
  ]);
  await world.admin.secrets.revokeAccess(grant);
  expect(await told(watching)).toEqual([[SECRET_EVENT_TYPE_DELETED, kept.id, false]]);
  await rename(kept);
  expect(await told(watching)).toEqual([]);
  await world.admin.secrets.grantAccess(grant);
  await told(watching);
  await world.admin.secrets.deleteSecret({ selector: byId(kept) });
  expect(await told(watching)).toEqual([[SECRET_EVENT_TYPE_DELETED, kept.id, false]]);
  await watching.close();
});

test('who may only have values is told of the secrets of those values, by their ids alone', async () => {
  const { plaintext } = await world.issue('staff-b', { scopes: ['keyward.secrets.access'] });
  const [granted, foreign] = [await world.keep('owner-a'), await world.keep('owner-a')];
  await world.admin.secrets.grantAccess({
    selector: byId(granted),
    userProfile: byId(world.profileOf('staff-b')),
  });
  const watching = await watchSecrets(world.client(plaintext));
  await rename(foreign);
  await world.admin.accounts.updateUser({
    selector: { selector: { $case: 'username', value: 'staff-b' } },
    user: { firstName: 'B' },
    updateMask: ['first_name'],
  });
  await world.admin.secrets.addSecretVersion({ selector: byId(granted), payload: textOf(newValue()) });
  const [event] = await watching.until(() => true);
  expect(event).toMatchObject({
    type: SECRET_EVENT_TYPE_UPDATED,
    secretId: granted.id,
    secret: undefined,
  });
  await watching.close();
});
