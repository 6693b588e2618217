import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import pg from 'pg';
import { VerdictReason, type KeywardClient } from '../../../src/client/index.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { outcomeOf, type RequestOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { Watching } from '../../support/watching.js';
import { ACCOUNT_B, existing, World, type Issued } from '../../support/world.js';

const NOT_PERMITTED = 'PERMISSION_DENIED NOT_PERMITTED';
const NOT_HELD = 'PERMISSION_DENIED SCOPE_NOT_HELD';

let world: World;
/** A superuser's token that may change tokens, and nothing else. */
let narrow: KeywardClient;

beforeAll(async () => {
  world = await World.create();
  narrow = world.client((await world.issue('admin', { scopes: ['keyward.tokens.write'] })).plaintext);
});

afterAll(() => world.close());

async function verdict(token: string): Promise<string> {
  const { reason } = await world.admin.tokens.validateToken({ token });
  return VerdictReason[reason].replace('VERDICT_REASON_', '');
}

async function stored({ id }: Issued): Promise<unknown> {
  const [row] = await execute(
    world.database.url,
    `SELECT row_version, (SELECT count(*) FROM token_digests WHERE token_id = t.id) AS plaintexts,
       (SELECT count(*) FROM tokens WHERE user_profile_id = t.user_profile_id) AS tokens
     FROM tokens t WHERE id = $1`,
    [String(id)],
  );
  return row;
}

const secondsOf = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
const inSeconds = (seconds: number) => secondsOf(Math.floor(world.clock.now() / 1000) + seconds);
const ttl = (seconds: number) => ({ $case: 'ttl', value: secondsOf(seconds) }) as const;

interface Row {
  /** What the token is before, besides its scopes. */
  readonly token?: RequestOf<'createToken'>;
  /** True if its expiry is over when the call is made. */
  readonly expired?: true;
  readonly call: (client: KeywardClient, token: Issued) => Promise<unknown>;
}

const update = (
  client: KeywardClient,
  token: Issued,
  change: NonNullable<RequestOf<'updateToken'>['token']>,
  ...updateMask: string[]
) => client.tokens.updateToken({ selector: byId(token), token: change, updateMask });

/** Every way in which a token gains. */
const GAINS: Readonly<Record<string, Row>> = {
  'is made': {
    call: async (client, { keyId }) => {
      const { scopes, owner } = existing(
        (await world.admin.tokens.getToken({ token: { selector: { $case: 'keyId', value: keyId } } })).token,
      );
      const profile = byId({ id: existing(owner).userProfileId });
      return client.tokens.createToken({ owner: profile, name: world.newName(), scopes });
    },
  },
  'is made, switched off': {
    call: (client, _token) =>
      client.tokens.createToken({
        owner: byId(world.profileOf('admin')),
        name: world.newName(),
        isActive: false,
      }),
  },
  'is cloned': {
    call: (client, token) => client.tokens.cloneToken({ selector: byId(token), newName: world.newName() }),
  },
  'is rotated': { call: (client, token) => client.tokens.rotateToken({ selector: byId(token) }) },
  'is rotated with a grace period': {
    call: (client, token) => client.tokens.rotateToken({ selector: byId(token), gracePeriod: secondsOf(60) }),
  },
  'is activated': {
    token: { isActive: false },
    call: (client, token) => client.tokens.activateToken({ selector: byId(token) }),
  },
  'is toggled on': {
    token: { isActive: false },
    call: (client, token) => client.tokens.toggleToken({ selector: byId(token) }),
  },
  'gets another scope': {
    token: { scopes: ['app.read', 'billing'] },
    call: (client, token) => update(client, token, { scopes: ['app.read', 'billing', 'files'] }, 'scopes'),
  },
  'gets all scopes': {
    token: { scopes: ['app.read', 'billing'] },
    call: (client, token) => update(client, token, { scopes: ['*'] }, 'scopes'),
  },
  'expires later': {
    token: { expiry: ttl(3600) },
    call: (client, token) => update(client, token, { expiresAt: inSeconds(7200) }, 'expires_at'),
  },
  'never expires any more': {
    token: { expiry: ttl(3600) },
    call: (client, token) => update(client, token, {}, 'expires_at'),
  },
  'is taken its expiry that is over': {
    token: { expiry: ttl(60) },
    expired: true,
    call: (client, token) => update(client, token, {}, 'expires_at'),
  },
  'expires later, though it is switched off': {
    token: { expiry: ttl(3600), isActive: false },
    call: (client, token) => update(client, token, {}, 'expires_at'),
  },
  'expires later and loses a scope': {
    token: { expiry: ttl(3600), scopes: ['app.read', 'billing'] },
    call: (client, token) => update(client, token, { scopes: ['billing'] }, 'expires_at', 'scopes'),
  },
};

