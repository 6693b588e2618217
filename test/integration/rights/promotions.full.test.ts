import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  connect,
  VerdictReason,
  type DeactivatedToken,
  type KeywardClient,
} from '../../../src/client/index.js';
import { newestEvent, readEvents } from '../../support/audit.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { outcomeOf, type RequestOf } from '../../support/rpc.js';
import { certificateOptions, MUTUAL_TLS } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, existing, World, type Issued } from '../../support/world.js';

const NOT_HELD = 'PERMISSION_DENIED SCOPE_NOT_HELD';

let world: World;
/** A superuser's token that may change accounts, and nothing else. */
let narrow: KeywardClient;

beforeAll(async () => {
  world = await World.create();
  narrow = world.client((await world.issue('admin', { scopes: ['keyward.accounts.write'] })).plaintext);
});

afterAll(() => world.close());

async function verdict({ plaintext: token }: { readonly plaintext: string }): Promise<string> {
  const { reason } = await world.admin.tokens.validateToken({ token });
  return VerdictReason[reason].replace('VERDICT_REASON_', '');
}

type Owned = Awaited<ReturnType<World['issueTo']>>;

/** alone is a new user of account A, with a token that the superuser issued. */
const alone = (user: RequestOf<'createUser'> = {}) => world.issueTo(user);

/** issueAs makes another token of a user, by a call with a token. */
async function issueAs(token: string, { profile }: Owned, scopes = ['*']) {
  const { token: made, plaintext } = await world
    .client(token)
    .tokens.createToken({ owner: byId(profile), name: world.newName(), scopes });
  return { ...existing(made), plaintext: registerCanary(plaintext) };
}

type Change = NonNullable<RequestOf<'updateUser'>['user']>;

