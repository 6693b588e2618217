import type { Knex } from 'knex';
import { digestFromBytes, type Digest } from '../../crypto/digest.js';
import type { VerdictFacts } from '../../token/verdict.js';
import { VerdictRepository } from '../../token/verdict-repository.js';
import { query } from '../target-store.js';

/** KeywardFacts reads what Keyward's verdicts depend on, by the statement that the service reads it by. */
export class KeywardFacts {
  readonly #knex: Knex;
  readonly #verdicts: VerdictRepository;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#verdicts = new VerdictRepository(knex);
  }

  of(digests: readonly Digest[]): Promise<ReadonlyMap<Digest, VerdictFacts>> {
    return this.#verdicts.fetch(digests);
  }

  /** between lists the digests after one and before another (both hexadecimal; empty is no bound), in order, up to so many. */
  async between(after: string, before: string, limit: number): Promise<Digest[]> {
    const rows = await query<{ digest: Buffer }>(
      this.#knex,
      `SELECT digest FROM token_digests
       WHERE digest > decode(?, 'hex') AND (? = '' OR digest < decode(?, 'hex')) ORDER BY digest LIMIT ?`,
      [after, before, before, limit],
    );
    return rows.map(({ digest }) => digestFromBytes(digest));
  }

  /** taken tells which of these digests an import took over from the platform. */
  async taken(digests: readonly Digest[]): Promise<ReadonlySet<Digest>> {
    const rows = await query<{ digest: Buffer }>(
      this.#knex,
      `SELECT d.digest FROM token_digests d JOIN import_records r ON r.kind = 'token' AND r.target_id = d.token_id
       WHERE d.digest = ANY (?::bytea[]) AND r.fields ->> 'digest' = encode(d.digest, 'hex')`,
      [digests.map((digest) => Buffer.from(digest, 'latin1'))],
    );
    return new Set(rows.map(({ digest }) => digestFromBytes(digest)));
  }
}
