import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TokenEventType, type KeywardClient, type TokenEvent } from '../../../src/client/index.js';
import { extent } from '../../support/extent.js';
import { byId } from '../../support/requests.js';
import { outcomeOf, type RequestOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { Watching } from '../../support/watching.js';
import { existing, World } from '../../support/world.js';

let world: World;
let other: TestServer;

beforeAll(async () => {
  world = await World.create();
  other = await world.startServer();
});

afterAll(() => world.close());

const { TOKEN_EVENT_TYPE_CREATED, TOKEN_EVENT_TYPE_UPDATED, TOKEN_EVENT_TYPE_DELETED } = TokenEventType;
/** Of each writer while a client comes and goes, among so many tokens. */
const ROUNDS = extent('WATCH_ROUNDS', 8, 25);
const MANY = 12 * ROUNDS;
const CREATED = TOKEN_EVENT_TYPE_CREATED;
const UPDATED = TOKEN_EVENT_TYPE_UPDATED;
const DELETED = TOKEN_EVENT_TYPE_DELETED;

function watchTokens(
  client: KeywardClient = world.admin,
  request: RequestOf<'watchTokens'> = {},
): Promise<Watching<TokenEvent>> {
  return Watching.begin(client.tokens.watchTokens(request));
}

/** describeAs changes a token. */
async function describeAs(
  token: { readonly id: bigint },
  description: string,
  client = world.admin,
): Promise<void> {
  await client.tokens.updateToken({
    selector: byId(token),
    token: { description },
    updateMask: ['description'],
  });
}

/** brief is what a test compares of events. */
function brief(events: readonly TokenEvent[]): [TokenEventType, bigint][] {
  return events.map(({ type, tokenId }) => [type, tokenId]);
}

function secondsOf(seconds: number) {
  return { seconds: BigInt(seconds), nanos: 0 };
}

describe('what is told', () => {
  test('a token is told of through its life, with what it is at present for as long as there is one', async () => {
    const watching = await watchTokens();
    const token = await world.issue('owner-a');
    await describeAs(token, 'new');
    const events = await watching.until(({ type }) => type === UPDATED);
    expect(brief(events)).toEqual([
      [CREATED, token.id],
      [UPDATED, token.id],
    ]);
    const { accountId, userId, id: profileId } = world.profileOf('owner-a');
    expect(events[1]).toMatchObject({
      hashedId: token.hashedId,
      recordLocator: token.recordLocator,
      keyId: token.keyId,
      token: { name: token.name, description: 'new', keyId: token.keyId },
      accountId,
      userId,
      userProfileId: profileId,
    });
    expect(existing(events[1]).revision).toBeGreaterThan(existing(events[0]).revision);
    expect(watching.last.revision).toBe(existing(events[1]).revision);
    await world.admin.tokens.revokeToken({ selector: byId(token) });
    const [deleted, ...more] = await watching.until(({ type }) => type === DELETED);
    expect(deleted).toMatchObject({ tokenId: token.id, keyId: token.keyId, accountId, userId });
    expect(deleted?.token).toBeUndefined();
    expect(more).toEqual([]);
    await watching.close();
  });

  test('use is no change', async () => {
    const token = await world.issue('owner-a');
    const watching = await watchTokens();
    await execute(world.database.url, 'UPDATE tokens SET last_used_at = now()');
    await describeAs(token, 'after');
    expect(brief(await watching.until(() => true))).toEqual([[UPDATED, token.id]]);
    await watching.close();
  });

  test('a change of what owns tokens is told to those whom it may concern', async () => {
    const { profile } = await world.issueTo();
    const [own, foreign] = [await watchTokens(world.as('staff-a')), await watchTokens(world.as('staff-b'))];
    await world.admin.accounts.updateUser({
      selector: byId({ id: profile.userId }),
      user: { isActive: false },
      updateMask: ['is_active'],
    });
    const [event] = await own.until(() => true);
    expect(event).toMatchObject({
      type: TokenEventType.TOKEN_EVENT_TYPE_OWNER_CHANGED,
      tokenId: 0n,
      userId: profile.userId,
      userProfileId: 0n,
      accountId: 0n,
    });
    const ofB = await world.issue('staff-b');
    expect(brief(await foreign.until(() => true))).toEqual([[CREATED, ofB.id]]);
    await Promise.all([own.close(), foreign.close()]);
  });

  test('silence is broken at the interval that is asked for, with the revision up to which nothing was missed', async () => {
    const watching = await watchTokens(world.as('staff-b'), { heartbeatInterval: secondsOf(1) });
    const begun = watching.last.revision;
    await world.issue('owner-a');
    await expect
      .poll(async () => (await watching.next()).revision, { timeout: 20_000 })
      .toBeGreaterThan(begun);
    expect(watching.last.events).toEqual([]);
    await watching.close();
  });
});

describe('going on', () => {
  test('a client that goes and comes back at random, at any replica, sees every change exactly once and in order', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => world.issue('owner-a')));
    await manyTokens(MANY);
    const clients = [world.admin, world.client(world.adminToken, other)];
    const first = await watchTokens();
    const begun = first.last;
    await first.close();
    let isWriting = true;
    const writers = Promise.all([
      ...clients.map(async (client) => {
        for (let round = 0; round < ROUNDS; round += 1) {
          await describeAs(existing(made[(round * 5) % made.length]), `round ${round}`, client);
          if (round % 4 === 0) await world.issue('owner-a');
        }
      }),
      ...['description', 'manifest_path'].map(async (column) => {
        // Some change more than a message holds.
        for (let round = 0; round < ROUNDS / 2; round += 1) {
          await execute(
            world.database.url,
            `UPDATE tokens SET ${column} = $1 WHERE id % $2 = 0 AND name LIKE 'many-%'`,
            [`round ${round}`, 1 + (round % 3)],
          );
        }
      }),
    ]).finally(() => (isWriting = false));
    const seen: [bigint, bigint, TokenEventType][] = [];
    let { resumeToken, revision } = begun;
    let times = 0;
    /** hasMore tells whether something is left to be seen; what is written is read after it has been asked. */
    const hasMore = async () => {
      const mayBeMore = isWriting;
      return (await latestRevision()) > revision || mayBeMore;
    };
    for (; await hasMore(); times += 1) {
      const client = existing(clients[Math.floor(Math.random() * clients.length)]);
      const watching = await watchTokens(client, {
        start: { $case: 'resumeToken', value: resumeToken },
        heartbeatInterval: secondsOf(1),
      });
      for (let left = Math.floor(Math.random() * 20); left > 0; left -= 1) {
        const { events } = await watching.next();
        seen.push(
          ...events.map((event): [bigint, bigint, TokenEventType] => [
            event.revision,
            event.tokenId,
            event.type,
          ]),
        );
      }
      ({ resumeToken, revision } = watching.last);
      await watching.close();
    }
    await writers;
    expect(times).toBeGreaterThan(2);
    const types = { created: CREATED, updated: UPDATED, deleted: DELETED };
    const kept = (await execute(
      world.database.url,
      `SELECT revision::text, c ->> 'id' AS id, c ->> 'op' AS op
       FROM change_feed, jsonb_array_elements(changes) WITH ORDINALITY AS each (c, place)
       WHERE revision > $1 AND c ->> 'kind' = 'token' ORDER BY change_feed.revision, place`,
      [String(begun.revision)],
    )) as { revision: string; id: string; op: keyof typeof types }[];
    expect(seen.length).toBeGreaterThan(2 * MANY);
    expect(seen).toEqual(kept.map(({ revision: of, id, op }) => [BigInt(of), BigInt(id), types[op]]));
  });

  test('a revision does as well, and 0 is the beginning of all', async () => {
    const { revision } = (await watchTokens()).last;
    const token = await world.issue('owner-a');
    const watching = await watchTokens(world.admin, { start: { $case: 'revision', value: revision } });
    expect(brief(await watching.until(() => true))).toEqual([[CREATED, token.id]]);
    await watching.close();
    const all = await watchTokens(world.admin, { start: { $case: 'revision', value: 0n } });
    expect(existing((await all.until(() => true))[0]).revision).toBeLessThan(revision);
    await all.close();
  });

  test('from before what is kept is refused with the oldest revision, from what was never reached with the latest', async () => {
    const latest = await latestRevision();
    const from = (value: bigint) => ({ start: { $case: 'revision', value } as const });
    await expect(watchTokens(world.admin, from(latest + 1n))).rejects.toMatchObject({
      codeName: 'FAILED_PRECONDITION',
      reason: 'REVISION_IN_FUTURE',
      metadata: new Map([['latest_revision', String(latest)]]),
    });
    await execute(world.database.url, 'DELETE FROM change_feed WHERE revision < $1', [String(latest)]);
    await expect(watchTokens(world.admin, from(0n))).rejects.toMatchObject({
      codeName: 'FAILED_PRECONDITION',
      reason: 'REVISION_TOO_OLD',
      metadata: new Map([['oldest_revision', String(latest - 1n)]]),
    });
    await (await watchTokens(world.admin, from(latest - 1n))).close();
  });
});