function updateUser({ profile }: Owned, user: Change, keepTokens = false, client = world.admin) {
  const selector = byId({ id: profile.userId });
  const updateMask = Object.keys(user).map((name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`));
  return client.accounts.updateUser({ selector, user, updateMask, keepTokens });
}

async function join({ profile }: Owned, keepTokens = false, client = world.admin) {
  const account = byId(await world.newAccount());
  return client.accounts.createUserProfile({ user: byId({ id: profile.userId }), account, keepTokens });
}

const brief = ({ id, recordLocator, keyId, name }: Issued | DeactivatedToken) => ({
  id,
  recordLocator,
  keyId,
  name,
});

/** The changes that give a user rights. */
const RISES = {
  'is made a superuser': {
    cause: 'owner_promoted',
    rise: (owned: Owned, keep?: boolean, client?: KeywardClient) =>
      updateUser(owned, { isSuperuser: true }, keep, client),
  },
  'is made staff': {
    cause: 'owner_promoted',
    rise: (owned: Owned, keep?: boolean, client?: KeywardClient) =>
      updateUser(owned, { isStaff: true }, keep, client),
  },
  'joins another account': { cause: 'owner_joined_account', rise: join },
};

/** risen is a user to whom the change gives rights: one who is to be made staff is not before. */
async function risen(how: string): Promise<Owned> {
  const owned = await alone();
  if (how === 'is made staff') await updateUser(owned, { isStaff: false });
  return owned;
}

describe.each(Object.entries(RISES))('when a user %s', (how, { cause, rise }) => {
  test('tokens that someone else issued are off when the call returns, which lists them; others stay', async () => {
    const owned = await alone();
    const own = await issueAs(owned.plaintext, owned);
    const byStaff = await issueAs(world.tokenOf('staff-a'), owned);
    if (how === 'is made staff') await updateUser(owned, { isStaff: false });
    const after = await newestEvent(world.database.url);
    const { deactivatedTokens, deactivatedCount, propagation } = await rise(owned);
    expect(await Promise.all([owned, own, byStaff].map(verdict))).toEqual(['INACTIVE', 'OK', 'INACTIVE']);
    expect(deactivatedTokens).toEqual([owned, byStaff].map(brief));
    expect(deactivatedCount).toBe(2);
    expect(propagation?.complete).toBe(true);
    const events = await readEvents(world.database.url, after);
    const deactivated = events.filter(({ action }) => action === 'TOKEN_DEACTIVATED');
    expect(deactivated).toMatchObject(
      [owned, byStaff].map(({ id }) => ({ resourceId: id, detail: { cause }, actor: 'admin' })),
    );
  });

  test('they stay where the call says so', async () => {
    const owned = await risen(how);
    const after = await newestEvent(world.database.url);
    expect(await rise(owned, true)).toMatchObject({ deactivatedTokens: [], deactivatedCount: 0 });
    expect(await verdict(owned)).toBe('OK');
    const events = await readEvents(world.database.url, after);
    expect(events.at(-1)).toMatchObject({ detail: { keep_tokens: 'true' } });
  });

  test('a plaintext of nobody knows whom, or in its grace, counts; what does not pass is not listed', async () => {
    const owned = await alone();
    const own = () => issueAs(owned.plaintext, owned);
    const [imported, renamed, rotated, off, expired] = [
      await own(),
      await own(),
      await own(),
      await own(),
      await own(),
    ];
    const { url } = world.database;
    const issuers = 'UPDATE token_digests SET issued_by_user_id';
    await execute(url, `${issuers} = NULL, issued_by_username = NULL WHERE token_id = $1`, [
      String(imported.id),
    ]);
    // The same username, but another user: one who was deleted.
    await execute(url, `${issuers} = 1 WHERE token_id = $1`, [String(renamed.id)]);
    const gracePeriod = { seconds: 3600n, nanos: 0 };
    const byStaff = await world.as('staff-a').tokens.rotateToken({ selector: byId(rotated), gracePeriod });
    registerCanary(byStaff.plaintext);
    const again = await world
      .client(owned.plaintext)
      .tokens.rotateToken({ selector: byId(rotated), gracePeriod });
    registerCanary(again.plaintext);
    for (const { id } of [off, expired]) {
      await execute(url, `${issuers} = NULL WHERE token_id = $1`, [String(id)]);
    }
    await world.admin.tokens.deactivateToken({ selector: byId(off) });
    await execute(url, "UPDATE tokens SET expires_at = now() - interval '1 hour' WHERE id = $1", [
      String(expired.id),
    ]);
    if (how === 'is made staff') await updateUser(owned, { isStaff: false });
    const { deactivatedTokens } = await rise(owned);
    expect(deactivatedTokens.map(({ id }) => id)).toEqual(
      [owned, imported, renamed, rotated].map(({ id }) => id),
    );
    expect(await verdict(again)).toBe('INACTIVE');
  });

  test('a superuser whose own token lacks a scope of a token that would gain is refused', async () => {
    const owned = await risen(how);
    expect(await outcomeOf(rise(owned, true, narrow))).toBe(NOT_HELD);
    expect(await outcomeOf(rise(owned, false, narrow))).toBe('OK');
    const other = await alone();
    await issueAs(other.plaintext, other);
    if (how === 'is made staff') await updateUser(other, { isStaff: false });
    // The own token stays, so switching off the others is not enough, and is not done.
    expect(await outcomeOf(rise(other, false, narrow))).toBe(NOT_HELD);
    expect(await verdict(other)).toBe('OK');
  });
});

test.each(Object.entries(RISES))(
  'a token that is being made for a user does not gain when the user %s meanwhile',
  async (how, { rise }) => {
    const owned = await risen(how);
    const client = new pg.Client({ connectionString: world.database.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      // As CreateToken does: the lock, then the token.
      await client.query('SELECT FROM users WHERE id = $1 FOR SHARE', [String(owned.profile.userId)]);
      await client.query(
        `WITH made AS (
           INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), $1, 'late') RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key, issued_by_user_id)
         SELECT sha512(id::text::bytea), id, '', 1 FROM made`,
        [String(owned.profile.id)],
      );
      const rising = rise(owned);
      await expect
        .poll(
          () =>
            execute(
              world.database.url,
              `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
            ),
          { timeout: 10_000 },
        )
        .not.toHaveLength(0);
      await client.query('COMMIT');
      const names = (await rising).deactivatedTokens.map(({ name }) => name);
      expect(names).toEqual([owned.name, 'late']);
    } finally {
      await client.end();
    }
  },
);

test('what gives a user no rights switches nothing off', async () => {
  const owned = await alone({ isSuperuser: true });
  await updateUser(owned, { isStaff: false });
  for (const change of [{ isStaff: true }, { email: 'a@example.com' }, { isSuperuser: true }]) {
    expect(await updateUser(owned, change)).toMatchObject({ deactivatedCount: 0 });
  }
  expect(await join(owned)).toMatchObject({ deactivatedCount: 0 });
  await updateUser(owned, { isSuperuser: false, isStaff: true });
  expect(await updateUser(owned, { isActive: false })).toMatchObject({ deactivatedCount: 0 });
  expect(await updateUser(owned, { isActive: true })).toMatchObject({ deactivatedCount: 0 });
  expect(await verdict(owned)).toBe('OK');
});

test('the token of a bootstrap has no issuer, and stays when its superuser joins another account', async () => {
  const user = { selector: { $case: 'username', value: 'admin' } } as const;
  const account = byId(await world.newAccount());
  expect(await world.admin.accounts.createUserProfile({ user, account })).toMatchObject({
    deactivatedCount: 0,
  });
  const { tokens } = await world.admin.tokens.listTokens({ filter: 'name = "keyward-admin"' });
  expect(tokens).toMatchObject([{ issuedBy: undefined, isActive: true }]);
});

