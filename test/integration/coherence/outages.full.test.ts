import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KeywardClient, Propagation, ValidateTokenResponse } from '../../../src/client/index.js';
import { createTestDatabase } from '../../support/database.js';
import { keyward } from '../../support/keyward-command.js';
import { byId } from '../../support/requests.js';
import { outcomeOf } from '../../support/rpc.js';
import { startTestServer, type TestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { existing, World, type Issued } from '../../support/world.js';

const LEASE_MS = 3_000;
const MAX_STALE_MS = 2_000;
/** A busy machine runs things late; and what is asked in the end may wait for a silent database. */
const LATE_MS = 5_000;
const UNAVAILABLE = 'UNAVAILABLE DATABASE_UNAVAILABLE';

let world: World;
let proxy: TcpProxy;
/** The replica whose database is taken away; the world's own keeps it. */
let cutOff: TestServer;
let client: KeywardClient;
let token: Issued;

beforeAll(async () => {
  world = await World.create();
  proxy = await startTcpProxy(world.database.url);
});

afterAll(async () => {
  await proxy.close();
  await world.close();
});

afterEach(async () => {
  proxy.mend();
  client.close();
  await cutOff.stop();
});

async function startCutOff(maxStaleSeconds: number): Promise<void> {
  cutOff = await startTestServer({
    databaseUrl: proxy.url,
    clock: world.clock,
    env: { KEYWARD_MAX_STALE_SECONDS: String(maxStaleSeconds), KEYWARD_DATABASE_TIMEOUT_SECONDS: '1' },
  });
  client = world.client(world.adminToken, cutOff);
  token = await world.issue('owner-a');
  // That it was made is a change too; it is on its way until this returns.
  const { propagation } = await world.admin.tokens.activateToken({ selector: byId(token) });
  expect(propagation).toMatchObject({ complete: true, acknowledged: 1 });
  expect(await ask()).toBe('valid');
}

/** ask is what the replica answers about the token. */
async function ask(plaintext = token.plaintext): Promise<string> {
  let answer: ValidateTokenResponse | undefined;
  const outcome = await outcomeOf(
    client.tokens.validateToken({ token: plaintext }).then((response) => (answer = response)),
  );
  if (answer === undefined) return outcome;
  return `${answer.stale ? 'stale ' : ''}${answer.valid ? 'valid' : 'refused'}`;
}

interface Observation {
  readonly askedAt: number;
  readonly answer: string;
}

/** until asks, one question after the other, until the answer is the expected one, and gives all of them. */
async function until(answer: string, limitMs: number): Promise<Observation[]> {
  const seen: Observation[] = [];
  await vi.waitFor(
    async () => {
      const askedAt = Date.now();
      seen.push({ askedAt, answer: await ask() });
      expect(seen.at(-1)?.answer).toBe(answer);
    },
    { interval: 5, timeout: limitMs },
  );
  return seen;
}

async function deactivate(): Promise<Propagation> {
  const { propagation } = await world.admin.tokens.deactivateToken({ selector: byId(token) });
  return existing(propagation);
}

function milliseconds(
  { seconds, nanos }: { seconds: bigint; nanos: number } = { seconds: 0n, nanos: 0 },
): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

function answersOf(seen: readonly Observation[]): string[] {
  return [...new Set(seen.map(({ answer }) => answer))];
}

describe('a replica in strict mode that loses its database', () => {
  beforeEach(() => startCutOff(0));

  test.each(['cut', 'silence'] as const)(
    'answers by its lease and refuses from its end on, and a change meanwhile is complete then (%s)',
    async (fault) => {
      proxy[fault]();
      expect(await ask()).toBe('valid');
      const lost = Date.now();
      const change = deactivate().then((propagation) => ({ propagation, returnedAt: Date.now() }));
      const seen = await until(UNAVAILABLE, LEASE_MS + LATE_MS);
      expect(answersOf(seen)).toEqual(['valid', UNAVAILABLE]);
      expect(existing(seen.at(-1)).askedAt - lost).toBeLessThan(LEASE_MS + 500);
      const { propagation, returnedAt } = await change;
      expect(propagation).toMatchObject({ complete: true, acknowledged: 0, pending: 0 });
      expect(propagation.effectiveBy).toBeUndefined();
      expect(milliseconds(propagation.waited)).toBeLessThan(LEASE_MS + 500);
      expect(seen.filter(({ askedAt, answer }) => askedAt > returnedAt && answer === 'valid')).toEqual([]);
      expect(await ask()).toBe(UNAVAILABLE);
      proxy.mend();
      await until('refused', 5_000);
    },
  );

  test('a second change that finds nothing to do waits as long, since the first is not complete', async () => {
    proxy.silence();
    const [first, second] = [deactivate(), deactivate()];
    await until(UNAVAILABLE, LEASE_MS + LATE_MS);
    for (const { complete, waited } of [await first, await second]) {
      expect(complete).toBe(true);
      expect(milliseconds(waited)).toBeGreaterThan(1_000);
    }
  });
});

test('changes that wait for a replica hold no connection', async () => {
  await startCutOff(0);
  const writer = await world.startServer({ KEYWARD_DATABASE_POOL_SIZE: '2' });
  const { tokens } = world.client(world.adminToken, writer);
  proxy.silence();
  let returned = 0;
  const changes = Array.from({ length: 5 }, async () => {
    const { propagation } = await tokens.deactivateToken({ selector: byId(token) });
    returned += 1;
    return propagation;
  });
  const waiting = "SELECT FROM audit_events WHERE action = 'TOKEN_DEACTIVATED' AND resource_id = $1";
  await expect
    .poll(() => execute(world.database.url, waiting, [String(token.id)]), { timeout: 2_000 })
    .not.toEqual([]);
  await Promise.all(Array.from({ length: 5 }, () => tokens.listTokens({})));
  expect(returned).toBe(0);
  for (const propagation of await Promise.all(changes)) expect(propagation).toMatchObject({ complete: true });
  await writer.stop();
});

describe('a replica that may answer stale and loses its database', () => {
  beforeEach(() => startCutOff(MAX_STALE_MS / 1000));

  test.each(['cut', 'silence'] as const)(
    'marks its answers, then refuses, and a change meanwhile tells when that is (%s)',
    async (fault) => {
      proxy[fault]();
      const change = deactivate();
      expect(answersOf(await until('stale valid', LEASE_MS + LATE_MS))).toEqual(['valid', 'stale valid']);
      const propagation = await change;
      const effectiveBy = milliseconds(propagation.effectiveBy);
      expect(propagation).toMatchObject({ complete: false, acknowledged: 0, pending: 1 });
      expect(milliseconds(propagation.waited)).toBeLessThan(LEASE_MS + 500);
      expect(effectiveBy).toBeGreaterThan(Date.now());
      expect(effectiveBy).toBeLessThan(Date.now() + MAX_STALE_MS * 1.1);
      const seen = await until(UNAVAILABLE, MAX_STALE_MS + LATE_MS);
      expect(answersOf(seen)).toEqual(['stale valid', UNAVAILABLE]);
      expect(seen.filter(({ askedAt, answer }) => askedAt > effectiveBy && answer !== UNAVAILABLE)).toEqual(
        [],
      );
      proxy.mend();
      expect(answersOf(await until('refused', 5_000))).not.toContain('valid');
      await expect.poll(() => cutOff.metric('keyward_coherence_lease_held'), { timeout: 5_000 }).toBe(1);
      expect(await deactivate()).toMatchObject({ complete: true, acknowledged: 1 });
    },
  );

  test('never answers stale about a text that it did not know, nor for a caller in anything but validation', async () => {
    const unknown = await ask('unknown');
    expect(unknown).toBe('refused');
    const { plaintext } = await world.issue('owner-a');
    proxy.cut();
    await until('stale valid', LEASE_MS + LATE_MS);
    expect(await ask('unknown')).toBe(UNAVAILABLE);
    expect(await ask(plaintext)).toBe(UNAVAILABLE);
    expect(await outcomeOf(client.tokens.listTokens({}))).toBe(UNAVAILABLE);
    proxy.mend();
    await until('valid', 5_000);
    expect(await outcomeOf(client.tokens.listTokens({}))).toBe('OK');
  });

  test('forgets what changed meanwhile before it answers by a lease again', async () => {
    proxy.cut();
    await until('stale valid', LEASE_MS + LATE_MS);
    await deactivate();
    proxy.mend();
    const seen = await until('refused', 5_000);
    expect(answersOf(seen)).not.toContain('valid');
  });
});

test('keyward validate tells that a verdict is stale, and only then', async () => {
  await startCutOff(60);
  const env = { KEYWARD_SERVER: cutOff.address, KEYWARD_TOKEN: world.adminToken };
  const validate = async () =>
    JSON.parse(await keyward(['validate', '--json', token.plaintext], { env })) as object;
  const verdict = await validate();
  expect(Object.keys(verdict)).toEqual(['valid', 'reason', 'keyId', 'username', 'accountNumber']);
  proxy.cut();
  await until('stale valid', LEASE_MS + LATE_MS);
  expect(await validate()).toEqual({ ...verdict, stale: true });
});

describe('a replica that loses only the session on which it listens', () => {
  test('goes on with fresh answers from the database', async () => {
    await startCutOff(0);
    const listenOnly = await startTcpProxy(world.database.url);
    const server = await world.startServer({
      KEYWARD_MAX_STALE_SECONDS: '0',
      DATABASE_URL: world.database.url,
      DATABASE_LISTEN_URL: listenOnly.url,
    });
    const { tokens } = world.client(world.adminToken, server);
    const asked = async () => (await tokens.validateToken({ token: token.plaintext })).valid;
    expect(await asked()).toBe(true);
    listenOnly.cut();
    await vi.waitFor(
      async () => {
        expect(await server.metric('keyward_coherence_lease_held')).toBe(0);
        expect(await asked()).toBe(true);
      },
      { interval: 50, timeout: LEASE_MS + LATE_MS },
    );
    await deactivate();
    expect(await asked()).toBe(false);
    listenOnly.mend();
    await expect.poll(() => server.metric('keyward_coherence_lease_held'), { timeout: 5_000 }).toBe(1);
    expect(await server.metric('keyward_coherence_reconnects_total')).toBeGreaterThan(0);
    await server.stop();
    await listenOnly.close();
  });
});

test('a replica that listens in another database never answers from memory, and says why', async () => {
  await startCutOff(0);
  const elsewhere = await createTestDatabase();
  const server = await world.startServer({
    DATABASE_URL: world.database.url,
    DATABASE_LISTEN_URL: elsewhere.url,
  });
  const { tokens } = world.client(world.adminToken, server);
  expect((await tokens.validateToken({ token: token.plaintext })).valid).toBe(true);
  expect(await server.metric('keyward_coherence_lease_held')).toBe(0);
  expect(server.log()).toContain('in another database than the one in which they are made');
  expect(await deactivate()).toMatchObject({ complete: true });
  expect((await tokens.validateToken({ token: token.plaintext })).valid).toBe(false);
  await server.stop();
  await elsewhere.drop();
});
