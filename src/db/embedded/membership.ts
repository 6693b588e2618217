import { realpath } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../../lib/errno.js';
import { DatabaseClient } from '../database-client.js';
import type { Cluster } from './cluster.js';
import { EmbeddedPostgresError } from './errors.js';
import type { Settings } from './program.js';
import { discardStaleLocks, readPidFile, spawnPostmaster, stopServer, type PidFile } from './server.js';
import { sizeOf, whyNotStarted } from './server-log.js';
import {
  checkSocketDirectory,
  prepareSocketDirectory,
  removeSocketDirectory,
  socketUrl,
  urlOf,
} from './socket.js';
import { USERS_LOCK } from '../advisory-locks.js';

const POLL_MS = 25;

/** START_LIMIT_MS bounds a start in which PostgreSQL does not answer at all. */
const START_LIMIT_MS = 15_000;

/** RECOVERY_LIMIT_MS bounds a start in which PostgreSQL answers that it is still replaying its log. */
const RECOVERY_LIMIT_MS = 300_000;

/** SESSION_LIMIT_MS bounds a statement of a session, with the wait for a user who stops the server. */
const SESSION_LIMIT_MS = 10_000;

/** CANNOT_CONNECT_NOW: the server is starting, recovering or stopping. */
const CANNOT_CONNECT_NOW = '57P03';

/** INVALID_PASSWORD: trying again would not help. */
const INVALID_PASSWORD = '28P01';

export interface MembershipOptions {
  readonly cluster: Cluster;
  readonly settings: Settings;
  readonly logFile: string;
  readonly onProgress: (line: string) => void;
}

/**
 * Membership is one process's use of a cluster's server: the first in starts the server, the last one out
 * stops it. Users count themselves by a shared advisory lock on a session of their own, which PostgreSQL
 * releases whatever ends them, kill -9 included. While a membership lasts, a server that goes away is started
 * again, at the same place.
 */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #leaving = new AbortController();
  #session: DatabaseClient | undefined;
  #rejoining: Promise<void> = Promise.resolve();
  #left: Promise<void> | undefined;

  private constructor(
    options: MembershipOptions,
    session: DatabaseClient,
    /** directory of the socket that the server listens on. */
    readonly socketDirectory: string,
  ) {
    this.#options = options;
    this.#hold(session);
  }

  /**
   * join adopts the cluster's running server, whoever started it, or starts one.
   *
   * @throws EmbeddedPostgresError where the server neither starts nor can be adopted
   */
  static async join(options: MembershipOptions, signal: AbortSignal): Promise<Membership> {
    const { session, socketDirectory } = await enterOrStart(options, undefined, signal);
    return new Membership(options, session, socketDirectory);
  }

  /**
   * leave ends the use, and stops the server where nobody else uses it. Calling it again waits for the same.
   *
   * @throws EmbeddedPostgresError where the server does not stop
   */
  leave(): Promise<void> {
    return (this.#left ??= this.#leave());
  }

  async #leave(): Promise<void> {
    this.#leaving.abort();
    await this.#rejoining;
    const session = this.#session;
    if (!session) return;
    const { cluster } = this.#options;
    try {
      if (await this.#isLastUser(session)) {
        await stopServer(cluster.path);
        await removeSocketDirectory(cluster, this.socketDirectory);
      }
    } finally {
      await session.end();
    }
  }

  async #isLastUser(session: DatabaseClient): Promise<boolean> {
    try {
      return await isLastUser(session);
    } catch (error) {
      // The server died first; whoever finds it next starts it, and nothing is left to stop here.
      this.#options.onProgress(`The embedded database was already gone: ${messageOf(error)}`);
      return false;
    }
  }

  #hold(session: DatabaseClient): void {
    this.#session = session;
    session.once('end', () => {
      this.#session = undefined;
      if (!this.#leaving.signal.aborted) this.#rejoining = this.#rejoin();
    });
  }

  async #rejoin(): Promise<void> {
    const { onProgress } = this.#options;
    const { signal } = this.#leaving;
    onProgress('The embedded database went away; starting it again ...');
    while (!signal.aborted) {
      try {
        const { session, socketDirectory } = await enterOrStart(this.#options, this.socketDirectory, signal);
        this.#hold(session);
        onProgress(
          socketDirectory === this.socketDirectory
            ? 'The embedded database is back.'
            : `The embedded database is back in ${socketDirectory} instead of ${this.socketDirectory}: restart Keyward.`,
        );
        return;
      } catch (error) {
        if (this.#leaving.signal.aborted) return;
        onProgress(`The embedded database is not back: ${messageOf(error)}`);
        await delay(1_000);
      }
    }
  }
}

