import type { Keyring } from '../crypto/keyring.js';
import { reading } from '../db/transaction.js';
import { KeywardError } from '../lib/errors.js';
import type { ReencryptionRepository } from './reencryption/reencryption-repository.js';

/** KeyCheck finds keys that versions of secrets need and that the keyring lacks. */
export class KeyCheck {
  readonly #versions: ReencryptionRepository;
  readonly #keyring: Keyring;
  #isPassed = false;

  constructor(versions: ReencryptionRepository, keyring: Keyring) {
    this.#versions = versions;
    this.#keyring = keyring;
  }

  /** problem tells how many versions need which missing key. Once there was none, it looks no more. */
  async problem(): Promise<string | undefined> {
    if (this.#isPassed) return undefined;
    const counts = await reading(() => this.#versions.countByKey());
    const needs = counts.flatMap(({ keyId, count }) =>
      keyId === null || this.#keyring.has(keyId)
        ? []
        : [`${count} secret ${count === 1n ? 'version needs' : 'versions need'} key ${keyId}`],
    );
    this.#isPassed = needs.length === 0;
    return this.#isPassed ? undefined : `${needs.join(', ')}, which is not configured`;
  }

  /** stopIfMissing throws the problem, if there is one. A database that cannot be asked yet is none. */
  async stopIfMissing(): Promise<void> {
    const problem = await this.problem().catch((error: unknown) => {
      if (error instanceof KeywardError && error.reason === 'DATABASE_UNAVAILABLE') return undefined;
      throw error;
    });
    if (problem !== undefined) throw new Error(problem);
  }
}
