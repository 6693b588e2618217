import { join, resolve } from 'node:path';
import { openCluster } from './embedded/cluster.js';
import { Membership } from './embedded/membership.js';
import { DEFAULT_SETTINGS } from './embedded/server.js';
import { socketUrl } from './embedded/socket.js';

export { clusterNameIn } from './embedded/cluster.js';
export { EmbeddedPostgresError } from './embedded/errors.js';
export { upgradeCluster } from './embedded/upgrade.js';

export interface EmbeddedPostgresOptions {
  /** dataDir is where the cluster and its password live; made (mode 0700) if absent. */
  readonly dataDir: string;
  /** settings are extra postgresql.conf settings; they count for whoever starts the server. */
  readonly settings?: Readonly<Record<string, string>>;
  /** onProgress gets lines for people, such as "Creating the database ...". */
  readonly onProgress?: (line: string) => void;
  /** onWarning gets lines about what is amiss although the database runs. */
  readonly onWarning?: (line: string) => void;
  /** signal breaks the start off, and leaves nothing running that the start began. */
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** url names the database `keyward` by way of its socket; it holds the password, and requires SCRAM. */
  readonly url: string;
  /** created is true when this call made the cluster. */
  readonly created: boolean;
  /** stop leaves the server, and stops it if nobody else uses it. Calling it again waits for the same. */
  stop(): Promise<void>;
}

const { signal: NEVER } = new AbortController();

/**
 * startEmbeddedPostgres gives a real PostgreSQL without any configuration: it makes the cluster of `dataDir`
 * on first use, joins a server that already runs on it (a crash of Keyward leaves one), or starts one. The
 * server stays until the last of its users has called `stop`.
 *
 * @throws EmbeddedPostgresError with what to do about it
 */
export async function startEmbeddedPostgres({
  dataDir,
  settings,
  onProgress = () => undefined,
  onWarning = () => undefined,
  signal = NEVER,
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const directory = resolve(dataDir);
  const allSettings = { ...DEFAULT_SETTINGS, ...settings };
  const cluster = await openCluster(directory, allSettings, { onProgress, onWarning, signal });
  const logFile = join(directory, 'postgres.log');
  const membership = await Membership.join({ cluster, settings: allSettings, logFile, onProgress }, signal);
  return {
    url: socketUrl(cluster, membership.socketDirectory, 'keyward'),
    created: cluster.created,
    stop: () => membership.leave(),
  };
}