/** Every way in which it does not. */
const OTHERS: Readonly<Record<string, Row>> = {
  'is deactivated': { call: (client, token) => client.tokens.deactivateToken({ selector: byId(token) }) },
  'is toggled off': { call: (client, token) => client.tokens.toggleToken({ selector: byId(token) }) },
  'is activated that was so': {
    call: (client, token) => client.tokens.activateToken({ selector: byId(token) }),
  },
  'loses a scope': {
    token: { scopes: ['app.*', 'billing'] },
    call: (client, token) => update(client, token, { scopes: ['app.*'] }, 'scopes'),
  },
  'gets narrower scopes': {
    token: { scopes: ['app.*', 'billing'] },
    call: (client, token) => update(client, token, { scopes: ['app.read'] }, 'scopes'),
  },
  'expires sooner': {
    token: { expiry: ttl(3600) },
    call: (client, token) => update(client, token, { expiresAt: inSeconds(60) }, 'expires_at'),
  },
  'expires that never did': {
    call: (client, token) => update(client, token, { expiresAt: inSeconds(60) }, 'expires_at'),
  },
  'is described anew': {
    call: (client, token) => update(client, token, { description: 'new' }, 'description'),
  },
  'is renamed': {
    call: (client, token) => client.tokens.renameToken({ selector: byId(token), newName: world.newName() }),
  },
  'is revoked': { call: (client, token) => client.tokens.revokeToken({ selector: byId(token) }) },
};

async function prepare({ token, expired }: Row, scopes: string[]): Promise<Issued> {
  const issued = await world.issue('admin', { scopes, ...token });
  if (expired) world.clock.advance(60_001);
  return issued;
}

describe.each(Object.entries(GAINS))('a token %s', (_, row) => {
  test('not by staff of the account whose rank its owner, a superuser, exceeds', async () => {
    const token = await prepare(row, ['app.read']);
    const [before, reason] = [await stored(token), await verdict(token.plaintext)];
    expect(await outcomeOf(row.call(world.as('staff-platform'), token))).toBe(NOT_PERMITTED);
    expect([await stored(token), await verdict(token.plaintext)]).toEqual([before, reason]);
  });

  test('not by a superuser whose own token lacks its scopes', async () => {
    const token = await prepare(row, ['*']);
    const [before, reason] = [await stored(token), await verdict(token.plaintext)];
    expect(await outcomeOf(row.call(narrow, token))).toBe(NOT_HELD);
    expect([await stored(token), await verdict(token.plaintext)]).toEqual([before, reason]);
  });

  test('by who has both', async () => {
    const token = await prepare(row, ['*']);
    expect(await outcomeOf(row.call(world.admin, token))).toBe('OK');
  });
});

describe.each(Object.entries(OTHERS))('a token %s', (_, row) => {
  test('by staff of the account, though its owner is a superuser', async () => {
    expect(await outcomeOf(row.call(world.as('staff-platform'), await prepare(row, ['app.read'])))).toBe(
      'OK',
    );
  });

  test('by a superuser whose own token lacks its scopes', async () => {
    expect(await outcomeOf(row.call(narrow, await prepare(row, ['*'])))).toBe('OK');
  });
});

test('a token may gain what its scopes cover anyway, but needs the rank and the scopes for it', async () => {
  const token = await world.issue('owner-a', { scopes: ['app.*'] });
  const ofStaff = await world.issue('staff-a', { scopes: ['keyward.tokens.write', 'app.read'] });
  const client = world.client(ofStaff.plaintext);
  expect(await outcomeOf(update(client, token, { scopes: ['app.*', 'app.read'] }, 'scopes'))).toBe('OK');
  expect(await outcomeOf(update(client, token, { scopes: ['app.read'] }, 'scopes'))).toBe('OK');
  expect(await outcomeOf(update(client, token, { scopes: ['app.*'] }, 'scopes'))).toBe(NOT_HELD);
});

