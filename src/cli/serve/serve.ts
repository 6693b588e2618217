import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { AuditLog } from '../../audit/audit-log.js';
import { ChainRepository } from '../../audit/chain-repository.js';
import { bootstrap } from '../../admin-bootstrap.js';
import { unknownVariables, type Config } from '../../config.js';
import type { Keyring } from '../../crypto/keyring.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../db/embedded-postgres.js';
import { openDatabase, type Database } from '../../db/knex.js';
import { migrate } from '../../db/migrate.js';
import { systemClock } from '../../lib/clock.js';
import { Closer } from '../../lib/closer.js';
import { addressText } from '../../lib/listen-address.js';
import { millisFromInstant } from '../../lib/instant.js';
import { readPrivately, writePrivately } from '../../lib/private-file.js';
import { readServerTls } from '../../rpc/server-tls.js';
import { createLogger, type Logger } from '../../telemetry/logger.js';
import { digestOf } from '../../crypto/digest.js';
import { VerdictRepository } from '../../token/verdict-repository.js';
import { adminTokenFile } from '../client-options.js';
import { openProbeServer } from '../io/http.js';
import { openKeyring } from '../keyring.js';
import { printText } from '../io/output.js';
import { readConfig } from '../read-config.js';
import { databaseLinkWarnings, environmentNote } from '../io/link-warnings.js';
import { startService, type Service } from '../service.js';
import { aborted, onSignals } from './signals.js';
import { welcome } from './welcome.js';

/** serveCommand is `keyward serve`. */
export function serveCommand(command: Command): void {
  command.action(async () => {
    const config = readConfig(process.env);
    const logger = createLogger(config.logLevel);
    for (const variable of unknownVariables(process.env)) logger.warn({ variable }, 'no such setting');
    const stopping = new AbortController();
    const parts: Parts = {};
    onSignals({
      stop: (signal) => {
        logger.info({ signal }, 'signal');
        stopping.abort(new Error('the service is told to stop'));
      },
      force: (signal) => {
        logger.warn({ signal }, 'stopping at once');
        void endAtOnce(parts);
      },
      reload: () => void reload(parts, logger),
    });
    const closer = new Closer();
    try {
      const service = await run(config, logger, closer, parts, stopping.signal);
      const error = await Promise.race([aborted(stopping.signal), service.failure]);
      if (error !== undefined) throw error;
      logger.info('stopping');
    } catch (error) {
      if (!stopping.signal.aborted) throw error;
      logger.info({ err: error }, 'the start was broken off');
    } finally {
      await closer.close();
    }
    logger.info('stopped');
    // A client that keeps its end of a connection open would keep the process alive.
    process.exit();
  });
}

/** Parts are what signals are passed on to, as far as they are there. */
interface Parts {
  service?: Service;
  database?: EmbeddedPostgres;
}

/** Milliseconds that the embedded database has to stop when everything must end at once. */
const FORCED_STOP_MS = 5_000;

/** endAtOnce waits for nothing but the embedded database, which would go on without this process. */
async function endAtOnce({ database }: Parts): Promise<void> {
  const stopped = database?.stop().catch(() => undefined);
  await Promise.race([stopped, delay(FORCED_STOP_MS)]);
  process.exit(1);
}

async function reload({ service }: Parts, logger: Logger): Promise<void> {
  try {
    await service?.reload();
    logger.info('the files of TLS were read anew');
  } catch (error) {
    logger.error({ err: error }, 'the files of TLS do not fit; those before stay in use');
  }
}

async function run(
  config: Config,
  logger: Logger,
  closer: Closer,
  parts: Parts,
  stopping: AbortSignal,
): Promise<Service> {
  const onWarning = (line: string): void => {
    logger.warn(line);
  };
  databaseLinkWarnings(config).forEach(onWarning);
  const note = environmentNote(config, process.env);
  if (note !== undefined) logger.info(note);
  // What is wrong with them is told before anything is started.
  await readServerTls(config);
  const keyring = await openKeyring(config, onWarning);
  const probes = await openProbeServer(config, process.env, logger);
  closer.add('health and metrics', () => probes?.close());
  const databaseUrl =
    config.databaseUrl?.reveal() ?? (await startEmbedded(config, keyring, logger, closer, parts, stopping));
  stopping.throwIfAborted();
  const service = await startService(config, databaseUrl, keyring, logger);
  parts.service = service;
  closer.add('the service', () => service.stop());
  stopping.throwIfAborted();
  probes?.show(service);
  const address = `${config.listen.host}:${service.port}`;
  const tls = config.tlsCert !== undefined;
  logger.info({ address, tls }, 'listening');
  if (config.gatewayListen !== undefined && service.gatewayPort !== undefined) {
    const gateways = addressText({ ...config.gatewayListen, port: service.gatewayPort });
    logger.info({ address: gateways, tls }, 'listening for gateways');
  }
  if (config.databaseUrl === undefined) printText(welcome(config, service.port));
  return service;
}

/** startEmbedded starts the embedded database, brings it up to date, and makes the admin token if it is not there. */
async function startEmbedded(
  { dataDir }: Config,
  keyring: Keyring,
  logger: Logger,
  closer: Closer,
  parts: Parts,
  stopping: AbortSignal,
): Promise<string> {
  const embedded = await startEmbeddedPostgres({
    dataDir,
    signal: stopping,
    onProgress: (line) => {
      logger.info(line);
    },
    onWarning: (line) => {
      logger.warn(line);
    },
  });
  parts.database = embedded;
  closer.add('the embedded database', () => embedded.stop());
  stopping.throwIfAborted();
  await migrate(embedded.url);
  await ensureAdminToken(dataDir, embedded.url, keyring, (line) => {
    logger.warn(line);
  });
  return embedded.url;
}

/**
 * ensureAdminToken writes the admin token's file if there is none. The file comes last, so that a start that
 * was cut short makes the token anew; a token revoked on purpose stays so while the file is there.
 */
async function ensureAdminToken(
  dataDir: string,
  databaseUrl: string,
  keyring: Keyring,
  onWarning: (line: string) => void,
): Promise<void> {
  const file = adminTokenFile(dataDir);
  const present = readPrivately(file)?.trim();
  const knex = openDatabase({
    url: databaseUrl,
    poolSize: 1,
    connectTimeoutMs: 10_000,
  });
  try {
    if (present !== undefined) {
      const problem = await tokenProblem(knex, present);
      if (problem !== undefined)
        onWarning(`the token in ${file} ${problem}; "keyward bootstrap --reissue" makes a new one`);
      return;
    }
    const audit = new AuditLog({ chains: new ChainRepository(knex), keys: keyring, clock: systemClock });
    const { plaintext } = await bootstrap(knex, audit, { reissue: true });
    if (plaintext === undefined) throw new Error('a bootstrap that reissues gives a plaintext');
    await writePrivately(file, `${plaintext}\n`);
  } finally {
    await knex.destroy();
  }
}

/** tokenProblem tells why a token is refused; undefined if it is not. */
async function tokenProblem(knex: Database, plaintext: string): Promise<string | undefined> {
  const digest = digestOf(plaintext);
  const facts = (await new VerdictRepository(knex).fetch([digest])).get(digest);
  if (facts === undefined) return 'is not known: it was revoked, or replaced';
  const { isActive, expiresAt, owner } = facts;
  if (expiresAt !== null && millisFromInstant(expiresAt) < systemClock.now()) return 'has expired';
  if (!isActive) return 'is switched off';
  return owner.userIsActive && owner.accountIsActive
    ? undefined
    : 'is refused: its user or account is switched off';
}
