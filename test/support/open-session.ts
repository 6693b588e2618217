import pg from 'pg';
import { expect } from 'vitest';

/** OpenSession is a session of its own, to hold locks with. */
export interface OpenSession {
  query(text: string, values?: readonly string[]): Promise<unknown>;
  /** untilSomebodyWaits waits until another session waits for a lock that this one holds. */
  untilSomebodyWaits(): Promise<void>;
  close(): Promise<void>;
}

export async function openSession(url: string): Promise<OpenSession> {
  const [session, looker] = [new pg.Client(url), new pg.Client(url)];
  // The database may be dropped while they are open, if the test fails.
  for (const each of [session, looker]) each.on('error', () => undefined);
  await Promise.all([session.connect(), looker.connect()]);
  const pid = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return {
    query: (text, values = []) => session.query(text, [...values]),
    untilSomebodyWaits: () =>
      expect
        .poll(
          async () => {
            const { rows } = await looker.query<{ count: number }>(
              'SELECT count(*)::int AS count FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))',
              [pid.rows[0]?.pid],
            );
            return rows[0]?.count;
          },
          { timeout: 20_000 },
        )
        .toBeGreaterThan(0),
    close: async () => {
      await Promise.all([session.end(), looker.end()]);
    },
  };
}