/** enterOrStart repeats until it is in: of several that start a server, PostgreSQL lets one, and the others follow. */
async function enterOrStart(
  { cluster, settings, logFile }: MembershipOptions,
  previousDirectory: string | undefined,
  signal: AbortSignal,
): Promise<{ session: DatabaseClient; socketDirectory: string }> {
  const begin = performance.now();
  let deadline = begin + START_LIMIT_MS;
  let started: Awaited<ReturnType<typeof spawnPostmaster>> | undefined;
  let starts = 0;
  let directory: string | undefined;
  let cause: unknown;
  const logBegin = await sizeOf(logFile);
  try {
    while (performance.now() < deadline) {
      signal.throwIfAborted();
      const pidFile = await readPidFile(cluster.path);
      if (pidFile?.isRunning) {
        try {
          const entered = await enter(cluster, pidFile);
          if (entered !== undefined) return entered;
        } catch (error) {
          if (hasCode(error, INVALID_PASSWORD)) throw error;
          if (hasCode(error, CANNOT_CONNECT_NOW)) {
            deadline = Math.min(performance.now() + START_LIMIT_MS, begin + RECOVERY_LIMIT_MS);
          }
          cause = error;
        }
      } else if (!started?.isRunning()) {
        // The directory of a server that crashed: those that used it find it there again.
        const previous = previousDirectory ?? pidFile?.socketDirectory;
        directory = await prepareSocketDirectory(cluster, previous);
        if (pidFile) await discardStaleLocks(cluster.path, pidFile, directory);
        started = await spawnPostmaster(cluster, settings, directory, logFile);
        starts += 1;
      }
      // Starts that fail one after the other come ever less often.
      await delay(POLL_MS * Math.max(1, starts));
    }
    if (cause instanceof EmbeddedPostgresError) throw cause;
    const why = (await whyNotStarted(logFile, logBegin)) ?? (cause === undefined ? '' : messageOf(cause));
    throw new EmbeddedPostgresError(
      `The embedded database does not start: ${why === '' ? 'its server says nothing' : why} (${logFile}).`,
      cause === undefined ? {} : { cause },
    );
  } catch (error) {
    await started?.stopAtOnce();
    if (directory !== undefined) await removeSocketDirectory(cluster, directory);
    if (!hasCode(error, INVALID_PASSWORD)) throw error;
    throw new EmbeddedPostgresError(
      'The embedded database refuses the password in its data directory: bring back the postgres-password ' +
        'that belongs to it.',
      { cause: error },
    );
  }
}

/** enter opens a session on the server that runs, if it listens already; one of an earlier version it stops first. */
async function enter(
  cluster: Cluster,
  { socketDirectory, port }: PidFile,
): Promise<{ session: DatabaseClient; socketDirectory: string } | undefined> {
  if (port !== undefined) await retire(cluster, port);
  if (socketDirectory === undefined) return undefined;
  await checkSocketDirectory(cluster, socketDirectory);
  // Advisory locks are per database, and this one can neither be dropped nor is it a template of others.
  return {
    session: await openSession(cluster, socketUrl(cluster, socketDirectory, 'postgres')),
    socketDirectory,
  };
}

/**
 * retire stops a server that an earlier version of Keyward left running on a port of 127.0.0.1, which any program
 * of this machine can take over once the server is gone. Whoever has the port now learns nothing: SCRAM is
 * required there too.
 *
 * @throws EmbeddedPostgresError while a Keyward of that version still uses it
 */
async function retire(cluster: Cluster, port: number): Promise<void> {
  const session = await openSession(cluster, urlOf(cluster, '127.0.0.1', port, 'postgres'));
  try {
    if (!(await isLastUser(session))) {
      throw new EmbeddedPostgresError(
        'A Keyward of an earlier version uses this database: stop it, then start this one.',
      );
    }
    await stopServer(cluster.path);
  } finally {
    await session.end();
  }
}

/** openSession opens a session, makes sure that it is this cluster's server, and counts this process among its users. */
async function openSession(cluster: Cluster, url: string): Promise<DatabaseClient> {
  const session = new DatabaseClient({
    connectionString: url,
    application_name: 'keyward-membership',
    connectionTimeoutMillis: 5_000,
    limitMs: SESSION_LIMIT_MS,
    // Only a user that is stopping the server has the lock to itself, and the stop ends this session.
    lock_timeout: 5_000,
  });
  // What ends a session is seen by its 'end' or by the query under way; an unheard 'error' ends the process.
  session.on('error', () => undefined);
  try {
    await session.connect();
    const { rows } = await session.query<{ data_directory: string }>('SHOW data_directory');
    const served = rows[0]?.data_directory;
    if (served === undefined || (await realpath(served)) !== cluster.path) {
      throw new EmbeddedPostgresError(`The server that answers serves ${served}, not ${cluster.path}.`);
    }
    await session.query('SELECT pg_advisory_lock_shared($1)', [USERS_LOCK]);
    return session;
  } catch (error) {
    await session.end();
    throw error;
  }
}

/** isLastUser gives this user's share up; on true it keeps newcomers waiting until the server has stopped. */
async function isLastUser(session: DatabaseClient): Promise<boolean> {
  await session.query('SELECT pg_advisory_unlock_shared($1)', [USERS_LOCK]);
  const { rows } = await session.query<{ last: boolean }>('SELECT pg_try_advisory_lock($1) AS last', [
    USERS_LOCK,
  ]);
  return rows[0]?.last === true;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
