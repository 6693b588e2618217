import { openKeyring } from '../../src/cli/keyring.js';
import { loadConfig } from '../../src/config.js';
import { systemClock } from '../../src/lib/clock.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { startServer } from '../../src/server.js';

/**
 * The service as a process of its own, with its settings from the environment. It tells its port to its parent,
 * answers `memory` with the resident bytes that are left after a collection, and `stop` by stopping in order.
 */
const config = loadConfig(process.env);
const databaseUrl = config.databaseUrl?.reveal();
if (databaseUrl === undefined) throw new Error('DATABASE_URL must be set');
const keyring = await openKeyring(config);
const logger = createLogger(config.logLevel);
const server = await startServer({ config, databaseUrl, keyring, clock: systemClock, logger });

process.on('message', (message) => {
  if (message === 'memory') {
    globalThis.gc?.();
    process.send?.({ memory: process.memoryUsage().rss });
  } else {
    void server.stop().then(() => process.disconnect());
  }
});
process.send?.({ port: server.port });
