import type { ChildProcess } from 'node:child_process';
import { memoryOf, residentBytes, startKeyward, stop } from './processes.js';
import { startLoad } from './scenario.js';
import { KEY } from './secrets.js';

const BATCH = 200;

/** MillionResult is what a table full of tokens costs. */
export interface MillionResult {
  readonly tokens: number;
  /** Until the service is SERVING, its embedded PostgreSQL included. */
  readonly startSeconds: number;
  readonly residentBytesBeforeTraffic: number;
  /** With all tokens in memory: the growth after garbage collection. */
  readonly heapBytesPerEntry: number;
  readonly residentBytesPerEntry: number;
}

/** measureMillion starts the service on a data directory whose database holds `tokens` tokens, and fills its cache. */
export async function measureMillion(dataDir: string, tokens: number): Promise<MillionResult> {
  const settings = {
    KEYWARD_DATA_DIR: dataDir,
    KEYWARD_FERNET_KEYS: KEY,
    KEYWARD_CACHE_TTL_SECONDS: '86400',
    KEYWARD_CACHE_MAX_ENTRIES: String(tokens),
  };
  const plain = await startKeyward(settings);
  const residentBytesBeforeTraffic = residentBytes(plain.process);
  await stop(plain);

  const server = await startKeyward(settings, { probe: true });
  try {
    const load = await startLoad(server, {
      path: '/keyward.token.v1.TokenService/BatchValidateTokens',
      connections: 4,
      inFlight: 1,
      asked: { tokens, batch: BATCH },
    });
    const before = await memoryOf(server.process);
    await load.run({ calls: tokens / BATCH });
    const after = await settledMemoryOf(server.process);
    load.close();
    return {
      tokens,
      startSeconds: plain.startMs / 1000,
      residentBytesBeforeTraffic,
      heapBytesPerEntry: (after.heapUsed - before.heapUsed) / tokens,
      residentBytesPerEntry: (after.rss - before.rss) / tokens,
    };
  } finally {
    await stop(server);
  }
}

/** settledMemoryOf waits until what a load leaves behind, such as times of use to be written, is gone. */
async function settledMemoryOf(server: ChildProcess): Promise<{ heapUsed: number; rss: number }> {
  let before = await memoryOf(server);
  for (let checks = 0; checks < 60; checks += 1) {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    const now = await memoryOf(server);
    if (Math.abs(now.heapUsed - before.heapUsed) < before.heapUsed / 1000) return now;
    before = now;
  }
  throw new Error('the memory of the server does not come to rest');
}
