import type { Server } from '@grpc/grpc-js';
import type { CallerRightsReader } from './authz/rights.js';
import type { Database } from './db/knex.js';
import type { ChainDependencies } from './rpc/chain.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { addService } from './rpc/service.js';
import { statusHandlers, StatusServiceService } from './status/status-handler.js';
import { StatusRepository } from './status/status-repository.js';
import { StatusService } from './status/status-service.js';

/** addStatus serves what people ask of the processes of the service. */
export function addStatus(
  server: Server,
  { knex, rightsReader }: { readonly knex: Database; readonly rightsReader: CallerRightsReader },
  chain: ChainDependencies,
): readonly MethodRule[] {
  const service = new StatusService({ statuses: new StatusRepository(knex), rightsReader });
  return addService(server, StatusServiceService, statusHandlers(service), chain);
}
