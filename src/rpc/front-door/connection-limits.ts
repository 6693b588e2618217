import { readFile } from 'node:fs/promises';
import type { Config } from '../../config.js';
import type { Logger } from '../../telemetry/logger.js';

/** ConnectionLimits are those of one process. */
export interface ConnectionLimits {
  readonly inAll: number;
  readonly perPeer: number;
  readonly idleSeconds: number;
  readonly requestSeconds: number;
}

/** Open files beside connections of clients and of the pool: of HTTP, logs, libraries, and connections that are closing. */
const OTHER_FILES = 128;
const LEAST_CONNECTIONS = 16;

/**
 * connectionLimits are what the settings allow, shared among the workers, and lowered where the process may not open so many
 * files: once it can open no more, nobody is served.
 */
export async function connectionLimits(config: Config, logger: Logger): Promise<ConnectionLimits> {
  const wanted = Math.ceil(config.maxConnections / config.workers);
  const openFiles = await mostOpenFiles();
  const possible = Math.max(LEAST_CONNECTIONS, openFiles - config.databasePoolSize - OTHER_FILES);
  if (possible < wanted) {
    logger.warn(
      { wanted, connections: possible, open_files: openFiles },
      'fewer connections than set: the process may not open so many files',
    );
  }
  const inAll = Math.min(wanted, possible);
  return {
    inAll,
    perPeer: Math.min(inAll, Math.ceil(config.maxConnectionsPerPeer / config.workers)),
    idleSeconds: config.idleConnectionSeconds,
    requestSeconds: config.requestTimeoutSeconds,
  };
}

/** mostOpenFiles is the process's own limit; Infinity where it cannot be told. */
async function mostOpenFiles(): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const limit = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return limit === undefined ? Infinity : Number(limit);
}
