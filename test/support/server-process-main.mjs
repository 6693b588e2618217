import { openKeyring } from '../../dist/cli/keyring.js';
import { loadConfig } from '../../dist/config.js';
import { systemClock } from '../../dist/lib/clock.js';
import { createLogger } from '../../dist/telemetry/logger.js';
import { startServer } from '../../dist/server.js';
import { dumpHeap } from './heap-dump.mjs';

/**
 * The service as a process of its own, with its settings from the environment. It tells its port to its parent,
 * answers `memory` with the bytes that are left after a collection, resident and in use, `heap FILE` once all that it holds is in
 * that file, and `stop` by stopping in order.
 */
const config = loadConfig(process.env);
const databaseUrl = config.databaseUrl?.reveal();
if (databaseUrl === undefined) throw new Error('DATABASE_URL must be set');
const keyring = await openKeyring(config);
const logger = createLogger(config.logLevel);
const server = await startServer({ config, databaseUrl, keyring, clock: systemClock, logger });

const HEAP = 'heap ';

process.on('message', (message) => {
  if (message === 'memory') {
    globalThis.gc?.();
    const { rss, heapUsed, external } = process.memoryUsage();
    process.send?.({ memory: rss, used: heapUsed + external });
  } else if (typeof message === 'string' && message.startsWith(HEAP)) {
    dumpHeap(message.slice(HEAP.length));
    process.send?.({});
  } else {
    void server.stop().then(() => process.disconnect());
  }
});
process.send?.({ port: server.port });
