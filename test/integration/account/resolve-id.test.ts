import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ResourceKind, type KeywardClient, type ResolvedId } from '../../../src/client/index.js';
import { hashedId, recordLocator } from '../../../src/lib/public-id.js';
import { byId } from '../../support/requests.js';
import { outcomeOf } from '../../support/rpc.js';
import { existing, World, type Issued, type Kept } from '../../support/world.js';

const { RESOURCE_KIND_TOKEN, RESOURCE_KIND_SECRET, RESOURCE_KIND_UNSPECIFIED } = ResourceKind;

let world: World;
let token: Issued;
let secret: Kept;

beforeAll(async () => {
  world = await World.create();
  token = await world.issue('owner-a');
  secret = await world.keep('owner-a');
});

afterAll(() => world.close());

async function resolve(client: KeywardClient, text: string): Promise<ResolvedId[]> {
  return (await client.accounts.resolveId({ text })).ids;
}

/** namesIn are the names of all that a text stands for. */
async function namesIn(client: KeywardClient, text: string): Promise<string[]> {
  return (await resolve(client, text)).flatMap(({ resources }) => resources.map(({ name }) => name));
}

test('a record locator in a text is what it names, with its owner', async () => {
  const text = `GET /tokens/${token.recordLocator}/ and "${secret.secret.recordLocator}", again ${token.recordLocator}`;
  const owner = { username: 'owner-a', accountNumber: '1111-1111-1111' };
  expect(await resolve(world.as('staff-a'), text)).toEqual([
    {
      text: token.recordLocator,
      id: token.id,
      kind: RESOURCE_KIND_TOKEN,
      resources: [
        {
          kind: RESOURCE_KIND_TOKEN,
          recordLocator: token.recordLocator,
          name: token.name,
          keyId: token.keyId,
          isDeleted: false,
          ...owner,
        },
      ],
    },
    {
      text: secret.secret.recordLocator,
      id: secret.id,
      kind: RESOURCE_KIND_SECRET,
      resources: [
        {
          kind: RESOURCE_KIND_SECRET,
          recordLocator: secret.secret.recordLocator,
          name: secret.name,
          keyId: '',
          isDeleted: false,
          ...owner,
        },
      ],
    },
  ]);
});

test('a hashed id stands for all that has the number, as far as the caller may read it', async () => {
  // Numbers of each kind begin at the same place.
  const { id } = world.profileOf('admin');
  expect(secret.id).toBe(id);
  const [found] = await resolve(world.admin, `r/${hashedId(id)}/manifest`);
  expect(found).toMatchObject({ text: hashedId(id), id, kind: RESOURCE_KIND_UNSPECIFIED });
  const kinds = existing(found).resources.map((resource) => resource.recordLocator.split('-')[0]);
  expect(kinds).toEqual(['account', 'userprofile', 'secret']);
  expect(await namesIn(world.as('plain-a'), hashedId(id))).toEqual([secret.name]);
  expect(await namesIn(world.as('staff-b'), hashedId(id))).toEqual([]);
});

describe('what a caller may not read is as absent', () => {
  test('tokens and secrets of another account, and accounts and profiles for all but superusers', async () => {
    const account = await world.newAccount();
    const profile = world.profileOf('owner-a');
    const text = [
      token.recordLocator,
      secret.secret.recordLocator,
      account.recordLocator,
      profile.recordLocator,
    ].join();
    expect(await namesIn(world.admin, text)).toEqual([token.name, secret.name, account.name, profile.name]);
    expect(await namesIn(world.as('plain-a'), text)).toEqual([token.name, secret.name]);
    const absent = await resolve(world.as('staff-b'), text);
    expect(absent.map(({ resources }) => resources)).toEqual([[], [], [], []]);
    const nothing = recordLocator('token', 2n ** 40n);
    const [unknown] = await resolve(world.as('staff-b'), nothing);
    expect(unknown).toEqual({ ...absent[0], text: nothing, id: 2n ** 40n });
  });

  test('tokens without the scope to read tokens, and secrets without that for secrets', async () => {
    const text = `${token.recordLocator} ${secret.secret.recordLocator}`;
    const withScopes = async (...scopes: string[]): Promise<KeywardClient> => {
      const { plaintext } = await world.issue('staff-a', { scopes: ['keyward.accounts.read', ...scopes] });
      return world.client(plaintext);
    };
    expect(await namesIn(await withScopes(), text)).toEqual([]);
    expect(await namesIn(await withScopes('keyward.tokens.read'), text)).toEqual([token.name]);
    expect(await namesIn(await withScopes('keyward.secrets.read'), text)).toEqual([secret.name]);
  });

  test('a deleted secret, for those who do not manage it; a granted one is there', async () => {
    const { id, name, secret: kept } = await world.keep('owner-a');
    const text = kept.recordLocator;
    expect(await namesIn(world.as('staff-b'), text)).toEqual([]);
    const userProfile = byId(world.profileOf('staff-b'));
    await world.admin.secrets.grantAccess({ selector: byId({ id }), userProfile });
    expect(await namesIn(world.as('staff-b'), text)).toEqual([name]);
    await world.admin.secrets.deleteSecret({ selector: byId({ id }) });
    expect(await namesIn(world.as('staff-b'), text)).toEqual([]);
    expect(await namesIn(world.as('plain-a'), text)).toEqual([]);
    expect((await resolve(world.as('owner-a'), text))[0]?.resources[0]?.isDeleted).toBe(true);
  });
});

test('of many ids the first hundred are told, and that there are more', async () => {
  const text = Array.from({ length: 101 }, (_, index) => hashedId(BigInt(index + 1_000))).join(' ');
  const all = await world.admin.accounts.resolveId({ text });
  expect([all.ids.length, all.hasMore]).toEqual([100, true]);
  const fewer = await world.admin.accounts.resolveId({
    text: `${text.slice(0, text.lastIndexOf(' '))} ${hashedId(1_000n)}`,
  });
  expect([fewer.ids.length, fewer.hasMore]).toEqual([100, false]);
});

test('any text can be looked through, up to its limit', async () => {
  expect(await resolve(world.admin, '\0'.repeat(32_768))).toEqual([]);
  expect(await resolve(world.admin, 'rMTAw'.repeat(6_000))).toEqual([]);
  expect(await outcomeOf(resolve(world.admin, 'é'.repeat(16_385)))).toBe('INVALID_ARGUMENT INVALID_FIELDS');
});
