import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Head, Notice, Session, SessionEvents } from '../../../src/coherence/ports.js';
import { SessionConnector } from '../../../src/coherence/session-repository.js';
import { digestFromBytes } from '../../../src/crypto/digest.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { digestOfToken, insertTokens, OWNER_ROWS } from '../../support/token-rows.js';

const TIMEOUT_MS = 500;
/** Within which a loss must be noticed: the time for one statement, and some for a busy machine. */
const NOTICED_MS = TIMEOUT_MS + 1_000;
const TERMS = { ttlMs: 3_000, maxStaleMs: 60_000, applied: undefined };

/** What a replica without clients tells of itself. */
const ALONE = { version: '0.1.0', clients: 0, groups: [] };

let database: TestDatabase;
let proxy: TcpProxy;
let admin: pg.Client;

/** Follower is a session with what it was told. */
class Follower {
  readonly replica = randomUUID();
  readonly notices: Notice[] = [];
  readonly acknowledged: [string, Head][] = [];
  readonly lost = vi.fn<(error: Error) => void>();
  readonly events: SessionEvents = {
    onNotice: (notice) => this.notices.push(notice),
    onAcknowledged: (replica, { epoch, revision }) => this.acknowledged.push([replica, { epoch, revision }]),
    onLost: this.lost,
  };

  async connect(url = database.url): Promise<Session> {
    const session = await new SessionConnector(url, '0123456789abcdef', () => ALONE).connect(
      this.replica,
      this.events,
      TIMEOUT_MS,
    );
    opened.push(session);
    return session;
  }
}

let opened: Session[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  proxy = await startTcpProxy(database.url);
  admin = new pg.Client({ connectionString: database.url });
  await admin.connect();
  await admin.query(OWNER_ROWS);
  await insertTokens(admin, 1, 3);
});

afterAll(async () => {
  await admin.end();
  await proxy.close();
  await database.drop();
});

let follower: Follower;

beforeEach(() => {
  follower = new Follower();
});

afterEach(() => {
  proxy.mend();
  for (const session of opened) session.close();
  opened = [];
});

async function changeToken(id: number): Promise<void> {
  await admin.query('UPDATE tokens SET is_active = NOT is_active WHERE id = $1', [id]);
}

