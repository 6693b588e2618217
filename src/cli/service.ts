import type { Config } from '../config.js';
import { ChangeFeedRepository } from '../coherence/change-feed-repository.js';
import type { Keyring } from '../crypto/keyring.js';
import { openDatabase } from '../db/knex.js';
import { systemClock } from '../lib/clock.js';
import { startServer } from '../server.js';
import type { ProbeSource } from '../telemetry/probe-server.js';
import type { Logger } from '../telemetry/logger.js';
import { Workers } from './serve/workers/workers.js';

/** Service is what serves gRPC: this process, or the workers that it starts. */
export interface Service extends ProbeSource {
  readonly port: number;
  /** Port of the listener of gateways; undefined for none. */
  readonly gatewayPort: number | undefined;
  /** failure resolves if the service ended by itself. */
  readonly failure: Promise<Error>;
  /** reload reads the files of TLS anew, for the connections to come; it rejects if they do not fit. */
  reload(): Promise<void>;
  stop(): Promise<void>;
}

/** What a worker gets beyond the time for calls and one for the database, to write what is in memory. */
const SPARE_STOP_SECONDS = 5;

/** startService starts as many processes as are wanted; for one, this process serves. */
export function startService(
  config: Config,
  databaseUrl: string,
  keyring: Keyring,
  logger: Logger,
): Promise<Service> {
  return config.workers === 1
    ? serveHere(config, databaseUrl, keyring, logger)
    : serveByWorkers(config, databaseUrl, logger);
}

async function serveHere(
  config: Config,
  databaseUrl: string,
  keyring: Keyring,
  logger: Logger,
): Promise<Service> {
  const server = await startServer({ config, databaseUrl, keyring, clock: systemClock, logger });
  if (config.httpListen !== undefined) server.metrics.watchProcess();
  return {
    port: server.port,
    gatewayPort: server.gatewayPort,
    failure: new Promise(() => undefined),
    readiness: () => Promise.resolve(server.readiness()),
    metrics: () => server.metrics.text(),
    reload: () => server.reload(),
    stop: () => server.stop(),
  };
}

function serveByWorkers(config: Config, databaseUrl: string, logger: Logger): Promise<Service> {
  const { shutdownSeconds, databaseTimeoutSeconds } = config;
  return Workers.start({
    count: config.workers,
    listen: config.listen,
    gatewayListen: config.gatewayListen,
    databaseUrl,
    stopLimitMs: (shutdownSeconds + databaseTimeoutSeconds + SPARE_STOP_SECONDS) * 1000,
    logger,
    onWorkerDeath: ({ worker, replicaId, code, signal, reason }) => {
      logger.error({ worker, replica: replicaId, code, signal, reason }, 'a worker ended');
      removeReplica(databaseUrl, databaseTimeoutSeconds * 1000, replicaId).catch((error: unknown) => {
        logger.warn(
          { err: error, worker },
          'the replica of the dead worker could not be deregistered; changes wait until its lease ends',
        );
      });
    },
  });
}

/** removeReplica keeps changes from waiting for a process that is dead. */
async function removeReplica(url: string, timeoutMs: number, replicaId: string): Promise<void> {
  const knex = openDatabase({
    url,
    poolSize: 1,
    connectTimeoutMs: timeoutMs,
    statementTimeoutMs: timeoutMs,
  });
  try {
    await new ChangeFeedRepository(knex).remove(replicaId);
  } finally {
    await knex.destroy();
  }
}