test('of more tokens than a response lists all are switched off and counted', async () => {
  const owned = await alone();
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1, 'many-' || n FROM generate_series(1, 1500) n RETURNING id, key_id)
     INSERT INTO token_digests (digest, token_id, token_key)
     SELECT sha512(key_id::text::bytea), id, '' FROM made`,
    [String(owned.profile.id)],
  );
  const { deactivatedTokens, deactivatedCount } = await updateUser(owned, { isSuperuser: true });
  expect([deactivatedTokens.length, deactivatedCount]).toEqual([1000, 1501]);
  const ids = deactivatedTokens.map(({ id }) => id);
  expect(ids).toEqual([...ids].sort((a, b) => Number(a - b)));
  const live = await execute(
    world.database.url,
    'SELECT FROM tokens WHERE user_profile_id = $1 AND is_active',
    [String(owned.profile.id)],
  );
  expect(live).toHaveLength(0);
});

describe('whom a superuser with few scopes switches on', () => {
  const write = 'keyward.accounts.write';

  test.each([
    ['whose token has all scopes', ['*'], NOT_HELD],
    ['whose token has a scope that the caller lacks', [write, 'billing'], NOT_HELD],
    ['whose token has scopes that the caller has', [write], 'OK'],
  ])('%s: a user', async (_, scopes, expected) => {
    const owned = await alone();
    await issueAs(world.adminToken, owned, scopes);
    await world.admin.tokens.revokeToken({ selector: byId(owned) });
    await updateUser(owned, { isActive: false });
    expect(await outcomeOf(updateUser(owned, { isActive: true }, false, narrow))).toBe(expected);
    expect(await outcomeOf(updateUser(owned, { isActive: false }, false, narrow))).toBe('OK');
  });

  test.each([
    ['in which a token has all scopes', ['*'], NOT_HELD],
    ['in which the scopes are those of the caller', [write], 'OK'],
  ])('%s: an account', async (_, scopes, expected) => {
    const account = await world.newAccount();
    const owner = await world.join('owner-a', account.accountNumber);
    await world.admin.tokens.createToken({ owner: byId(owner), name: world.newName(), scopes });
    const off = await world.admin.tokens.createToken({ owner: byId(owner), name: world.newName() });
    await world.admin.tokens.deactivateToken({ selector: byId(existing(off.token)) });
    const update = (isActive: boolean) =>
      outcomeOf(
        narrow.accounts.updateAccount({
          selector: byId(account),
          account: { isActive },
          updateMask: ['is_active'],
        }),
      );
    expect([await update(true), await update(false), await update(false)]).toEqual(['OK', 'OK', 'OK']);
    expect(await update(true)).toBe(expected);
  });

  test('the refusal names the scope', async () => {
    const owned = await alone();
    await updateUser(owned, { isActive: false });
    await expect(updateUser(owned, { isActive: true }, false, narrow)).rejects.toMatchObject({
      reason: 'SCOPE_NOT_HELD',
      metadata: new Map([['scope', '*']]),
    });
  });
});

test('where certificates are taken, their scopes are needed for users whom they may name', async () => {
  const { plaintext } = await world.issue('admin', { scopes: ['keyward.accounts.write'] });
  const server = await world.startServer({
    ...MUTUAL_TLS,
    KEYWARD_TLS_CLIENT_SCOPES: 'keyward.tokens.write',
  });
  // The token is what counts.
  const client = connect({ server: server.address, token: plaintext, ...certificateOptions('staff-a') });
  const create = (isActive: boolean) => client.accounts.createUser({ username: world.newName(), isActive });
  expect(await outcomeOf(create(true))).toBe(NOT_HELD);
  expect(await outcomeOf(create(false))).toBe('OK');
  const { user } = await create(false);
  const selector = byId(existing(user));
  const update = (change: Change, path: string) =>
    outcomeOf(client.accounts.updateUser({ selector, user: change, updateMask: [path] }));
  expect(await update({ isActive: true }, 'is_active')).toBe(NOT_HELD);
  expect(await update({ isSuperuser: true }, 'is_superuser')).toBe(NOT_HELD);
  const account = { selector: { $case: 'accountNumber', value: ACCOUNT_A } } as const;
  expect(await outcomeOf(client.accounts.createUserProfile({ user: selector, account }))).toBe(NOT_HELD);
  expect(await outcomeOf(narrow.accounts.createUserProfile({ user: selector, account }))).toBe('OK');
  client.close();
});