/** backendOf is the process that serves the follower's session, which must be the only one. */
async function backendOf(): Promise<number> {
  const { rows } = await admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'keyward-listener'`,
  );
  expect(rows).toHaveLength(1);
  return rows[0]?.pid ?? 0;
}

describe('a session', () => {
  test('tells of each change by its keys, once it is committed, and of nothing before it listened', async () => {
    await changeToken(1);
    const session = await follower.connect();
    const { epoch, revision: before } = await session.head();
    await session.listen();
    await changeToken(2);
    await expect.poll(() => follower.notices).toHaveLength(1);
    expect(follower.notices).toEqual([
      {
        epoch,
        revision: before + 1n,
        eviction: {
          everything: false,
          digests: [digestFromBytes(Buffer.from(digestOfToken(2), 'hex'))],
          owners: { userIds: [], accountIds: [], profileIds: [] },
          secretIds: [],
        },
        writers: [],
      },
    ]);
    expect(await session.head()).toMatchObject({ epoch, revision: before + 1n });
  });

  test('reads from the feed what it was told, and knows what is gone', async () => {
    const session = await follower.connect();
    await session.listen();
    const { epoch, revision: before } = await session.head();
    const noticesAfter = (revision: bigint, upTo: bigint) => session.noticesAfter({ epoch, revision }, upTo);
    for (const id of [1, 2, 3]) await changeToken(id);
    await expect.poll(() => follower.notices).toHaveLength(3);
    expect(await noticesAfter(before, before + 3n)).toEqual(follower.notices);
    expect(await noticesAfter(before + 1n, before + 2n)).toEqual([follower.notices[1]]);
    expect(await noticesAfter(before + 3n, before + 3n)).toEqual([]);
    expect(await noticesAfter(before, before + 4n)).toBe('pruned');
    await admin.query('DELETE FROM change_feed WHERE revision <= $1', [String(before + 1n)]);
    expect(await noticesAfter(before, before + 3n)).toBe('pruned');
    expect(await noticesAfter(before + 1n, before + 3n)).toHaveLength(2);
  });

  test('registers the replica by the clock of the database, and signs it off', async () => {
    const session = await follower.connect();
    const registered = async (): Promise<unknown[]> => {
      const { rows } = await admin.query<Record<string, unknown>>(
        `SELECT extract(epoch FROM lease_expires_at - clock_timestamp())::float8 AS left, applied,
           extract(epoch FROM max_stale)::float8 AS stale FROM replicas WHERE id = $1`,
        [follower.replica],
      );
      return rows;
    };
    expect(await session.renew(TERMS)).toBe(1n);
    expect(await registered()).toEqual([{ left: expect.closeTo(3, 0) as number, applied: '0', stale: 60 }]);
    const { epoch } = await session.head();
    const terms = { ttlMs: 9_000.5, maxStaleMs: 0 };
    expect(await session.renew({ ...terms, applied: { epoch, revision: 7n } })).toBe(2n);
    expect(await registered()).toEqual([{ left: expect.closeTo(9, 0) as number, applied: '7', stale: 0 }]);
    // What was applied in another epoch tells nothing of this one.
    await session.renew({ ...terms, applied: { epoch: randomUUID(), revision: 9n } });
    expect(await registered()).toMatchObject([{ applied: '0' }]);
    await session.leave();
    expect(await registered()).toEqual([]);
  });

  test('makes its registration durable even where the database is set not to wait for that', async () => {
    const url = new URL(database.url);
    url.searchParams.set('options', '-c synchronous_commit=off');
    const session = await follower.connect(url.href);
    const flushed = async (): Promise<unknown> =>
      (await admin.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn')).rows[0]?.lsn;
    const inserted = async (): Promise<unknown> =>
      (await admin.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn() AS lsn')).rows[0]?.lsn;
    const before = await inserted();
    await session.renew(TERMS);
    const { rows } = await admin.query('SELECT $1::pg_lsn > $2::pg_lsn AS is_flushed', [
      await flushed(),
      before,
    ]);
    expect(rows).toEqual([{ is_flushed: true }]);
  });

  test('acknowledges to those who wait, and to nobody else', async () => {
    const [first, second, third] = [new Follower(), new Follower(), new Follower()];
    for (const writer of [first, second, third]) await (await writer.connect()).listen();
    const session = await follower.connect();
    await session.listen();
    const last = { epoch: randomUUID(), revision: 9_223_372_036_854_775_807n };
    await session.acknowledge([first.replica, second.replica], last, []);
    for (const writer of [first, second]) {
      await expect.poll(() => writer.acknowledged).toEqual([[follower.replica, last]]);
    }
    await session.acknowledge([third.replica], { ...last, revision: 1n }, []);
    await expect.poll(() => third.acknowledged).toEqual([[follower.replica, { ...last, revision: 1n }]]);
    expect(follower.acknowledged).toEqual([]);
  });

  test('takes a notice of a newer form for a change of everything, and is lost with one that cannot be placed', async () => {
    const session = await follower.connect();
    await session.listen();
    await admin.query(
      `SELECT pg_notify('keyward_changes', '{"revision":"7","epoch":"${randomUUID()}","more":[]}')`,
    );
    await expect.poll(() => follower.notices.map(({ eviction }) => eviction.everything)).toEqual([true]);
    await admin.query(`SELECT pg_notify('keyward_changes', 'x')`);
    await expect.poll(() => follower.lost.mock.calls).toHaveLength(1);
    await expect(session.head()).rejects.toThrow();
  });
});

describe('the loss of a session', () => {
  /** lossOf gives the milliseconds until a session under load is lost; all that is under way must be rejected then. */
  async function lossOf(session: Session, cause: () => void): Promise<number> {
    const startedAt = performance.now();
    cause();
    const underWay = await Promise.allSettled([session.head(), session.renew(TERMS), session.head()]);
    expect(underWay.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    const took = performance.now() - startedAt;
    await expect.poll(() => follower.lost.mock.calls).toHaveLength(1);
    await expect(session.head()).rejects.toThrow();
    expect(follower.lost).toHaveBeenCalledTimes(1);
    return took;
  }

  test('is told at once, and once, where the server ends it', async () => {
    const session = await follower.connect();
    await session.listen();
    const pid = await backendOf();
    await admin.query('SELECT pg_terminate_backend($1)', [pid]);
    await expect.poll(() => follower.lost.mock.calls).toHaveLength(1);
    await expect(session.head()).rejects.toThrow();
    expect(follower.lost).toHaveBeenCalledTimes(1);
  });

  test('is told at once where the network says so', async () => {
    const session = await follower.connect(proxy.url);
    await session.listen();
    expect(await lossOf(session, () => proxy.cut())).toBeLessThan(NOTICED_MS);
  });

  test('is noticed by a statement where the server is frozen', async () => {
    const session = await follower.connect();
    await session.listen();
    const pid = await backendOf();
    try {
      expect(await lossOf(session, () => void process.kill(pid, 'SIGSTOP'))).toBeLessThan(NOTICED_MS);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  test('is noticed by a statement where the network is silent', async () => {
    const session = await follower.connect(proxy.url);
    await session.listen();
    expect(await lossOf(session, () => proxy.silence())).toBeLessThan(NOTICED_MS);
    proxy.mend();
    await changeToken(1);
    await (await new Follower().connect()).head();
    expect(follower.notices).toEqual([]);
  });

  test('comes with any statement that fails', async () => {
    const session = await follower.connect();
    expect(
      await lossOf(session, () => {
        session.renew({ ...TERMS, ttlMs: NaN }).catch(() => undefined);
      }),
    ).toBeLessThan(NOTICED_MS);
  });

  test('is not told of a session that was closed', async () => {
    const session = await follower.connect();
    const underWay = Promise.allSettled([session.head(), session.head()]);
    session.close();
    expect((await underWay).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(session.head()).rejects.toThrow();
    expect(follower.lost).not.toHaveBeenCalled();
  });

  test('before there is one is the failure to connect, in limited time', async () => {
    proxy.silence();
    const startedAt = performance.now();
    await expect(follower.connect(proxy.url)).rejects.toThrow();
    expect(performance.now() - startedAt).toBeLessThan(NOTICED_MS);
    proxy.mend();
    proxy.cut();
    await expect(follower.connect(proxy.url)).rejects.toThrow();
    expect(follower.lost).not.toHaveBeenCalled();
  });
});
