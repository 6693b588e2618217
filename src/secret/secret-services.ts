import type { DoneRequests } from '../idempotency/done-requests.js';
import type { PropagatedChanges } from '../coherence/propagated-changes.js';
import type { CallerRightsReader } from '../authz/rights.js';
import type { AuditLog } from '../audit/audit-log.js';
import type { RefusalLog } from '../audit/refusal-log.js';
import type { Keyring } from '../crypto/keyring.js';
import type { Database } from '../db/knex.js';
import { ReferenceRepository, SECRET_REFERENCES } from '../db/reference-repository.js';
import type { Clock } from '../lib/clock.js';
import type { Timers } from '../lib/timers.js';
import type { Logger } from '../telemetry/logger.js';
import { AccessRepository } from './access/access-repository.js';
import { AccessService } from './access/access-service.js';
import { AccessTimes } from './access/access-times.js';
import { BindingRepository } from './binding/binding-repository.js';
import { BindingService } from './binding/binding-service.js';
import { CloneService } from './clone-service.js';
import { GrantRepository } from './sharing/grant-repository.js';
import { GrantService } from './sharing/grant-service.js';
import { ReferenceService } from './sharing/reference-service.js';
import { SecretChanges } from './secret-changes.js';
import { SecretFinder } from './secret-finder.js';
import { SecretPurger } from './secret-purger.js';
import { SecretRepository } from './secret-repository.js';
import { SecretService } from './secret-service.js';
import { VersionRepository } from './versions/version-repository.js';
import { VersionService } from './versions/version-service.js';

export interface SecretServicesDependencies {
  readonly knex: Database;
  /** Connections for accesses, which wait for no change. */
  readonly urgent: Database;
  readonly rightsReader: CallerRightsReader;
  readonly keyring: Keyring;
  readonly audit: Pick<AuditLog, 'record' | 'append' | 'hasRecorded'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make'>;
  readonly refusals: Pick<RefusalLog, 'add'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly timers: Timers;
  /** Milliseconds that an access may take. */
  readonly accessLimitMs: number;
  /** Microseconds for which a deleted secret can be brought back; 0: not at all. */
  readonly retention: bigint;
}

/** SecretServices is all that can be done with secrets, and what works for them in the background. */
export interface SecretServices {
  readonly secrets: SecretService;
  readonly clones: CloneService;
  readonly versions: VersionService;
  readonly access: AccessService;
  readonly references: ReferenceService;
  readonly grants: GrantService;
  /** To be started and stopped. */
  readonly bindings: BindingService;
  /** To be started and stopped. */
  readonly purger: SecretPurger;
  /** To be started and stopped. */
  readonly accessTimes: AccessTimes;
}

/** secretServices makes the services of secrets and joins them. */
export function secretServices(deps: SecretServicesDependencies): SecretServices {
  const { knex, logger } = deps;
  const accesses = new AccessRepository(deps.urgent);
  const secrets = new SecretRepository(knex);
  const versions = new VersionRepository(knex);
  const grants = new GrantRepository(knex);
  const references = new ReferenceRepository(knex, SECRET_REFERENCES);
  const finder = new SecretFinder({ ...deps, secrets, grants });
  const changes = new SecretChanges({ ...deps, propagated: deps.changes, finder });
  const accessTimes = new AccessTimes(accesses, logger);
  const bindings = new BindingService({ ...deps, bindings: new BindingRepository() });
  const shared = { ...deps, secrets, versions, grants, references, finder, changes, bindings };
  return {
    secrets: new SecretService(shared),
    clones: new CloneService(shared),
    versions: new VersionService(shared),
    access: new AccessService({ ...shared, accesses, times: accessTimes, limitMs: deps.accessLimitMs }),
    references: new ReferenceService(shared),
    grants: new GrantService(shared),
    bindings,
    purger: new SecretPurger(shared),
    accessTimes,
  };
}
