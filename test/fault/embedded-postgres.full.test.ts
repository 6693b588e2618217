import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { makeDataDir, removeDataDir, unfinishedIn } from '../support/data-dir.js';
import { killOwnerDuringCreation, startOwner } from '../support/embedded-owner.js';
import { childrenOf, isAlive, postmasterOf, untilGone } from '../support/postmaster.js';
import { execute } from '../support/sql.js';

let dataDir: string;

beforeEach(async () => {
  dataDir = await makeDataDir();
});

afterEach(async () => {
  await removeDataDir(dataDir);
});

const commitRow = async (url: string, value: string) => {
  await execute(url, 'CREATE TABLE IF NOT EXISTS kept (value text)');
  await execute(url, 'INSERT INTO kept VALUES ($1)', [value]);
};
const rowsIn = (url: string) => execute(url, 'SELECT value FROM kept ORDER BY value');

describe('the embedded database', () => {
  it('outlives a kill -9 of its owner, and the next start adopts it with everything committed', async () => {
    const owner = await startOwner(dataDir);
    await commitRow(owner.url, 'acknowledged');
    const pid = await postmasterOf(dataDir);
    await owner.kill();
    expect(isAlive(pid)).toBe(true);

    const next = await startEmbeddedPostgres({ dataDir });
    expect(next.created).toBe(false);
    expect(next.url).toBe(owner.url);
    expect(await postmasterOf(dataDir)).toBe(pid);
    expect(await rowsIn(next.url)).toEqual([{ value: 'acknowledged' }]);

    await next.stop();
    await untilGone(pid);
  });

  it('does not hold up for ever who starts or stops while its server stands still', async () => {
    const owner = await startOwner(dataDir);
    await commitRow(owner.url, 'acknowledged');
    const pid = await postmasterOf(dataDir);
    await owner.kill();
    const user = await startEmbeddedPostgres({ dataDir });
    const all = [pid, ...(await childrenOf(pid))];
    for (const each of all) process.kill(each, 'SIGSTOP');
    try {
      await expect(startEmbeddedPostgres({ dataDir })).rejects.toThrow();
      await user.stop();
      expect(isAlive(pid)).toBe(true);
    } finally {
      for (const each of all) if (isAlive(each)) process.kill(each, 'SIGCONT');
    }
    const next = await startEmbeddedPostgres({ dataDir });
    expect(await rowsIn(next.url)).toEqual([{ value: 'acknowledged' }]);
    await next.stop();
    await untilGone(pid);
  }, 120_000);

  it('is made afresh after a kill -9 in the middle of its creation, and nothing of the first try stays', async () => {
    const mark = await killOwnerDuringCreation(dataDir);
    const database = await startEmbeddedPostgres({ dataDir });
    try {
      expect(database.created).toBe(true);
      expect(await execute(database.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect((await unfinishedIn(dataDir)).filter((name) => name.includes(mark))).toEqual([]);
    } finally {
      await database.stop();
    }
  });

  it('comes back after a kill -9 of its owner and of PostgreSQL, with everything committed', async () => {
    const owner = await startOwner(dataDir);
    await commitRow(owner.url, 'acknowledged');
    const pid = await postmasterOf(dataDir);
    await owner.kill();
    process.kill(pid, 'SIGKILL');

    const next = await startEmbeddedPostgres({ dataDir });
    try {
      expect(await postmasterOf(dataDir)).not.toBe(pid);
      expect(await rowsIn(next.url)).toEqual([{ value: 'acknowledged' }]);
    } finally {
      await next.stop();
    }
  });

  it('comes back at the same address under its user when PostgreSQL is killed', async () => {
    const lines: string[] = [];
    const database = await startEmbeddedPostgres({ dataDir, onProgress: (line) => lines.push(line) });
    try {
      await commitRow(database.url, 'acknowledged');
      process.kill(await postmasterOf(dataDir), 'SIGKILL');
      await expect
        .poll(() => rowsIn(database.url).catch(() => 'down'), { timeout: 20_000 })
        .toEqual([{ value: 'acknowledged' }]);
      await expect.poll(() => lines).toContain('The embedded database is back.');
    } finally {
      const pid = await postmasterOf(dataDir);
      await database.stop();
      await untilGone(pid);
    }
  });

  it('can be told to stop at the moment PostgreSQL dies', async () => {
    const database = await startEmbeddedPostgres({ dataDir });
    const pid = await postmasterOf(dataDir);
    process.kill(pid, 'SIGKILL');
    await database.stop();
    await untilGone(pid);
  });

  it('survives the loss of the session that counts its user, and still stops with it', async () => {
    const database = await startEmbeddedPostgres({ dataDir });
    const membership = "FROM pg_stat_activity WHERE application_name = 'keyward-membership'";
    const pid = await postmasterOf(dataDir);
    await execute(database.url, `SELECT pg_terminate_backend(pid) ${membership}`);
    await expect
      .poll(() => execute(database.url, `SELECT count(*)::int AS count ${membership}`), { timeout: 10_000 })
      .toEqual([{ count: 1 }]);
    expect(await postmasterOf(dataDir)).toBe(pid);
    await database.stop();
    await untilGone(pid);
  });

  it('is one server for two processes that create it at the same moment; the last one out stops it', async () => {
    const [one, other] = await Promise.all([startOwner(dataDir), startOwner(dataDir)]);
    expect(one.url).toBe(other.url);
    expect([one.created, other.created].sort()).toEqual([false, true]);
    const pid = await postmasterOf(dataDir);
    await commitRow(one.url, 'seen by both');

    expect(await one.stop()).toBe(0);
    expect(isAlive(pid)).toBe(true);
    expect(await rowsIn(other.url)).toEqual([{ value: 'seen by both' }]);

    expect(await other.stop()).toBe(0);
    await untilGone(pid);
  });

  it('stops when its last two users leave at the same moment', async () => {
    const users = await Promise.all([1, 2, 3].map(() => startEmbeddedPostgres({ dataDir })));
    const pid = await postmasterOf(dataDir);
    await Promise.all(users.map((user) => user.stop()));
    await untilGone(pid);
  });

  it('lets in a user who comes while the last one leaves', async () => {
    let present = await startEmbeddedPostgres({ dataDir });
    for (let round = 0; round < 5; round += 1) {
      const [next] = await Promise.all([startEmbeddedPostgres({ dataDir }), present.stop()]);
      expect(await execute(next.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      present = next;
    }
    await present.stop();
  });

  it('answers after Ctrl-C until its owner has finished with it', async () => {
    const owner = await startOwner(dataDir);
    const pid = await postmasterOf(dataDir);
    expect(await owner.interruptGroup()).toEqual({ answersAfterInterrupt: true });
    expect(await owner.exited).toBe(0);
    await untilGone(pid);
  });
});
