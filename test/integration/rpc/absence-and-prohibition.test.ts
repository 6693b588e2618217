import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hashedId, recordLocator } from '../../../src/lib/public-id.js';
import { requestFields, selectorOf } from '../../support/descriptors.js';
import { IS_FULL } from '../../support/extent.js';
import { requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer, type MethodName, type RequestOf } from '../../support/rpc.js';
import { ACCOUNT_A, existing, World, type Issued } from '../../support/world.js';

/** Target is what a selector names: a token and a secret, their owner's profile, its user and its account, in every form. */
interface Target {
  readonly tokenId: bigint;
  readonly keyId: string;
  readonly secretId: bigint;
  /** Of the token and of the secret. */
  readonly name: string;
  readonly profileId: bigint;
  readonly userId: bigint;
  readonly username: string;
  readonly accountId: bigint;
  readonly accountNumber: string;
}

const ABSENT: Target = {
  tokenId: 9_000_000_000n,
  keyId: randomUUID(),
  secretId: 9_000_000_004n,
  name: 'no-such-thing',
  profileId: 9_000_000_001n,
  userId: 9_000_000_002n,
  username: 'no-such-user',
  accountId: 9_000_000_003n,
  accountNumber: '9999-9999-9999',
};

type Forms = Readonly<Record<string, (target: Target) => object>>;

const PROFILE_FORMS: Forms = {
  id: ({ profileId }) => one('id', profileId),
  hashed_id: ({ profileId }) => one('hashedId', hashedId(profileId)),
  record_locator: ({ profileId }) => one('recordLocator', recordLocator('userprofile', profileId)),
  membership: ({ username, accountNumber }) => one('membership', { username, accountNumber }),
};

const OWNED_NAME_FORMS: Forms = {
  owned_name: ({ accountNumber, name }) =>
    one('ownedName', { owner: { $case: 'accountNumber', value: accountNumber }, name }),
  ...Object.fromEntries(
    Object.entries(PROFILE_FORMS).map(([form, select]) => [
      `owned_name by ${form}`,
      (target: Target) =>
        one('ownedName', { owner: { $case: 'userProfile', value: select(target) }, name: target.name }),
    ]),
  ),
};

/** Every form of every selector, by the name of its field. */
const FORMS: Readonly<Record<string, Forms>> = {
  TokenSelector: {
    id: ({ tokenId }) => one('id', tokenId),
    hashed_id: ({ tokenId }) => one('hashedId', hashedId(tokenId)),
    record_locator: ({ tokenId }) => one('recordLocator', recordLocator('token', tokenId)),
    key_id: ({ keyId }) => one('keyId', keyId),
    ...OWNED_NAME_FORMS,
  },
  SecretSelector: {
    id: ({ secretId }) => one('id', secretId),
    hashed_id: ({ secretId }) => one('hashedId', hashedId(secretId)),
    record_locator: ({ secretId }) => one('recordLocator', recordLocator('secret', secretId)),
    ...OWNED_NAME_FORMS,
  },
  UserProfileSelector: PROFILE_FORMS,
  UserSelector: {
    id: ({ userId }) => one('id', userId),
    username: ({ username }) => one('username', username),
  },
  AccountSelector: {
    id: ({ accountId }) => one('id', accountId),
    hashed_id: ({ accountId }) => one('hashedId', hashedId(accountId)),
    record_locator: ({ accountId }) => one('recordLocator', recordLocator('account', accountId)),
    account_number: ({ accountNumber }) => one('accountNumber', accountNumber),
  },
};

/** Every RPC with a selector, every such field, and of each every form. */
const FIELDS = METHOD_NAMES.flatMap((method) =>
  requestFields(method).flatMap((field) => {
    const selector = selectorOf(field);
    if (selector === undefined) return [];
    // What it takes to read what it names: of the methods that name one kind, the method tells.
    const kind = method === 'getManifest' ? selector.name : method;
    const { localName, oneof } = field;
    const rows = Object.entries(FORMS[selector.name] ?? {}).map(([form, select]) => ({
      ...{ method, field: localName, form, kind },
      select: (target: Target) =>
        oneof === undefined
          ? { [localName]: select(target) }
          : { [oneof.localName]: { $case: localName, value: select(target) } },
    }));
    return [rows];
  }),
);
const ROWS = FIELDS.flat();

function one(form: string, value: unknown) {
  return { selector: { $case: form, value } };
}

let world: World;
/** Reads what is stored, before and after. */
let database: pg.Client;
let token: Issued;
let target: Target;
const peers: Peer[] = [];
let strangers: Peer[];
let superuser: Peer;

