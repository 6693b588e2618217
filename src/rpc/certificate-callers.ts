import { LRUCache } from 'lru-cache';
import type { Identity } from '../account/caller.js';
import type { Clock } from '../lib/clock.js';

export interface CertificateUser {
  readonly userId: bigint;
  readonly isActive: boolean;
}

export interface CertificateCallersOptions {
  readonly findUser: (username: string) => Promise<CertificateUser | undefined>;
  /** What callers with a certificate may do: a certificate carries no scopes of its own. */
  readonly scopes: readonly string[];
  readonly ttlMs: number;
  readonly clock: Clock;
}

/**
 * CertificateCallers knows the users that client certificates name. TLS has verified the certificate; its
 * subject's common name is a username.
 */
export class CertificateCallers {
  readonly #options: CertificateCallersOptions;
  readonly #users: LRUCache<string, { user: CertificateUser | undefined }>;
  #evictions = 0;

  constructor(options: CertificateCallersOptions) {
    this.#options = options;
    this.#users = new LRUCache({ max: 10_000, ttl: options.ttlMs, ttlResolution: 0, perf: options.clock });
  }

  /** find returns undefined if there is no such user or the user is switched off. */
  async find(username: string): Promise<Identity | undefined> {
    const { user } = this.#users.get(username) ?? (await this.#load(username));
    if (user?.isActive !== true) return undefined;
    return {
      userId: user.userId,
      username,
      profileId: undefined,
      accountNumber: undefined,
      keyId: undefined,
      scopes: this.#options.scopes,
    };
  }

  /** evict forgets all users: one of them changed. */
  evict(): void {
    this.#evictions += 1;
    this.#users.clear();
  }

  async #load(username: string): Promise<{ user: CertificateUser | undefined }> {
    const evictions = this.#evictions;
    const found = { user: await this.#options.findUser(username) };
    if (evictions === this.#evictions) this.#users.set(username, found);
    return found;
  }
}
