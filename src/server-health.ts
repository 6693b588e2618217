import type { Server } from '@grpc/grpc-js';
import type { Config } from './config.js';
import { unreachable } from './db/connection-failure.js';
import type { Database } from './db/knex.js';
import { schemaProblem } from './db/migrate.js';
import { within, type Timers } from './lib/timers.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { Health } from './rpc/health.js';
import { addReflection } from './rpc/reflection.js';
import type { KeyCheck } from './secret/key-check.js';
import { CHECK_SERVICE } from './server-gateways.js';
import type { Logger } from './telemetry/logger.js';

const SERVICES = [
  'keyward.account.v1.AccountService',
  'keyward.audit.v1.AuditService',
  'keyward.coherence.v1.StatusService',
  'keyward.manifest.v1.ManifestService',
  'keyward.secret.v1.SecretService',
  'keyward.smarter.v1.ImportService',
  'keyward.token.v1.TokenService',
  CHECK_SERVICE,
];
const HEALTH_SERVICE = 'grpc.health.v1.Health';

export interface HealthParts {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly urgent: Database;
  readonly keys: KeyCheck;
  /** Milliseconds that the database may be out of reach before this counts as not serving. */
  readonly toleranceMs: number;
  readonly timers: Timers;
  /** Ends what has no end of its own. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
}

/** addHealth serves what needs no credentials: health, and reflection where that is wanted. */
export function addHealth(
  server: Server,
  { config, databaseUrl, urgent, keys, toleranceMs, timers, stopping, logger }: HealthParts,
): { health: Health; methods: MethodRule[] } {
  const health = new Health({
    services: SERVICES,
    problem: async () => {
      const limitMs = config.databaseTimeoutSeconds * 1000;
      try {
        return await within(timers, limitMs, 'asking the database', problemOf(urgent, keys));
      } catch (error) {
        throw unreachable(databaseUrl, error);
      }
    },
    toleranceMs,
    clock: { now: () => timers.monotonicMs() },
    stopping,
    logger,
  });
  const methods = health.addTo(server);
  if (config.reflection) methods.push(...addReflection(server, [...SERVICES, HEALTH_SERVICE], stopping));
  return { health, methods };
}

/** problemOf tells why the database cannot be worked with. It asks as validations do, by the same connections. */
async function problemOf(knex: Database, keys: KeyCheck): Promise<string | undefined> {
  return (await schemaProblem(knex)) ?? keys.problem();
}
