import type { DescField } from '@bufbuild/protobuf';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ACCOUNT_FIELDS, USER_FIELDS, USER_PROFILE_FIELDS } from '../../src/account/account.js';
import type { KeywardClient, SecretEvent, TokenEvent } from '../../src/client/index.js';
import { defaultsOf, protoName, type Fields, type SettingsOf } from '../../src/lib/fields.js';
import { toFields } from '../../src/rpc/field-messages.js';
import { SECRET_FIELDS } from '../../src/secret/secret.js';
import { TOKEN_FIELDS } from '../../src/token/token.js';
import { requestFields, responseFields } from '../support/descriptors.js';
import {
  ACCOUNTS,
  NOT_SETTINGS,
  NOT_SETTINGS_OF_REQUESTS,
  SECRETS,
  TOKENS,
  USER_PROFILES,
  USERS,
} from '../support/field-samples.js';
import { byId } from '../support/requests.js';
import { outcomeOf, type MethodName } from '../support/rpc.js';
import { Watching } from '../support/watching.js';
import { existing, textOf, World } from '../support/world.js';

/** Made is a resource as a message; what is looked at besides its settings. */
type Made = Readonly<Record<string, unknown>> & { readonly id: bigint; readonly etag: string };
type Message = Readonly<Record<string, unknown>>;

/** Told is the state that a watch told of, undefined where it tells only that there is another. */
type Told = Message | undefined;

/** Kind is a resource with the calls that this test makes of it. */
interface Kind {
  readonly method: string;
  readonly fields: Fields;
  readonly samples: readonly [object, object];
  /** How the audit log calls it. */
  readonly audited: string;
  readonly create: (settings: Message) => Promise<object | undefined>;
  readonly get: (id: bigint) => Promise<object | undefined>;
  readonly update: (id: bigint, resource: Message, mask: string) => Promise<unknown>;
  readonly clone?: (id: bigint, newName: string) => Promise<object | undefined>;
  /** watch begins to watch; what it gives waits for the next change of the resource. */
  readonly watch: () => Promise<(id: bigint) => Promise<Told>>;
}

let world: World;
let admin: KeywardClient;

beforeAll(async () => {
  world = await World.create();
  admin = world.admin;
});

afterAll(() => world.close());

async function watchTokens(isMeant: (event: TokenEvent, id: bigint) => boolean) {
  const watching = await Watching.begin(admin.tokens.watchTokens({}));
  return async (id: bigint): Promise<Told> => {
    const events = await watching.until((event) => isMeant(event, id));
    await watching.close();
    return events.at(-1)?.token && { ...events.at(-1)?.token };
  };
}

async function watchSecrets() {
  const watching = await Watching.begin<SecretEvent>(admin.secrets.watchSecrets({}));
  return async (id: bigint): Promise<Told> => {
    const events = await watching.until(({ secretId }) => secretId === id);
    await watching.close();
    return events.at(-1)?.secret && { ...events.at(-1)?.secret };
  };
}

const owner = () => byId(world.profileOf('staff-a'));

const KINDS: Readonly<Record<keyof typeof NOT_SETTINGS, Kind>> = {
  token: {
    method: 'Token',
    fields: TOKEN_FIELDS,
    samples: TOKENS,
    audited: 'token',
    create: async (given) => (await admin.tokens.createToken({ owner: owner(), ...given })).token,
    get: async (id) => (await admin.tokens.getToken({ token: byId({ id }) })).token,
    update: (id, token, path) =>
      admin.tokens.updateToken({ selector: byId({ id }), token, updateMask: [path] }),
    clone: async (id, newName) => (await admin.tokens.cloneToken({ selector: byId({ id }), newName })).token,
    watch: () => watchTokens(({ tokenId }, id) => tokenId === id),
  },
  secret: {
    method: 'Secret',
    fields: SECRET_FIELDS,
    samples: SECRETS,
    audited: 'secret',
    create: async (given) =>
      (await admin.secrets.createSecret({ owner: owner(), payload: textOf('a value'), ...given })).secret,
    get: async (id) => (await admin.secrets.getSecret({ secret: byId({ id }) })).secret,
    update: (id, secret, path) =>
      admin.secrets.updateSecret({ selector: byId({ id }), secret, updateMask: [path] }),
    clone: async (id, newName) =>
      (await admin.secrets.cloneSecret({ selector: byId({ id }), newName })).secret,
    watch: watchSecrets,
  },
  account: {
    method: 'Account',
    fields: ACCOUNT_FIELDS,
    samples: ACCOUNTS,
    audited: 'account',
    create: async (given) => (await admin.accounts.createAccount(given)).account,
    get: async (id) => (await admin.accounts.getAccount({ account: byId({ id }) })).account,
    update: (id, account, path) =>
      admin.accounts.updateAccount({ selector: byId({ id }), account, updateMask: [path] }),
    watch: () => watchTokens(({ accountId }, id) => accountId === id),
  },
  user: {
    method: 'User',
    fields: USER_FIELDS,
    samples: USERS,
    audited: 'user',
    create: async (given) => (await admin.accounts.createUser({ username: world.newName(), ...given })).user,
    get: async (id) => (await admin.accounts.getUser({ user: byId({ id }) })).user,
    update: (id, user, path) =>
      admin.accounts.updateUser({ selector: byId({ id }), user, updateMask: [path] }),
    watch: () => watchTokens(({ userId }, id) => userId === id),
  },
  userProfile: {
    method: 'UserProfile',
    fields: USER_PROFILE_FIELDS,
    samples: USER_PROFILES,
    audited: 'user_profile',
    create: async (given) => {
      const username = world.newName();
      await admin.accounts.createUser({ username });
      const user = { selector: { $case: 'username', value: username } } as const;
      const account = byId(await world.newAccount());
      return (await admin.accounts.createUserProfile({ user, account, ...given })).userProfile;
    },
    get: async (id) => (await admin.accounts.getUserProfile({ userProfile: byId({ id }) })).userProfile,
    update: (id, userProfile, path) =>
      admin.accounts.updateUserProfile({ selector: byId({ id }), userProfile, updateMask: [path] }),
    watch: () => watchTokens(({ userProfileId }, id) => userProfileId === id),
  },
};