beforeAll(async () => {
  world = await World.create();
  database = new pg.Client({ connectionString: world.database.url });
  await database.connect();
  token = await world.issue('owner-a');
  const secret = await world.keep('owner-a', { name: token.name });
  const owner = world.profileOf('owner-a');
  target = {
    tokenId: token.id,
    keyId: token.keyId,
    secretId: secret.id,
    name: token.name,
    profileId: owner.id,
    userId: owner.userId,
    username: owner.username,
    accountId: owner.accountId,
    accountNumber: ACCOUNT_A,
  };
  const withToken = (plaintext: string) => new Peer(world.server.address, { token: plaintext });
  strangers = [world.tokenOf('staff-b'), world.tokenOf('staff-platform')].map(withToken);
  superuser = withToken(world.adminToken);
  peers.push(...strangers, superuser);
});

afterAll(async () => {
  for (const peer of peers) peer.close();
  await database.end();
  await world.close();
});

/** The rest of the requests, made once: none of them may have an effect. */
const rests = new Map<MethodName, object>();

async function requestAbout(method: MethodName, selected: object) {
  const rest = rests.get(method) ?? (await requestFor(method, world));
  rests.set(method, rest);
  return { ...rest, ...selected } as RequestOf<MethodName>;
}

async function countRows(): Promise<unknown> {
  const { rows } = await database.query<object>(
    `SELECT (SELECT row_version FROM tokens WHERE id = $1) AS token,
            (SELECT count(*) FROM token_digests WHERE token_id = $1) AS digests,
            (SELECT count(*) FROM tokens WHERE user_profile_id = $2) AS tokens,
            (SELECT row_version FROM user_profiles WHERE id = $2) AS profile,
            (SELECT (row_version, last_accessed_at)::text FROM secrets WHERE id = $3) AS secret,
            (SELECT count(*) FROM secrets WHERE user_profile_id = $2) AS secrets,
            (SELECT json_agg(v) FROM secret_versions v WHERE secret_id = $3) AS versions,
            (SELECT count(*) FROM secret_references WHERE secret_id = $3) AS uses,
            (SELECT count(*) FROM secret_grants WHERE secret_id = $3) AS grants`,
    [String(target.tokenId), String(target.profileId), String(target.secretId)],
  );
  return existing(rows[0]);
}

test('every form of every selector is tried', () => {
  for (const method of METHOD_NAMES) {
    for (const selector of requestFields(method).map(selectorOf)) {
      if (selector === undefined) continue;
      const forms = Object.keys(FORMS[selector.name] ?? {});
      expect(forms).toEqual(expect.arrayContaining(selector.fields.map(({ name }) => name)));
    }
  }
  expect(ROWS.length).toBeGreaterThan(100);
});

/** The short form takes another form for each field of each method, so that every form is among them. */
const TRIED = IS_FULL ? ROWS : FIELDS.map((rows, number) => existing(rows[number % rows.length]));

describe.each(TRIED)('$method by $field, form $form', ({ method, kind, select }) => {
  test('what one may not read answers as what does not exist, down to the bytes, and nothing changes', async () => {
    const aboutTarget = await requestAbout(method, select(target));
    const aboutAbsent = await requestAbout(method, select(ABSENT));
    const before = await countRows();
    for (const stranger of strangers) {
      const prohibited = await stranger.call(method, aboutTarget);
      const absent = await stranger.call(method, aboutAbsent);
      expect(prohibited).toEqual(absent);
      const managesAccounts = /Account|User/.test(kind) && method !== 'revokeUserTokens';
      const code = managesAccounts ? 'PERMISSION_DENIED' : 'NOT_FOUND';
      expect(prohibited.code).toBe(code);
    }
    expect(await countRows()).toEqual(before);
  });

  test('what does not exist is NOT_FOUND for those who may read everything', async () => {
    const outcome = await superuser.call(method, await requestAbout(method, select(ABSENT)));
    expect(outcome).toMatchObject({ code: 'NOT_FOUND', reason: 'NOT_FOUND', violations: [] });
  });
});

test.each([
  ['a hashed id that is none', one('hashedId', 'rubbish')],
  ['the hashed id in another spelling', one('hashedId', 'rMTAwMDAwMR')],
  ['a record locator of another kind', one('recordLocator', 'account-rMTAwMDAwMQx')],
  ['a number beyond those of the database', one('hashedId', hashedId(2n ** 80n))],
  ['the largest number', one('id', 2n ** 63n - 1n)],
])('%s is NOT_FOUND like any other', async (_, selector) => {
  const notFound = { code: 'NOT_FOUND', violations: [] };
  const token = { token: selector } as RequestOf<'getToken'>;
  expect(await superuser.call('getToken', token)).toMatchObject(notFound);
  const secret = { secret: selector } as RequestOf<'getSecret'>;
  expect(await superuser.call('getSecret', secret)).toMatchObject(notFound);
});
