import { GroupCommit } from '../lib/group-commit.js';
import type { AccessQuery, AccessRepository } from './access-repository.js';
import type { AccessFacts } from './access.js';

/** Many small reads are one; with values of the largest size it is still a few megabytes. */
const MOST_TOGETHER = 64;

interface Pending {
  readonly query: AccessQuery;
  facts: AccessFacts | undefined;
}

/**
 * AccessReader reads what decides about accesses. Calls that arrive while a statement is under way share the next
 * one: each is answered by a statement that began after it came, so nothing is remembered from before.
 */
export class AccessReader {
  readonly #repository: Pick<AccessRepository, 'facts'>;
  readonly #reading = new GroupCommit<Pending>((pending) => this.#read(pending), MOST_TOGETHER);

  constructor(repository: Pick<AccessRepository, 'facts'>) {
    this.#repository = repository;
  }

  async one(query: AccessQuery): Promise<AccessFacts> {
    const pending: Pending = { query, facts: undefined };
    await this.#reading.add(pending);
    if (pending.facts === undefined) throw new Error('a query of an access was not answered');
    return pending.facts;
  }

  /** many reads the facts of several queries in one statement, in their order. */
  many(queries: readonly AccessQuery[]): Promise<AccessFacts[]> {
    return queries.length === 0 ? Promise.resolve([]) : this.#repository.facts(queries);
  }

  async #read(pending: readonly Pending[]): Promise<void> {
    const facts = await this.#repository.facts(pending.map(({ query }) => query));
    pending.forEach((each, index) => {
      each.facts = facts[index];
    });
  }
}
