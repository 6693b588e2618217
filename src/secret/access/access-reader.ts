import { GroupRead } from '../../lib/group-read.js';
import type { AccessQuery, AccessRepository } from './access-repository.js';
import type { AccessFacts } from './access.js';

/** Many small reads are one; with values of the largest size it is still a few megabytes. */
const MAX_TOGETHER = 64;

/** AccessReader reads what decides about accesses, for calls that arrive at the same time in one statement. */
export class AccessReader {
  readonly #repository: Pick<AccessRepository, 'facts'>;
  readonly #reading: GroupRead<AccessQuery, AccessFacts>;

  constructor(repository: Pick<AccessRepository, 'facts'>) {
    this.#repository = repository;
    this.#reading = new GroupRead((queries) => repository.facts(queries), MAX_TOGETHER);
  }

  one(query: AccessQuery): Promise<AccessFacts> {
    return this.#reading.one(query);
  }

  /** many reads the facts of several queries in one statement, in their order. */
  many(queries: readonly AccessQuery[]): Promise<AccessFacts[]> {
    return queries.length === 0 ? Promise.resolve([]) : this.#repository.facts(queries);
  }
}