describe('rights', () => {
  test('what is not of the own accounts or of the platform is not told, nor that it was deleted', async () => {
    const ofA = await watchTokens(world.as('staff-a'));
    const foreign = await world.issue('staff-b');
    await describeAs(foreign, 'changed');
    await world.admin.tokens.revokeToken({ selector: byId(foreign) });
    const platform = await world.issue('staff-platform');
    await world.admin.tokens.revokeToken({ selector: byId(platform) });
    const own = await world.issue('owner-a');
    expect(brief(await ofA.until(({ tokenId }) => tokenId === own.id))).toEqual([
      [CREATED, platform.id],
      [DELETED, platform.id],
      [CREATED, own.id],
    ]);
    await ofA.close();
  });

  test('rights that end meanwhile end what is told', async () => {
    const { plaintext, profile } = await world.issueTo({ isSuperuser: true });
    const watching = await watchTokens(world.client(plaintext));
    const foreign = await world.issue('staff-b');
    expect(brief(await watching.until(() => true))).toEqual([[CREATED, foreign.id]]);
    await world.admin.accounts.updateUser({
      selector: byId({ id: profile.userId }),
      user: { isSuperuser: false },
      updateMask: ['is_superuser'],
    });
    await describeAs(foreign, 'not told');
    const own = await world.issue('owner-a');
    const events = await watching.until(({ tokenId }) => tokenId === own.id);
    expect(events.map(({ tokenId }) => tokenId)).not.toContain(foreign.id);
    await watching.close();
  });

  test('a watch ends when its credentials do', async () => {
    const revoked = await world.issue('owner-a');
    const inactive = await world.issueTo();
    const narrowed = await world.issue('owner-a');
    const expiring = await world.issue('owner-a', { expiry: { $case: 'ttl', value: secondsOf(3600) } });
    const watches = await Promise.all(
      [revoked, inactive, narrowed, expiring].map(({ plaintext }) =>
        watchTokens(world.client(plaintext, other), { heartbeatInterval: secondsOf(1) }),
      ),
    );
    const ends = watches.map((watching) => watching.end());
    await world.admin.tokens.revokeToken({ selector: byId(revoked) });
    expect(await ends[0]).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
    await world.admin.accounts.updateUser({
      selector: byId({ id: inactive.profile.userId }),
      user: { isActive: false },
      updateMask: ['is_active'],
    });
    expect(await ends[1]).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
    await world.admin.tokens.updateToken({
      selector: byId(narrowed),
      token: { scopes: ['keyward.tokens.validate'] },
      updateMask: ['scopes'],
    });
    expect(await ends[2]).toBe('PERMISSION_DENIED SCOPE_MISSING');
    world.clock.advance(3_600_001);
    expect(await ends[3]).toBe('UNAUTHENTICATED CREDENTIALS_REFUSED');
  });
});

