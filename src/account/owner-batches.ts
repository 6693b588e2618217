import type { Caller } from '../authz/caller.js';
import type { Transaction } from '../db/knex.js';
import type { AccountChanges } from './account-changes.js';
import {
  deactivatedTokenEntry,
  deletedSecretEntry,
  type DeactivationCause,
  type Entry,
} from './account-entries.js';
import type { User } from './account.js';
import { TooManyTokens, type OwnerGains } from './owner-gains.js';
import type {
  DeactivatedToken,
  ProfileSet,
  SomeDeactivated,
  TokenPlace,
  UserProfileRepository,
} from './user-profile-repository.js';

export interface OwnerBatchesDependencies {
  readonly changes: AccountChanges;
  readonly gains: OwnerGains;
  readonly profiles: UserProfileRepository;
  /** Deletes the tokens of user profiles, however many, and counts them: see TokenService. */
  readonly tokens: { deleteOfProfiles(caller: Caller, profileIds: readonly bigint[]): Promise<number> };
  /** Forgets the verdicts of a user's tokens. */
  readonly evictUser: (user: Pick<User, 'id'>) => void;
}

/** SwitchedOff is tokens that were switched off, the first of them, and how many there were. */
export interface SwitchedOff {
  readonly first: readonly DeactivatedToken[];
  readonly count: number;
}

/** Deleted counts what was deleted with its owners. */
export interface Deleted {
  readonly tokens: number;
  readonly secrets: number;
}

/** Tokens, or secrets, that are deleted together with their owner; more take batches. */
const MAX_AT_ONCE = 1_000;
/** Secrets in a batch: each has versions, references and grants. */
const SECRETS_AT_ONCE = 500;
/** Of tokens that were switched off no more are told one by one. */
const MAX_TOLD = 1_000;
const NONE: SwitchedOff = { first: [], count: 0 };
const NO_TOKENS: SomeDeactivated = { tokens: [], upTo: undefined };

/**
 * OwnerBatches does before a change of an owner what may concern any number of tokens and secrets: in transactions of its
 * own, which stay where a later one fails. Whatever is left takes place with the change.
 */
export class OwnerBatches {
  readonly #deps: OwnerBatchesDependencies;

  constructor(deps: OwnerBatchesDependencies) {
    this.#deps = deps;
  }

  /** deleteMany deletes the tokens and secrets of a set of profiles, where there are too many of them. */
  async deleteMany(caller: Caller, find: (trx: Transaction) => Promise<ProfileSet>): Promise<Deleted> {
    const { changes, profiles, tokens } = this.#deps;
    const found = await changes.look(caller, async (trx) => profiles.countOf(trx, await find(trx)));
    const deleted = { tokens: 0, secrets: 0 };
    if (found.tokens > MAX_AT_ONCE) deleted.tokens = await tokens.deleteOfProfiles(caller, found.ids);
    if (found.secrets > MAX_AT_ONCE) {
      const some = async (trx: Transaction): Promise<Entry[]> =>
        (await profiles.deleteSecrets(trx, await find(trx), SECRETS_AT_ONCE)).map(deletedSecretEntry);
      let count: number;
      do {
        count = (await changes.part(caller, some, (entries) => entries)).length;
        deleted.secrets += count;
      } while (count === SECRETS_AT_ONCE);
    }
    return deleted;
  }

  /**
   * gaining makes a change by which a user gains. Where too many tokens are to be switched off for it, that comes first:
   * `find` locks the user, and gives none if nothing is to be switched off.
   */
  async gaining<T>(
    caller: Caller,
    cause: DeactivationCause,
    find: (trx: Transaction) => Promise<User | undefined>,
    change: (before: SwitchedOff) => Promise<T>,
  ): Promise<T> {
    let before = NONE;
    for (;;) {
      try {
        return await change(before);
      } catch (error) {
        if (!(error instanceof TooManyTokens)) throw error;
      }
      before = await this.#switchOff(caller, cause, find, before);
    }
  }

  async #switchOff(
    caller: Caller,
    cause: DeactivationCause,
    find: (trx: Transaction) => Promise<User | undefined>,
    before: SwitchedOff,
  ): Promise<SwitchedOff> {
    const { changes, gains, evictUser } = this.#deps;
    let all = before;
    let after: TokenPlace | undefined;
    do {
      const { tokens, upTo } = await changes.part(
        caller,
        async (trx) => {
          const user = await find(trx);
          return user === undefined ? NO_TOKENS : gains.switchOffSome(trx, caller, user, after);
        },
        ({ tokens: some }) => some.map((token) => deactivatedTokenEntry(token, cause)),
        ({ tokens: [token] }) => {
          if (token !== undefined) evictUser({ id: token.userId });
        },
      );
      all = added(all, tokens);
      after = upTo;
    } while (after !== undefined);
    return all;
  }
}

/** added tells of tokens that were switched off later, too. */
export function added({ first, count }: SwitchedOff, tokens: readonly DeactivatedToken[]): SwitchedOff {
  return { first: [...first, ...tokens].slice(0, MAX_TOLD), count: count + tokens.length };
}
