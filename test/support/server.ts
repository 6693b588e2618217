import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { loadConfig } from '../../src/config.js';
import { Keyring } from '../../src/crypto/keyring.js';
import type { Clock } from '../../src/lib/clock.js';
import { startServer } from '../../src/server.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { TEST_KEY } from './keyring.js';
import { keepLog, RUN_LOG_LEVEL } from './run-log.js';
import { RUN_SETTINGS } from './run-settings.js';
import { execute } from './sql.js';

/** TestServer is the service, in this process, on a port of its own. */
export interface TestServer {
  readonly address: string;
  /** URL of the listener of gateways, if there is one. */
  readonly gatewayUrl: string;
  /** log is everything written so far. */
  log(): string;
  /** metric is the sum of a metric's values, over all labels. */
  metric(name: string): Promise<number>;
  /** heard waits until it has heard of every change so far. */
  heard(): Promise<void>;
  stop(): Promise<void>;
}

export interface TestServerOptions {
  readonly databaseUrl: string;
  readonly clock: Clock;
  /** Settings besides the address, by their variables. */
  readonly env?: Readonly<Record<string, string>>;
}

/** certificateFile is a file of the tests' certificates, for example `ca` or `staff-a.key`. */
function certificateFile(name: string): string {
  return fileURLToPath(new URL(`../fixtures/tls/${name}.pem`, import.meta.url));
}

/** MUTUAL_TLS makes a server ask for client certificates, whose callers may do everything that their user may. */
export const MUTUAL_TLS = {
  KEYWARD_TLS_CERT: certificateFile('server'),
  KEYWARD_TLS_KEY: certificateFile('server.key'),
  KEYWARD_TLS_CLIENT_CA: certificateFile('ca'),
  KEYWARD_TLS_CLIENT_SCOPES: '*',
};

/** certificateOptions are the client options of a caller by certificate. */
export function certificateOptions(user: string): { ca: string; cert: string; key: string } {
  return { ca: certificateFile('ca'), cert: certificateFile(user), key: certificateFile(`${user}.key`) };
}

export async function startTestServer({
  databaseUrl,
  clock,
  env = {},
}: TestServerOptions): Promise<TestServer> {
  const config = loadConfig({
    KEYWARD_LISTEN: '127.0.0.1:0',
    KEYWARD_SHUTDOWN_SECONDS: '1',
    KEYWARD_LOG_LEVEL: RUN_LOG_LEVEL,
    KEYWARD_FERNET_KEYS: TEST_KEY,
    ...RUN_SETTINGS,
    ...env,
  });
  let log = '';
  const logger = createLogger(config.logLevel, {
    write: (line: string) => {
      log += line;
      keepLog(line);
    },
  });
  const server = await startServer({
    config,
    databaseUrl,
    keyring: new Keyring(config.fernetKeys, clock),
    clock,
    logger,
  });
  // Certificates are for names; an address as the name of a TLS server is deprecated.
  const host = config.tlsCert === undefined ? '127.0.0.1' : 'localhost';
  const metric = async (name: string): Promise<number> => sumOf(name, await server.metrics.text());
  return {
    address: `${host}:${server.port}`,
    gatewayUrl: `${config.tlsCert === undefined ? 'http' : 'https'}://${host}:${server.gatewayPort ?? 0}`,
    log: () => log,
    metric,
    heard: async () => {
      const [row] = await execute(databaseUrl, 'SELECT max(revision)::int AS head FROM change_feed');
      const applied = () => metric('keyward_coherence_revision_applied');
      await expect.poll(applied, { timeout: 5_000 }).toBeGreaterThanOrEqual(Number(row?.['head'] ?? 0));
    },
    stop: () => server.stop(),
  };
}

function sumOf(name: string, text: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
