import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TokenConsumers } from '../../../src/client/index.js';
import { ReleasedReferences } from '../../../src/db/reference-repository.js';
import { newestEvent, readEvents } from '../../support/audit.js';
import { byId } from '../../support/requests.js';
import { outcomeOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { connectTo } from '../../support/stored-secrets.js';
import { Watching } from '../../support/watching.js';
import { existing, World, type Issued } from '../../support/world.js';

const BOT = { kind: 'llm_client.api_key', consumer: 'support-bot' };
const JOB = { kind: 'job', consumer: 'nightly' };

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

/** held makes a token of account A that a bot and a job hold. */
async function held(request = {}): Promise<Issued> {
  const token = await world.issue('owner-a', request);
  for (const consumer of [BOT, JOB]) {
    await world.admin.tokens.attachReference({ selector: byId(token), ...consumer });
  }
  return token;
}

function inShort(consumers: TokenConsumers | undefined): string[] {
  return [
    ...(consumers?.references ?? []).map(({ kind, consumer }) => `${kind}=${consumer}`),
    String(consumers?.count ?? 0n),
  ];
}

const BOTH = ['llm_client.api_key=support-bot', 'job=nightly', '2'];

async function listed(token: Issued, filter = ''): Promise<string[]> {
  const { references } = await world.as('staff-a').tokens.listReferences({ token: byId(token), filter });
  return references.map(({ kind, consumer }) => `${kind}=${consumer}`);
}

test('what is attached is listed once, in order, until it is detached', async () => {
  const token = await held();
  const { tokens } = world.as('staff-a');
  const again = await tokens.attachReference({ selector: byId(token), ...BOT });
  expect(again.reference).toMatchObject(BOT);
  expect(await listed(token)).toEqual(BOTH.slice(0, 2));
  expect(await listed(token, 'consumer : "NIGHT"')).toEqual(['job=nightly']);
  await tokens.detachReference({ selector: byId(token), ...BOT });
  expect(await outcomeOf(tokens.detachReference({ selector: byId(token), ...BOT }))).toBe(
    'NOT_FOUND NOT_FOUND',
  );
  expect(await listed(token)).toEqual(['job=nightly']);
});

test('a token has at most a thousand references', async () => {
  const token = await world.issue('owner-a');
  await execute(
    world.database.url,
    "INSERT INTO token_references (token_id, kind, consumer) SELECT $1, 'job', n FROM generate_series(1, 1000) n",
    [String(token.id)],
  );
  const attach = (consumer: string) =>
    outcomeOf(world.admin.tokens.attachReference({ selector: byId(token), kind: 'job', consumer }));
  expect(await attach('1001')).toBe('FAILED_PRECONDITION TOO_MANY_REFERENCES');
  expect(await attach('1000')).toBe('OK');
});

test('a reference changes neither the etag of a token nor what a watch tells', async () => {
  const token = await world.issue('owner-a');
  const etag = async () => existing((await world.admin.tokens.getToken({ token: byId(token) })).token).etag;
  const before = await etag();
  await world.admin.tokens.attachReference({ selector: byId(token), ...BOT });
  expect(await etag()).toBe(before);
});

describe('who holds a token is told', () => {
  test.each([
    ['when it is revoked', 'TOKEN_DELETED', (selector) => world.admin.tokens.revokeToken({ selector })],
    [
      'when it is switched off',
      'TOKEN_DEACTIVATED',
      (selector) => world.admin.tokens.deactivateToken({ selector }),
    ],
    [
      'when it is toggled off',
      'TOKEN_DEACTIVATED',
      (selector) => world.admin.tokens.toggleToken({ selector }),
    ],
    ['when it is rotated', 'TOKEN_ROTATED', (selector) => world.admin.tokens.rotateToken({ selector })],
    [
      'when its expiry is moved to earlier',
      'TOKEN_EDITED',
      (selector) =>
        world.admin.tokens.updateToken({
          selector,
          token: { expiresAt: { seconds: BigInt(Math.floor(world.clock.now() / 1000) + 60), nanos: 0 } },
          updateMask: ['expires_at'],
        }),
    ],
  ] as const satisfies readonly (readonly [
    string,
    string,
    (selector: ReturnType<typeof byId>) => Promise<{ consumers?: TokenConsumers | undefined }>,
  ])[])('%s', async (_, action, call) => {
    const token = await held();
    const newest = await newestEvent(world.database.url);
    const { consumers } = await call(byId(token));
    expect(inShort(consumers)).toEqual(BOTH);
    const records = await readEvents(world.database.url, newest);
    expect(records.map(({ action: done }) => done)).toEqual([action]);
    expect(records[0]?.detail).toMatchObject({
      consumers: 'llm_client.api_key=support-bot,job=nightly',
      consumer_count: '2',
    });
  });

  test('when all tokens of a user are revoked, and in the record of each', async () => {
    const first = await world.issueTo();
    const owner = byId(first.profile);
    const second = await world.issue('admin', { owner });
    await world.admin.tokens.attachReference({ selector: byId(first), ...BOT });
    await world.admin.tokens.attachReference({ selector: byId(second), ...JOB });
    const newest = await newestEvent(world.database.url);
    const { consumers, revokedCount } = await world.admin.tokens.revokeUserTokens({
      user: { selector: { $case: 'id', value: first.profile.userId } },
    });
    expect(revokedCount).toBe(2);
    expect(inShort(consumers)).toEqual(BOTH);
    const details = (await readEvents(world.database.url, newest)).map(({ detail }) => detail['consumers']);
    expect(details.sort()).toEqual(['job=nightly', 'llm_client.api_key=support-bot']);
  });

  test('in the record when a promotion of its owner switches it off', async () => {
    const { profile, ...token } = await world.issueTo();
    await world.admin.tokens.attachReference({ selector: byId(token), ...BOT });
    const newest = await newestEvent(world.database.url);
    await world.admin.accounts.updateUser({
      selector: { selector: { $case: 'id', value: profile.userId } },
      user: { isSuperuser: true },
      updateMask: ['is_superuser'],
    });
    const records = await readEvents(world.database.url, newest);
    expect(records.find(({ action }) => action === 'TOKEN_DEACTIVATED')?.detail).toEqual({
      cause: 'owner_promoted',
      consumers: 'llm_client.api_key=support-bot',
      consumer_count: '1',
    });
  });

  test('never when a call takes nothing from them', async () => {
    const token = await held({ isActive: false });
    const { tokens } = world.admin;
    const selector = byId(token);
    const toggled = await tokens.toggleToken({ selector });
    expect(toggled.consumers).toBeUndefined();
    const edited = await tokens.updateToken({
      selector,
      token: { description: 'x' },
      updateMask: ['description'],
    });
    expect(edited.consumers).toBeUndefined();
    const newest = await newestEvent(world.database.url);
    await tokens.renameToken({ selector, newName: world.newName() });
    expect((await readEvents(world.database.url, newest)).map(({ detail }) => detail)).toEqual([{}]);
  });

  test('as the first ten and their number, however many and however long', async () => {
    const token = await world.issue('owner-a');
    const { tokens } = world.admin;
    const consumers = Array.from({ length: 12 }, (_, index) => `${index}-${'é'.repeat(250)}`);
    for (const consumer of consumers) {
      await tokens.attachReference({ selector: byId(token), kind: 'k', consumer });
    }
    const newest = await newestEvent(world.database.url);
    const revoked = existing((await tokens.revokeToken({ selector: byId(token) })).consumers);
    expect(revoked.count).toBe(12n);
    expect(revoked.references.map(({ consumer }) => consumer)).toEqual(consumers.slice(0, 10));
    const [record] = await readEvents(world.database.url, newest);
    expect(record?.detail['consumer_count']).toBe('12');
    expect(Buffer.byteLength(existing(record?.detail['consumers']))).toBeLessThanOrEqual(2000);
  });

  test('by GetToken and ListReferences after it has expired, too', async () => {
    const token = await held({ expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } } });
    world.clock.advance(61_000);
    const { consumers } = await world.as('staff-a').tokens.getToken({ token: byId(token) });
    expect(inShort(consumers)).toEqual(BOTH);
    expect(await listed(token)).toEqual(BOTH.slice(0, 2));
  });
});

