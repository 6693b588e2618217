import { execFile } from 'node:child_process';
import { chown, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { openCluster, type Cluster } from '../../../src/db/embedded/cluster.js';
import { DEFAULT_SETTINGS, readPidFile, spawnPostmaster } from '../../../src/db/embedded/server.js';
import { prepareSocketDirectory, socketUrl } from '../../../src/db/embedded/socket.js';
import { makeDataDir, removeDataDir } from '../../support/data-dir.js';
import { childrenOf, isAlive, untilGone } from '../../support/postmaster.js';

const run = promisify(execFile);

const START_LIMIT_MS = 60_000;
const POLL_MS = 25;
const STATEMENT_LIMIT_MS = 5_000;
/** A turn waits for all who read. */
const LONG_STATEMENT_LIMIT_MS = 30_000;
/** Whatever the role and the database have set. */
const OWN_SETTINGS = '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0';
/** Recovery of a copy finds nothing in an archive; it begins another timeline at the end of what is there. */
const RECOVERY = { ...DEFAULT_SETTINGS, restore_command: 'false' };

/** FeedPlace is a place in the change feed: everything up to a revision, in an epoch. */
export interface FeedPlace {
  readonly epoch: string;
  readonly revision: bigint;
}

/** DurablePostgres is a PostgreSQL of the campaign's own that keeps what it acknowledged, and that may be stopped and killed. */
export class DurablePostgres {
  /** The database `keyward`, at the same socket after every start. */
  readonly url: string;
  /** The same, for sessions that obey no setting of the role or the database. */
  readonly #ownUrl: string;
  readonly #cluster: Cluster;
  readonly #dataDir: string;
  readonly #socketDirectory: string;
  #copies = 0;
  #copiedFeed: FeedPlace | undefined;

  private constructor(dataDir: string, cluster: Cluster, socketDirectory: string) {
    this.#dataDir = dataDir;
    this.#cluster = cluster;
    this.#socketDirectory = socketDirectory;
    this.url = socketUrl(cluster, socketDirectory, 'keyward');
    const own = new URL(this.url);
    own.searchParams.set('options', OWN_SETTINGS);
    this.#ownUrl = own.href;
  }

  static async create(): Promise<DurablePostgres> {
    const dataDir = await makeDataDir();
    const cluster = await openCluster(dataDir, DEFAULT_SETTINGS, { onProgress: ignore, onWarning: ignore });
    const postgres = new DurablePostgres(dataDir, cluster, await prepareSocketDirectory(cluster, undefined));
    await postgres.start();
    return postgres;
  }

  /** start waits until it answers, and may be written to. */
  async start(): Promise<void> {
    const log = join(this.#dataDir, 'postgres.log');
    const deadline = performance.now() + START_LIMIT_MS;
    let server: Awaited<ReturnType<typeof spawnPostmaster>> | undefined;
    while (performance.now() < deadline) {
      // It gives up where processes of a killed one are still there.
      if (server?.isRunning() !== true)
        server = await spawnPostmaster(this.#cluster, RECOVERY, this.#socketDirectory, log);
      if (await this.#answers()) return;
      await delay(POLL_MS);
    }
    throw new Error(`PostgreSQL does not start:\n${await readFile(log, 'utf8')}`);
  }

  /** stop ends all sessions, and the server in order. */
  async stop(): Promise<void> {
    const pid = await this.#postmaster();
    process.kill(pid, 'SIGINT');
    await untilGone(pid);
  }

  /** kill ends all its processes as a failure of the machine would. */
  async kill(): Promise<void> {
    const pid = await this.#postmaster();
    const pids = [pid, ...(await childrenOf(pid))];
    for (const each of pids) if (isAlive(each)) process.kill(each, 'SIGKILL');
    for (const each of pids) await untilGone(each);
  }

  /** backends are the idle server processes of the sessions with an application name. */
  async backends(applicationName: string): Promise<number[]> {
    const rows = await this.execute(
      "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle'",
      [applicationName],
    );
    return rows.map(({ pid }) => Number(pid));
  }

  /** execute runs one statement, and fails if that takes long or the server is stopped meanwhile. */
  async execute(statement: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({
      connectionString: this.#ownUrl,
      connectionTimeoutMillis: STATEMENT_LIMIT_MS,
      query_timeout: LONG_STATEMENT_LIMIT_MS,
    });
    // The statement fails as well, or is over.
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<Record<string, unknown>>(statement, [...values]);
      return rows;
    } finally {
      void client.end().catch(() => undefined);
    }
  }

  /** holding keeps a transaction open for a while that has done one statement; others end it by ending the server. */
  async holding(statement: string, durationMs: number): Promise<void> {
    const client = new pg.Client({
      connectionString: this.#ownUrl,
      connectionTimeoutMillis: STATEMENT_LIMIT_MS,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('BEGIN');
      await client.query(statement);
      await delay(durationMs);
    } finally {
      void client.end().catch(() => undefined);
    }
  }

  /** copy keeps a physical copy of the cluster, as for a standby. */
  async copy(): Promise<void> {
    const { path } = this.#cluster;
    const copy = this.#copyPath;
    const [feed] = await this.execute(
      'SELECT epoch::text, (SELECT coalesce(max(revision), 0)::text FROM change_feed) AS revision FROM feed_epoch',
    );
    this.#copiedFeed = { epoch: String(feed?.['epoch']), revision: BigInt(String(feed?.['revision'])) };
    await rm(copy, { recursive: true, force: true });
    const client = new pg.Client({ connectionString: this.#ownUrl });
    await client.connect();
    try {
      await client.query("SELECT pg_backup_start('campaign', true)");
      await run('cp', ['-a', path, copy]);
      const { rows } = await client.query<{ labelfile: string }>(
        'SELECT labelfile FROM pg_backup_stop(false)',
      );
      // What was written while it was copied is needed too.
      await run('cp', ['-a', `${path}/pg_wal/.`, join(copy, 'pg_wal')]);
      await rm(join(copy, 'postmaster.pid'), { force: true });
      await writeFile(join(copy, 'backup_label'), rows[0]?.labelfile ?? '');
      await this.#handOver(join(copy, 'backup_label'));
    } finally {
      await client.end();
    }
  }

  /** copies is how often a copy was put in the place of the cluster. */
  get copies(): number {
    return this.#copies;
  }

  /** copiedFeed is where the feed was when the last copy was begun. What follows in that epoch may be written twice. */
  get copiedFeed(): FeedPlace | undefined {
    return this.#copiedFeed;
  }

  /** replace ends the server, and starts another with the copy; a promoted one begins another timeline. */
  async replace(isPromoted: boolean): Promise<void> {
    const { path } = this.#cluster;
    await this.kill();
    await rm(path, { recursive: true });
    await rename(this.#copyPath, path);
    this.#copies += 1;
    if (isPromoted) {
      await writeFile(join(path, 'recovery.signal'), '');
      await this.#handOver(join(path, 'recovery.signal'));
    }
    await this.start();
  }

  async remove(): Promise<void> {
    if ((await readPidFile(this.#cluster.path))?.isRunning === true) await this.kill();
    await rm(this.#copyPath, { recursive: true, force: true });
    await removeDataDir(this.#dataDir);
  }

  get #copyPath(): string {
    return `${this.#cluster.path}-copy`;
  }

  async #handOver(file: string): Promise<void> {
    const { user } = this.#cluster;
    if (user !== undefined) await chown(file, user.uid, user.gid);
  }

  async #answers(): Promise<boolean> {
    try {
      const [row] = await this.execute('SELECT pg_is_in_recovery() AS recovers');
      return row?.['recovers'] === false;
    } catch {
      return false;
    }
  }

  async #postmaster(): Promise<number> {
    const file = await readPidFile(this.#cluster.path);
    if (file?.isRunning !== true) throw new Error('PostgreSQL does not run');
    return file.pid;
  }
}

function ignore(): void {
  // Nobody reads it.
}