const names = Object.keys(KINDS) as (keyof typeof KINDS)[];

/** known is a message as the protos describe it: a choice of several fields counts as one. */
function known(fields: readonly DescField[]): string[] {
  return [...new Set(fields.map(({ oneof, localName }) => oneof?.localName ?? localName))].sort();
}

/** givenTo writes settings as a request to create takes them: of an expiry as the time. */
function givenTo(fields: Fields, settings: object): Message {
  const message: Message = toFields(fields, settings as SettingsOf<Fields>);
  const { expiresAt, ...others } = message;
  return expiresAt === undefined ? others : { ...others, expiry: { $case: 'expiresAt', value: expiresAt } };
}

describe.each(names)('%s', (name) => {
  const { method, fields, samples, audited, create, get, update, clone, watch } = KINDS[name];
  const [first, second] = samples.map((each): Message => toFields(fields, each as SettingsOf<Fields>));
  const settings = Object.keys(fields);
  const inMask = settings.filter((field) => fields[field]?.notInMask === undefined);

  test('each field of its message, and of the request that makes it, is set by its owner or not for a reason', () => {
    const message = existing(
      responseFields(`get${method}` as MethodName).find(({ localName }) => localName === name)?.message,
    );
    expect(known(message.fields)).toEqual([...settings, ...Object.keys(NOT_SETTINGS[name])].sort());
    const isExpiry = (field: string): boolean => fields[field]?.kind === 'expiry';
    expect(known(requestFields(`create${method}` as MethodName))).toEqual(
      [
        ...settings.filter((field) => !isExpiry(field)),
        ...Object.keys(NOT_SETTINGS_OF_REQUESTS[name]),
      ].sort(),
    );
  });

  test('the samples tell each field from what it has by itself', () => {
    const defaults: Message = defaultsOf(fields);
    for (const field of settings) {
      expect(first?.[field], field).not.toEqual(second?.[field]);
      expect(first?.[field], field).not.toEqual(defaults[field]);
    }
  });

  test('what Create is given, Get gives back', async () => {
    const made = (await create(givenTo(fields, samples[0]))) as Made;
    expect(made).toMatchObject(existing(first));
    expect(await get(made.id)).toEqual(made);
  });

  if (clone !== undefined) {
    test('a clone has them all, but the name', async () => {
      const made = (await create({ ...givenTo(fields, samples[0]), name: world.newName() })) as Made;
      const name = world.newName();
      expect(await clone(made.id, name)).toMatchObject({ ...first, name });
    });
  }

  describe('update', () => {
    let made: Made;

    beforeEach(async () => {
      made = (await create({ ...givenTo(fields, samples[0]), ...unique() })) as Made;
    });

    /** unique is a name that nothing has, where a resource has one that must be. */
    function unique(): Message {
      return settings.includes('name') ? { name: world.newName() } : {};
    }

    test.each(inMask)('of %s alone is stored, recorded and told, with another etag', async (field) => {
      const next = await watch();
      const path = protoName(field);
      await update(made.id, existing(second), path);
      const { etag, updatedAt, ...changed } = (await get(made.id)) as Made;
      expect(etag).not.toBe(made.etag);
      const expected = { ...made, [field]: second?.[field], etag, updatedAt };
      const ofName = { rfc1034Name: undefined, snakeName: undefined };
      expect({ ...changed, etag, updatedAt, ...ofName }).toEqual({ ...expected, ...ofName });
      const told = await next(made.id);
      if (told !== undefined) expect(told).toEqual(await get(made.id));
      expect(told !== undefined).toBe(name === 'token' || name === 'secret');
      const filter = `resource_kind = ${audited} AND resource_id = ${made.id}`;
      const { events } = await admin.audit.listAuditEvents({ filter, orderBy: 'id desc', pageSize: 1 });
      expect(existing(events[0]).detail.get('fields')).toBe(path);
    });

    test.each(settings.filter((field) => !inMask.includes(field)))('cannot name %s', async (field) => {
      expect(await outcomeOf(update(made.id, existing(second), protoName(field)))).toMatch(
        /^INVALID_ARGUMENT/,
      );
      expect(await get(made.id)).toEqual(made);
    });
  });
});