describe('a rank that grows while a call waits', () => {
  /** during makes a call while a transaction runs that changes the user, and tells how it ends after the commit. */
  async function during(userId: bigint, sql: string, call: () => Promise<unknown>): Promise<string> {
    const client = new pg.Client({ connectionString: world.database.url });
    await client.connect();
    try {
      await client.query('BEGIN');
      await client.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [String(userId)]);
      await client.query(sql, [String(userId)]);
      const outcome = outcomeOf(call());
      await waitingStatement();
      await client.query('COMMIT');
      return await outcome;
    } finally {
      await client.end();
    }
  }

  async function waitingStatement(): Promise<void> {
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
  }

  const CALLS: Readonly<Record<string, (token: Issued, profile: bigint) => Promise<unknown>>> = {
    create: (_, id) =>
      world.as('staff-a').tokens.createToken({ owner: byId({ id }), name: world.newName(), scopes: ['a'] }),
    clone: (token) =>
      world.as('staff-a').tokens.cloneToken({ selector: byId(token), newName: world.newName() }),
    'clone for the user': async (_, id) => {
      const selector = byId(await world.issue('owner-a'));
      return world
        .as('staff-a')
        .tokens.cloneToken({ selector, newName: world.newName(), owner: byId({ id }) });
    },
    'transfer to the user': async (_, id) => {
      const selector = byId(await world.issue('owner-a'));
      return world.as('staff-a').tokens.transferToken({ selector, owner: byId({ id }) });
    },
    rotate: (token) => world.as('staff-a').tokens.rotateToken({ selector: byId(token) }),
    activate: (token) => world.as('staff-a').tokens.activateToken({ selector: byId(token) }),
    extend: (token) => update(world.as('staff-a'), token, {}, 'expires_at'),
  };
  const RISES = {
    'the user becomes a superuser': 'UPDATE users SET is_superuser = true WHERE id = $1',
    'the user joins another account': `INSERT INTO user_profiles (user_id, account_id, name)
      SELECT $1, id, 'x' FROM accounts WHERE account_number = '${ACCOUNT_B}'`,
  };

  test.each(
    Object.keys(CALLS).flatMap((name) =>
      Object.entries(RISES).map(([how, sql]) => ({ name, how, sql }) as const),
    ),
  )('is the one that counts: $name while $how', async ({ name, sql }) => {
    const token = await world.issueTo();
    await world.admin.tokens.deactivateToken({ selector: byId(token) });
    await update(world.admin, token, { expiresAt: inSeconds(3600) }, 'expires_at');
    const call = existing(CALLS[name]);
    expect(await during(token.profile.userId, sql, () => call(token, token.profile.id))).toBe(NOT_PERMITTED);
  });
});

test('whoever is given a plaintext is named with it, but for those who may not manage the token', async () => {
  const creator = existing((await world.admin.tokens.listTokens({ filter: 'username = admin' })).tokens[0]);
  const token = await world.issue('owner-a');
  const read = async (client: KeywardClient) =>
    existing((await client.tokens.getToken({ token: byId(token) })).token).issuedBy;
  const byAdmin = { username: 'admin', keyId: creator.keyId, userId: creator.owner?.userId };
  expect(await read(world.as('staff-a'))).toEqual(byAdmin);
  expect(await read(world.as('owner-a'))).toEqual(byAdmin);
  expect(await read(world.as('plain-a'))).toBeUndefined();
  const find = async (client: KeywardClient, filter: string) =>
    (await client.tokens.listTokens({ filter: `key_id = ${token.keyId} AND ${filter}` })).tokens.length;
  for (const filter of [
    'issued_by_username = admin',
    `issued_by_key_id = ${creator.keyId}`,
    `issued_by_user_id = ${byAdmin.userId ?? 0n}`,
    'issued_by_username != nobody',
  ]) {
    expect([await find(world.as('staff-a'), filter), await find(world.as('plain-a'), filter)]).toEqual([
      1, 0,
    ]);
  }
  const listed = await world.as('plain-a').tokens.listTokens({ filter: `key_id = ${token.keyId}` });
  expect(listed.tokens.map(({ issuedBy }) => issuedBy)).toEqual([undefined]);

  const watches = await Promise.all(
    [world.as('staff-a'), world.as('plain-a')].map((client) => Watching.begin(client.tokens.watchTokens({}))),
  );
  await update(world.admin, token, { description: 'new' }, 'description');
  const told = await Promise.all(
    watches.map(async (watch) => (await watch.until(({ tokenId }) => tokenId === token.id)).at(-1)?.token),
  );
  expect(told.map((each) => existing(each).issuedBy)).toEqual([byAdmin, undefined]);
  for (const watch of watches) await watch.close();

  const staff = existing((await world.admin.tokens.listTokens({ filter: 'username = "staff-a"' })).tokens[0]);
  const { plaintext } = await world.as('staff-a').tokens.rotateToken({ selector: byId(token) });
  registerCanary(plaintext);
  expect(await read(world.admin)).toEqual({
    username: 'staff-a',
    keyId: staff.keyId,
    userId: staff.owner?.userId,
  });
});
