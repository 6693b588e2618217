import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { VerdictReason, type KeywardClient, type Propagation } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { BACK_UP, RESTORE } from '../../support/restore.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { Watching } from '../../support/watching.js';
import { existing, World, type Issued } from '../../support/world.js';

/** Strict, so that every change that returns says whether it is complete. */
const STRICT = { KEYWARD_MAX_STALE_SECONDS: '0' };

let world: World;
let proxy: TcpProxy;
/** Another replica than the one that makes the changes; its listening goes through the proxy. */
let other: KeywardClient;
let tokens: Issued[];

beforeAll(async () => {
  world = await World.create(STRICT);
  proxy = await startTcpProxy(world.database.url);
  const urls = { DATABASE_URL: world.database.url, DATABASE_LISTEN_URL: proxy.url };
  const server = await world.startServer({ ...STRICT, ...urls });
  other = world.client(world.adminToken, server);
});

afterAll(async () => {
  await world.close();
  await proxy.close();
});

beforeEach(async () => {
  tokens = [];
  for (let made = 0; made < 3; made += 1) tokens.push(await world.issue('owner-a'));
});

/** run takes several statements. */
async function run(statements: string): Promise<void> {
  await execute(world.database.url, statements);
}

const backUp = () => run(BACK_UP);
const restore = () => run(RESTORE);

/** seenBy is what a replica says of the tokens. */
async function seenBy(client: KeywardClient): Promise<string[]> {
  const answers = await Promise.all(
    tokens.map(({ plaintext }) => client.tokens.validateToken({ token: plaintext })),
  );
  return answers.map(({ reason }) => VerdictReason[reason].replace('VERDICT_REASON_', ''));
}

/** known makes the other replica remember the tokens. */
async function known(): Promise<void> {
  for (let time = 0; time < 2; time += 1) expect(await seenBy(other)).toEqual(['OK', 'OK', 'OK']);
}

/** moveOn makes changes that a restore takes back, of which the other replica has heard when it returns. */
async function moveOn(): Promise<void> {
  for (let made = 0; made < 5; made += 1) {
    const { propagation } = await world.admin.tokens.deactivateToken({
      selector: byId(await world.issue('owner-a')),
    });
    expect(propagation).toMatchObject({ complete: true });
  }
}

/** deactivateAll switches each token off, and asks the other replica as soon as that says to be complete. */
async function deactivateAll(): Promise<Propagation[]> {
  const told: Propagation[] = [];
  for (const [place, token] of tokens.entries()) {
    const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(token) });
    told.push(existing(propagation));
    if (propagation?.complete === true) expect((await seenBy(other))[place]).toBe('INACTIVE');
  }
  return told;
}

const CUTS: Readonly<Record<string, () => Promise<void>>> = {
  'the database was restored': restore,
  'the feed was truncated': () => run('TRUNCATE change_feed'),
  'the feed was deleted': () => run('DELETE FROM change_feed'),
  'the end of the feed was deleted': () =>
    run('DELETE FROM change_feed WHERE revision > (SELECT max(revision) - 3 FROM change_feed)'),
};

test.each(Object.entries(CUTS))(
  'after %s the other replica refuses what is off when that is complete, and all changes become so',
  async (_what, cut) => {
    await backUp();
    await moveOn();
    await known();
    await cut();
    const told = await deactivateAll();
    expect(told).toMatchObject([{ complete: true }, { complete: true }, { complete: true }]);
    expect(told.at(-1)).toMatchObject({ acknowledged: 1, pending: 0 });
    expect(await seenBy(other)).toEqual(['INACTIVE', 'INACTIVE', 'INACTIVE']);
  },
);

test('after a restore a replica that hears nothing is waited for, although no registration tells of its lease', async () => {
  await backUp();
  await moveOn();
  await execute(world.database.url, 'DELETE FROM backup.replicas');
  await known();
  proxy.silence();
  await restore();
  const told = await deactivateAll();
  proxy.mend();
  expect(told).toMatchObject([{ complete: true }, { complete: true }, { complete: true }]);
});

test('a watch from before a restore ends, and does not go on in the other history where its revision comes again', async () => {
  await backUp();
  await moveOn();
  const watching = await Watching.begin(world.admin.tokens.watchTokens({}));
  const { resumeToken } = watching.last;
  await restore();
  await moveOn();
  await expect(watching.until(() => false)).rejects.toMatchObject({
    codeName: 'FAILED_PRECONDITION',
    reason: 'EPOCH_CHANGED',
  });
  for (const client of [world.admin, other]) {
    const again = client.tokens.watchTokens({ start: { $case: 'resumeToken', value: resumeToken } });
    await expect(Watching.begin(again)).rejects.toMatchObject({ reason: 'EPOCH_CHANGED' });
  }
  await (await Watching.begin(world.admin.tokens.watchTokens({}))).close();
});

test('a registration that lies ahead, as after a clock was set back, is waited for no longer than a lease, and once', async () => {
  await moveOn();
  const ahead = randomUUID();
  await execute(
    world.database.url,
    `INSERT INTO replicas (id, lease_expires_at, max_stale, applied, epoch, renewals)
     SELECT $1, clock_timestamp() + interval '10 minutes', '0', 0, epoch, 1 FROM keyward_epoch()`,
    [ahead],
  );
  const [first, ...others] = await deactivateAll();
  await execute(world.database.url, 'DELETE FROM replicas WHERE id = $1', [ahead]);
  expect(first).toMatchObject({ complete: true, waited: { seconds: 3n } });
  expect(others).toMatchObject([{ waited: { seconds: 0n } }, { waited: { seconds: 0n } }]);
});
