import { systemClock } from '../../../lib/clock.js';
import { startServer, type RunningServer } from '../../../server.js';
import type { Readiness } from '../../../telemetry/probe-server.js';
import { createLogger } from '../../../telemetry/logger.js';
import type { MetricsSnapshot } from '../../../telemetry/metrics.js';
import { openKeyring } from '../../keyring.js';
import { readConfig } from '../../read-config.js';
import type { FromWorker, StartOrder, ToWorker, WorkerAnswers } from './messages.js';

/**
 * A worker of `keyward serve`: the service, on the port that it shares with the other workers. It starts and stops
 * when the main process says so. It ends by itself when the main process is gone: node:cluster sees to that.
 */
const config = readConfig(process.env);
let logger = createLogger(config.logLevel);
let starting: Promise<RunningServer> | undefined;
let server: RunningServer | undefined;
let isStopping = false;

process.on('message', (message: ToWorker) => {
  if (message.type === 'start') void begin(message);
  else if (message.type === 'stop') void end();
  else if (message.type === 'reload') void reload();
  else void answer(message.id, message.about);
});
process.on('SIGTERM', () => void end());
// What a terminal sends reaches all processes; the main process decides what becomes of it.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
send({ type: 'ready' });

async function begin({ worker, replicaId, databaseUrl, port, gatewayPort }: StartOrder): Promise<void> {
  logger = logger.child({ worker });
  const own = {
    ...config,
    listen: { ...config.listen, port },
    gatewayListen: config.gatewayListen && { ...config.gatewayListen, port: gatewayPort ?? 0 },
  };
  try {
    const keyring = await openKeyring(config);
    starting = startServer({ config: own, databaseUrl, keyring, clock: systemClock, logger, replicaId });
    server = await starting;
    if (config.httpListen !== undefined) server.metrics.watchProcess();
    send({ type: 'listening' });
  } catch (error) {
    send({ type: 'failed', reason: error instanceof Error ? error.message : String(error) }, () => {
      process.exit(1);
    });
  }
}

/** end stops in order; calls under way end first. */
async function end(): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  try {
    await (await starting)?.stop();
    process.exit(0);
  } catch (error) {
    logger.error({ err: error }, 'the worker did not stop in order');
    process.exit(1);
  }
}

/** reload goes on with what it has where the files do not fit. */
async function reload(): Promise<void> {
  await server?.reload().catch((error: unknown) => {
    logger.error({ err: error }, 'the files of TLS were not read anew');
  });
}

async function answer(id: number, about: keyof WorkerAnswers): Promise<void> {
  try {
    send({ type: 'answer', id, value: about === 'readiness' ? readiness() : await snapshot() });
  } catch (error) {
    logger.warn({ err: error }, 'metrics could not be told');
  }
}

function readiness(): Readiness {
  return server?.readiness() ?? { status: 'NOT_SERVING', reason: 'starting' };
}

async function snapshot(): Promise<MetricsSnapshot> {
  return (await server?.metrics.snapshot()) ?? [];
}

function send(message: FromWorker, sent: () => void = () => undefined): void {
  // Without a main process there is no channel, and this process is about to end.
  process.send?.(message, undefined, undefined, sent);
}
