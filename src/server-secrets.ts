import type { Server } from '@grpc/grpc-js';
import type { Closer } from './lib/closer.js';
import type { ChainDependencies } from './rpc/chain.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { addService } from './rpc/service.js';
import { ReencryptionRepository } from './secret/reencryption/reencryption-repository.js';
import { ReencryptionService } from './secret/reencryption/reencryption-service.js';
import { SecretRepository } from './secret/secret-repository.js';
import { secretServiceHandlers, SecretServiceService } from './secret/secret-service-handler.js';
import {
  secretServices,
  type SecretServices,
  type SecretServicesDependencies,
} from './secret/secret-services.js';
import { secretWatch } from './secret/secret-watch.js';
import { GrantRepository } from './secret/sharing/grant-repository.js';

/** How often times of access are written that could not be written at once. */
const ACCESS_TIMES_INTERVAL_MS = 5_000;
const PURGE_INTERVAL_MS = 600_000;

type SecretDependencies = SecretServicesDependencies &
  Omit<ConstructorParameters<typeof ReencryptionService>[0], 'versions' | 'bindings'> &
  Omit<Parameters<typeof secretWatch>[0], 'secrets' | 'grants'>;

/** addSecrets gives what is to be started before values are served. */
export function addSecrets(
  server: Server,
  dependencies: SecretDependencies,
  chain: ChainDependencies,
  closer: Closer,
): {
  readonly methods: readonly MethodRule[];
  readonly services: SecretServices;
} {
  const { knex, clock } = dependencies;
  const services = secretServices(dependencies);
  const { accessTimes, bindings, purger } = services;
  accessTimes.start(ACCESS_TIMES_INTERVAL_MS);
  closer.add('the times of access', () => accessTimes.stop());
  purger.start(PURGE_INTERVAL_MS);
  closer.add('the removal of deleted secrets', () => purger.stop());
  const rotation = new ReencryptionService({
    ...dependencies,
    versions: new ReencryptionRepository(knex),
    bindings,
  });
  const secrets = new SecretRepository(knex);
  const watch = secretWatch({ ...dependencies, secrets, grants: new GrantRepository(knex) });
  const handlers = secretServiceHandlers(services, rotation, watch, clock);
  const methods = addService(server, SecretServiceService, handlers, chain);
  return { methods, services };
}
