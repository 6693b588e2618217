import { LRUCache } from 'lru-cache';
import type { Identity } from '../authz/caller.js';
import { MissLoader, type Fetch } from '../token/miss-loader.js';
import type { OutagePolicy, Source } from '../coherence/outage-policy.js';
import type { Eviction, Memory } from '../coherence/ports.js';
import { isFresh, type Clock } from '../lib/clock.js';

/** CertificateUser is a user that a client certificate names. */
export interface CertificateUser {
  readonly userId: bigint;
  readonly isActive: boolean;
}

export interface CertificateUsersOptions {
  /** Asks the database for several usernames at once; those of nobody are absent from the result. */
  readonly findUsers: Fetch<CertificateUser>;
  readonly ttlMs: number;
  readonly clock: Clock;
}

interface Remembered {
  /** null for nobody. */
  readonly user: CertificateUser | null;
  /** Milliseconds since 1970 after which the user is asked for anew. */
  readonly staleAt: number;
}

const MAX_USERS = 10_000;

/** CertificateUsers answers for usernames from memory, and from the database for those it does not hold. */
export class CertificateUsers implements Source<CertificateUser>, Memory {
  readonly #options: CertificateUsersOptions;
  readonly #users = new LRUCache<string, Remembered>({ max: MAX_USERS });
  readonly #loader: MissLoader<CertificateUser, CertificateUser | null>;

  constructor(options: CertificateUsersOptions) {
    this.#options = options;
    this.#loader = new MissLoader(options.findUsers, ({ digest: username, facts, current, startedAt }) => {
      const user = facts ?? null;
      if (current) this.#users.set(username, { user, staleAt: startedAt + options.ttlMs });
      return user;
    });
  }

  lookUp(username: string, now: number): CertificateUser | null | undefined {
    const remembered = this.#users.get(username);
    const isHeld = remembered !== undefined && isFresh(remembered.staleAt, this.#options.ttlMs, now);
    return isHeld ? remembered.user : undefined;
  }

  load(username: string): Promise<CertificateUser | null> {
    return this.#loader.load(username, this.#options.clock.now());
  }

  ask(username: string): Promise<CertificateUser | null> {
    return this.#loader.loadAnew(username, this.#options.clock.now());
  }

  recall(username: string): CertificateUser | undefined {
    return this.#users.peek(username)?.user ?? undefined;
  }

  /** forget forgets everyone if any user changed: a new one may be remembered as nobody. */
  forget({ everything, owners }: Eviction): void {
    if (everything || owners.userIds.length > 0) this.clear();
  }

  clear(): void {
    this.#users.clear();
    this.#loader.outdateAll();
  }
}

/** FoundCaller is whom credentials prove. */
export interface FoundCaller {
  readonly identity: Identity;
  /** True if that may have changed, because the database cannot be asked. */
  readonly stale: boolean;
}

/**
 * CertificateCallers knows the users that client certificates name. TLS has verified the certificate; its
 * subject's common name is a username.
 */
export class CertificateCallers {
  readonly #users: Pick<OutagePolicy<CertificateUser>, 'get'>;
  readonly #scopes: readonly string[];
  readonly #clock: Clock;

  /** `scopes` are what callers with a certificate may do: a certificate carries none of its own. */
  constructor(users: Pick<OutagePolicy<CertificateUser>, 'get'>, scopes: readonly string[], clock: Clock) {
    this.#users = users;
    this.#scopes = scopes;
    this.#clock = clock;
  }

  /** find returns undefined if there is no such user or the user is switched off. */
  async find(username: string): Promise<FoundCaller | undefined> {
    const { record: user, stale } = await this.#users.get(username, this.#clock.now());
    if (user?.isActive !== true) return undefined;
    const identity = {
      userId: user.userId,
      username,
      profileId: undefined,
      accountNumber: undefined,
      keyId: undefined,
      scopes: this.#scopes,
    };
    return { identity, stale };
  }
}
