import type { Knex } from 'knex';
import type { Caller } from '../authz/caller.js';
import { managesAccounts, type CallerRightsReader } from '../authz/rights.js';
import { reading } from '../db/transaction.js';
import { notPermitted } from '../lib/errors.js';
import type { Page, PageQuery } from '../lib/page.js';
import { pageOfConflicts, type OpenConflict } from './open-conflicts.js';

export { CONFLICT_COLUMNS, type OpenConflict } from './open-conflicts.js';

export interface ConflictServiceDependencies {
  readonly knex: Knex;
  readonly rightsReader: CallerRightsReader;
}

/** ConflictService shows superusers what imports have left to decide. */
export class ConflictService {
  readonly #deps: ConflictServiceDependencies;

  constructor(deps: ConflictServiceDependencies) {
    this.#deps = deps;
  }

  async list(caller: Caller, page: PageQuery): Promise<Page<OpenConflict>> {
    return reading(async () => {
      if (managesAccounts(await this.#deps.rightsReader.of(caller)))
        return pageOfConflicts(this.#deps.knex, page);
      throw notPermitted('Only superusers who have a user profile see what imports have left to decide.');
    });
  }
}
