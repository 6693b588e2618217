import type { Server } from '@grpc/grpc-js';
import type { Closer } from './lib/closer.js';
import type { ChainDependencies } from './rpc/chain.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { addService } from './rpc/service.js';
import { ReencryptionRepository } from './secret/reencryption/reencryption-repository.js';
import { ReencryptionService } from './secret/reencryption/reencryption-service.js';
import { SecretRepository } from './secret/secret-repository.js';
import { secretServiceHandlers, SecretServiceService } from './secret/secret-service-handler.js';
import type { SecretServices } from './secret/secret-services.js';
import { secretWatch } from './secret/secret-watch.js';
import { GrantRepository } from './secret/sharing/grant-repository.js';

/** How often times of access are written that could not be written at once. */
const ACCESS_TIMES_INTERVAL_MS = 5_000;
const PURGE_INTERVAL_MS = 600_000;

type SecretDependencies = Omit<
  ConstructorParameters<typeof ReencryptionService>[0],
  'versions' | 'bindings'
> &
  Omit<Parameters<typeof secretWatch>[0], 'secrets' | 'grants'>;

/** addSecrets serves secrets, and starts what works for them in the background. */
export function addSecrets(
  server: Server,
  dependencies: SecretDependencies,
  services: SecretServices,
  chain: ChainDependencies,
  closer: Closer,
): readonly MethodRule[] {
  const { knex, clock } = dependencies;
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
  return addService(server, SecretServiceService, handlers, chain);
}
