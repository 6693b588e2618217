import type { Transaction } from '../db/knex.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { ALL_SCOPES, firstNotCovered } from '../lib/scopes.js';
import type { Account, User, UserSettings } from './account.js';
import type { Caller } from '../authz/caller.js';
import { gainsByJoining, promotes, requireScopes } from '../authz/rights.js';
import type {
  DeactivatedToken,
  ProfileSet,
  SomeDeactivated,
  TokenPlace,
  UserProfileRepository,
} from './user-profile-repository.js';

export interface OwnerGainsDependencies {
  readonly profiles: Pick<
    UserProfileRepository,
    'liveScopesOf' | 'deactivateKnownToOthers' | 'deactivateSomeKnownToOthers'
  >;
  readonly clock: Clock;
  /** The scopes of callers with a client certificate; empty where the service takes none. */
  readonly certificateScopes: readonly string[];
}

/** Tokens that are switched off together. */
export const MAX_SWITCHED_OFF = 2_000;

/** TooManyTokens says that more would have to be switched off together. */
export class TooManyTokens extends Error {
  override readonly name = 'TooManyTokens';
}

/** State is whether a user or an account is switched on. */
type State = Pick<Account | User, 'isActive'>;

/**
 * OwnerGains is what credentials gain by a change of those they belong to: tokens, and client certificates, which name
 * a user. Whoever makes such a change is a superuser, but may hold few scopes: all that gains must be covered by them,
 * or it is SCOPE_NOT_HELD. Users must be locked, so that none of their tokens gains meanwhile by another call.
 */
export class OwnerGains {
  readonly #deps: OwnerGainsDependencies;

  constructor(deps: OwnerGainsDependencies) {
    this.#deps = deps;
  }

  accountChanged(trx: Transaction, caller: Caller, before: Account, after: Account): Promise<void> {
    return isSwitchedOn(before, after)
      ? this.#requireTokensCovered(trx, caller, { accountId: after.id })
      : Promise.resolve();
  }

  userMade(caller: Caller, user: UserSettings): void {
    if (user.isActive) this.#requireCertificateCovered(caller);
  }

  /** userChanged returns the tokens that it switched off because the user was promoted: see `userJoined`. */
  async userChanged(
    trx: Transaction,
    caller: Caller,
    before: User,
    after: User,
    keepTokens: boolean,
  ): Promise<readonly DeactivatedToken[]> {
    const isPromoted = promotes(before, after);
    if (!isPromoted && !isSwitchedOn(before, after)) return [];
    this.#requireCertificateCovered(caller);
    return this.#tokensGain(trx, caller, after, isPromoted && !keepTokens);
  }

  /**
   * userJoined is for a user who has a new profile. Tokens whose plaintext someone else may know must not gain by it,
   * unless they shall be kept: they are switched off, and returned.
   */
  async userJoined(
    trx: Transaction,
    caller: Caller,
    user: User,
    keepTokens: boolean,
  ): Promise<readonly DeactivatedToken[]> {
    this.#requireCertificateCovered(caller);
    return gainsByJoining(user) ? this.#tokensGain(trx, caller, user, !keepTokens) : [];
  }

  /**
   * switchOffSome switches off, before a user gains, tokens that must not. The first of several is refused where that would be;
   * the gain itself asks again.
   */
  async switchOffSome(
    trx: Transaction,
    caller: Caller,
    { id }: User,
    after: TokenPlace | undefined,
  ): Promise<SomeDeactivated> {
    this.#requireCertificateCovered(caller);
    // To look at all tokens with each of many batches would take a time that grows with their square.
    if (after === undefined)
      await this.#requireTokensCovered(trx, caller, { userId: id }, { exceptKnownToOthers: true });
    const { profiles } = this.#deps;
    return profiles.deactivateSomeKnownToOthers(trx, id, this.#now(), after, MAX_SWITCHED_OFF);
  }

  async #tokensGain(
    trx: Transaction,
    caller: Caller,
    user: User,
    switchOff: boolean,
  ): Promise<readonly DeactivatedToken[]> {
    const deactivated = switchOff ? await this.#switchOff(trx, user) : [];
    if (deactivated.length > MAX_SWITCHED_OFF) throw new TooManyTokens();
    await this.#requireTokensCovered(trx, caller, { userId: user.id });
    return deactivated;
  }

  #switchOff(trx: Transaction, { id }: User): Promise<DeactivatedToken[]> {
    const options = { keepUnknown: false, most: MAX_SWITCHED_OFF + 1 };
    return this.#deps.profiles.deactivateKnownToOthers(trx, { userIds: [id] }, this.#now(), options);
  }

  #requireCertificateCovered(caller: Caller): void {
    requireScopes(caller, this.#deps.certificateScopes);
  }

  async #requireTokensCovered(
    trx: Transaction,
    caller: Caller,
    set: ProfileSet,
    { exceptKnownToOthers = false } = {},
  ): Promise<void> {
    if (firstNotCovered(caller.scopes, ALL_SCOPES) === undefined) return;
    const { profiles } = this.#deps;
    requireScopes(caller, await profiles.liveScopesOf(trx, set, this.#now(), exceptKnownToOthers));
  }

  #now(): Instant {
    return presentOf(this.#deps.clock);
  }
}

function isSwitchedOn(before: State, after: State): boolean {
  return after.isActive && !before.isActive;
}
