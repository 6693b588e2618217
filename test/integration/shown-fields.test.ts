import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcomeOf } from '../support/rpc.js';
import { byId } from '../support/requests.js';
import { existing, textOf, World } from '../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

const inAMinute = { $case: 'ttl', value: { seconds: 60n, nanos: 0 } } as const;

async function token(id: bigint) {
  return existing((await world.admin.tokens.getToken({ token: byId({ id }) })).token);
}

async function secret(id: bigint) {
  return existing((await world.admin.secrets.getSecret({ secret: byId({ id }) })).secret);
}

describe('what is shown of a resource', () => {
  test('has its name as a label and in snake form, and the path of its manifest where none was set', async () => {
    const [{ id: tokenId }, { id: secretId }] = [
      await world.issue('owner-a', { name: 'My Key-2 (prod)' }),
      await world.keep('owner-a', { name: 'Ключ', manifestPath: '/own' }),
    ];
    const [ofToken, ofSecret] = [await token(tokenId), await secret(secretId)];
    expect(ofToken).toMatchObject({
      rfc1034Name: 'mykey-2prod',
      snakeName: 'mykey_2prod',
      manifestPath: `/tokens/${ofToken.hashedId}/`,
    });
    expect(ofSecret).toMatchObject({ rfc1034Name: '', snakeName: '', manifestPath: '/own' });
    const { account } = await world.admin.accounts.getAccount({ account: byId(await world.newAccount()) });
    expect(account?.manifestPath).toBe(`/accounts/${existing(account).hashedId}/`);
    const profile = world.profileOf('owner-a');
    expect(profile).toMatchObject({
      snakeName: 'owner_a',
      manifestPath: `/userprofiles/${profile.hashedId}/`,
    });
  });

  test('tells whether a token is ready and whether it has expired, by the time of the answer', async () => {
    const { id } = await world.issue('owner-a', { expiry: inAMinute });
    expect(await token(id)).toMatchObject({ ready: true, isExpired: false });
    await world.admin.tokens.deactivateToken({ selector: byId({ id }) });
    expect(await token(id)).toMatchObject({ ready: false, isExpired: false });
    const { token: on } = await world.admin.tokens.activateToken({ selector: byId({ id }) });
    expect(on).toMatchObject({ ready: true, isExpired: false });
    world.clock.advance(60_001);
    expect(await token(id)).toMatchObject({ ready: false, isExpired: true });
    const { tokens } = await world.admin.tokens.listTokens({ filter: `key_id = ${(await token(id)).keyId}` });
    expect(tokens).toMatchObject([{ ready: false, isExpired: true }]);
  });

  test('tells the same of a secret, which is not ready without an enabled version, nor deleted', async () => {
    const { id } = await world.keep('owner-a', { expiry: inAMinute });
    const selector = byId({ id });
    expect(await secret(id)).toMatchObject({ ready: true, isExpired: false });
    await world.admin.secrets.disableSecretVersion({ selector, version: 1 });
    expect(await secret(id)).toMatchObject({ ready: false, isExpired: false });
    await world.admin.secrets.enableSecretVersion({ selector, version: 1 });
    await world.admin.secrets.deleteSecret({ selector });
    expect(await secret(id)).toMatchObject({ ready: false, isExpired: false });
    await world.admin.secrets.undeleteSecret({ selector });
    expect(await secret(id)).toMatchObject({ ready: true, isExpired: false });
    world.clock.advance(60_001);
    expect(await secret(id)).toMatchObject({ ready: false, isExpired: true });
  });
});

describe('a list can be filtered', () => {
  async function found(filter: string): Promise<string[]> {
    const [{ tokens }, { secrets }] = await Promise.all([
      world.admin.tokens.listTokens({ filter }),
      world.admin.secrets.listSecrets({ filter }),
    ]);
    return [...tokens, ...secrets].map(({ name }) => name).sort();
  }

  test('by the user who owns, and tokens by the beginning of the plaintext', async () => {
    const { profile, id, name } = await world.issueTo();
    const owner = byId(profile);
    const mine = await world.issue('admin', { owner, name: 'a token' });
    await world.keep('admin', { owner, name: 'a secret' });
    expect(await found(`user_id = ${profile.userId}`)).toEqual(['a secret', 'a token', name]);
    const { tokenKey } = await token(mine.id);
    const { tokens } = await world.admin.tokens.listTokens({ filter: `token_key = "${tokenKey}"` });
    expect(tokens.map((each) => each.id)).toEqual([mine.id]);
    expect(id).not.toBe(mine.id);
    const profiles = await world.admin.accounts.listUserProfiles({ filter: `user_id = ${profile.userId}` });
    expect(profiles.userProfiles.map((each) => each.id)).toEqual([profile.id]);
  });

  test('by an annotation, whatever its key', async () => {
    const annotations = (key: string, value: string) => ({ annotations: new Map([[key, value]]) });
    await world.issue('owner-a', { name: 'billing-1', ...annotations('team', 'Billing EU') });
    await world.keep('owner-a', { name: 'billing-2', ...annotations('team', 'Billing US') });
    await world.issue('owner-a', { name: 'odd', ...annotations('say "hi" ? ключ', '?') });
    expect(await found('annotation.team = "Billing EU"')).toEqual(['billing-1']);
    expect(await found('annotation.team : billing')).toEqual(['billing-1', 'billing-2']);
    expect(await found('annotation.team != null AND annotation.team != "Billing US"')).toEqual(['billing-1']);
    expect(await found('annotation.team = null AND annotation."say \\"hi\\" ? ключ" = "?"')).toEqual(['odd']);
    expect(await outcomeOf(world.admin.tokens.listTokens({ filter: 'annotation = a' }))).toBe(
      'INVALID_ARGUMENT INVALID_FIELDS',
    );
  });
});

describe('names of any script', () => {
  test.each(['Ключ от базы: «склад»', '本番/キー@eu', '🔑', "O'Neil & Söhne"])(
    'name what they were given to: %s',
    async (name) => {
      const { id } = await world.issue('admin', { name });
      const kept = await world.keep('admin', { name });
      const ownedName = { $case: 'ownedName', value: { name } } as const;
      const [one, other] = await Promise.all([
        world.admin.tokens.getToken({ token: { selector: ownedName } }),
        world.admin.secrets.getSecret({ secret: { selector: ownedName } }),
      ]);
      expect([one.token?.id, other.secret?.id]).toEqual([id, kept.id]);
      expect(one.token?.name).toBe(name);
      const { tokens } = await world.admin.tokens.listTokens({ filter: `name = "${name}"` });
      expect(tokens.map((each) => each.id)).toEqual([id]);
      const again = world.admin.secrets.createSecret({ name: name.toUpperCase(), payload: textOf('x') });
      expect(await outcomeOf(again)).toBe('ALREADY_EXISTS ALREADY_EXISTS');
    },
  );
});
