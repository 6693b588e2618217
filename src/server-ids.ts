import { IdRepository } from './account/id-repository.js';
import { IdService, type IdServiceDependencies } from './account/id-service.js';
import type { Database } from './db/knex.js';
import type { Clock } from './lib/clock.js';
import { SecretNames } from './secret/secret-names.js';
import { GrantRepository } from './secret/sharing/grant-repository.js';
import { TokenNames } from './token/token-names.js';

export interface IdDependencies extends Pick<IdServiceDependencies, 'rightsReader'> {
  readonly knex: Database;
  readonly clock: Clock;
}

/** idService tells what ids stand for, whatever they are of: each resource reads its own. */
export function idService({ knex, rightsReader, clock }: IdDependencies): IdService {
  return new IdService({
    ids: new IdRepository(knex),
    tokens: new TokenNames(knex),
    secrets: new SecretNames({ knex, grants: new GrantRepository(knex), clock }),
    rightsReader,
  });
}