describe('a watch tells who held a token', () => {
  const WAYS: Readonly<Record<string, (token: Issued) => Promise<unknown>>> = {
    'that was revoked': (token) => world.admin.tokens.revokeToken({ selector: byId(token) }),
    'that was switched off': (token) => world.admin.tokens.deactivateToken({ selector: byId(token) }),
    'that another program deleted': (token) =>
      execute(world.database.url, 'DELETE FROM tokens WHERE id = $1', [String(token.id)]),
  };

  test.each(Object.keys(WAYS))('%s', async (way) => {
    const token = await held();
    const watch = await Watching.begin(world.as('staff-a').tokens.watchTokens({}));
    await existing(WAYS[way])(token);
    const events = await watch.until(({ tokenId }) => tokenId === token.id);
    expect(inShort(events.at(-1)?.consumers)).toEqual(BOTH);
    await watch.close();
  });

  test('to nobody who may not read the token', async () => {
    const token = await held();
    const later = await world.issue('staff-b');
    const watch = await Watching.begin(world.as('staff-b').tokens.watchTokens({}));
    await world.admin.tokens.revokeToken({ selector: byId(token) });
    await world.admin.tokens.revokeToken({ selector: byId(later) });
    const events = await watch.until(({ tokenId }) => tokenId === later.id);
    expect(events.map(({ tokenId }) => tokenId)).toEqual([later.id]);
    await watch.close();
  });

  test('for as long as it may tell that it is gone, and no longer', async () => {
    const { url } = world.database;
    const gone = await held();
    const young = await held();
    for (const token of [gone, young]) await world.admin.tokens.revokeToken({ selector: byId(token) });
    await execute(
      url,
      "UPDATE released_tokens SET released_at = now() - interval '26 hours' WHERE token_id = $1",
      [String(gone.id)],
    );
    const knex = connectTo(url, 1);
    await new ReleasedReferences(knex).prune();
    await knex.destroy();
    const rows = await execute(
      url,
      'SELECT DISTINCT token_id::text FROM token_references WHERE token_id = ANY ($1)',
      [[String(gone.id), String(young.id)]],
    );
    expect(rows).toEqual([{ token_id: String(young.id) }]);
  });
});

test('ListTokens finds tokens by the kinds and the number of those who hold them', async () => {
  const [none, both] = [await world.issue('owner-a'), await held()];
  const one = await world.issue('owner-a');
  await world.admin.tokens.attachReference({ selector: byId(one), ...JOB });
  const find = async (filter: string) => {
    const ids = [none, one, both].map(({ id }) => id);
    const { tokens } = await world.as('staff-a').tokens.listTokens({ filter, pageSize: 1000 });
    return tokens.map(({ id }) => id).filter((id) => ids.includes(id));
  };
  expect(await find('reference_kind = "llm_client.api_key"')).toEqual([both.id]);
  expect(await find('reference_kind != "llm_client.api_key" AND reference_kind = job')).toEqual([one.id]);
  expect(await find('reference_kind = null')).toEqual([none.id]);
  expect(await find('reference_count >= 1')).toEqual([both.id, one.id]);
  expect(await find('reference_count = 0')).toEqual([none.id]);
});