describe('what ends watches', () => {
  test('a service that stops does not wait for them, and says so', async () => {
    const server = await startTestServer({
      databaseUrl: world.database.url,
      clock: world.clock,
      env: { KEYWARD_SHUTDOWN_SECONDS: '60' },
    });
    const watching = await watchTokens(world.client(world.adminToken, server));
    const end = watching.end();
    await server.stop();
    expect(await end).toBe('UNAVAILABLE STOPPING');
  });

  test('a database that is lost', async () => {
    const proxy = await startTcpProxy(world.database.url);
    const server = await startTestServer({ databaseUrl: proxy.url, clock: world.clock });
    const client = world.client(world.adminToken, server);
    const watching = await watchTokens(client);
    const { resumeToken } = watching.last;
    proxy.cut();
    expect(await watching.end()).toBe('UNAVAILABLE DATABASE_UNAVAILABLE');
    expect(await outcomeOf(watchTokens(client))).toBe('UNAVAILABLE DATABASE_UNAVAILABLE');
    const missed = await world.issue('owner-a');
    proxy.mend();
    const again = () => watchTokens(client, { start: { $case: 'resumeToken', value: resumeToken } });
    await expect.poll(() => outcomeOf(again()), { timeout: 20_000 }).toBe('OK');
    expect(brief(await (await again()).until(() => true))).toEqual([[CREATED, missed.id]]);
    await server.stop();
    await proxy.close();
  });
});

async function latestRevision(): Promise<bigint> {
  const [row] = await execute(world.database.url, 'SELECT max(revision)::text AS latest FROM change_feed');
  return BigInt(String(row?.['latest']));
}

/** manyTokens makes tokens of a member of account A by SQL alone, in one transaction. */
async function manyTokens(count: number): Promise<void> {
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1, 'many-' || n FROM generate_series(1, $2::int) AS n RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(id::text::bytea), id, '' FROM made`,
    [String(world.profileOf('owner-a').id), count],
  );
}
