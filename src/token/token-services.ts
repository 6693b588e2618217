import type { AuditLog } from '../audit/audit-log.js';
import type { CallerRightsReader } from '../authz/rights.js';
import type { PropagatedChanges } from '../coherence/propagated-changes.js';
import type { Digest } from '../crypto/digest.js';
import type { Database } from '../db/knex.js';
import { Pruner } from '../db/pruner.js';
import { ReferenceRepository, ReleasedReferences, TOKEN_REFERENCES } from '../db/reference-repository.js';
import type { DoneRequests } from '../idempotency/done-requests.js';
import type { Clock } from '../lib/clock.js';
import type { Logger } from '../telemetry/logger.js';
import { TokenReferenceService } from './reference-service.js';
import { TokenFinder } from './token-finder.js';
import { TokenRepository } from './token-repository.js';
import { TokenService } from './token-service.js';

export interface TokenServicesDependencies {
  readonly knex: Database;
  readonly rightsReader: CallerRightsReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make' | 'begin'>;
  readonly evict: (digests: readonly Digest[]) => void;
  readonly evictProfiles: (profileIds: readonly bigint[]) => void;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
}

/** TokenServices is all that can be done with tokens but validate and watch, and what works for them in the background. */
export interface TokenServices {
  readonly tokens: TokenService;
  readonly references: TokenReferenceService;
  /** To be started and stopped. */
  readonly pruner: Pruner;
}

/** tokenServices makes the services of tokens and joins them. */
export function tokenServices(deps: TokenServicesDependencies): TokenServices {
  const { knex, logger } = deps;
  const tokens = new TokenRepository(knex);
  const references = new ReferenceRepository(knex, TOKEN_REFERENCES);
  const shared = { ...deps, tokens, references, finder: new TokenFinder(tokens) };
  return {
    tokens: new TokenService(shared),
    references: new TokenReferenceService(shared),
    pruner: new Pruner(new ReleasedReferences(knex), 'references of deleted tokens', logger),
  };
}
