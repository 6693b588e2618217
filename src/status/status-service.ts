/**
 * `status/` tells people how the processes of the service are.
 *
 *     const { replicas } = await statusService.list(caller);
 */

import type { Caller } from '../authz/caller.js';
import type { CallerRightsReader } from '../authz/rights.js';
import { notPermitted } from '../lib/errors.js';
import type { Replicas } from './replica-status.js';
import type { StatusRepository } from './status-repository.js';

export interface StatusServiceDependencies {
  readonly statuses: Pick<StatusRepository, 'replicas'>;
  readonly rightsReader: CallerRightsReader;
}

/** StatusService is who may see how the service is. */
export class StatusService {
  readonly #deps: StatusServiceDependencies;

  constructor(deps: StatusServiceDependencies) {
    this.#deps = deps;
  }

  async list(caller: Caller): Promise<Replicas> {
    const { statuses, rightsReader } = this.#deps;
    const { isStaff, isSuperuser } = await rightsReader.of(caller);
    if (!isStaff && !isSuperuser) throw notPermitted('Only staff and superusers may see the replicas.');
    return statuses.replicas();
  }
}
