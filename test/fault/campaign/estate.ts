import type { Verdict } from './history.js';

/** A fact that is known, or undefined where it may be either. */
type Fact = boolean | undefined;

/** Switched is a row that can be switched off and on. */
export interface Switched {
  readonly id: bigint;
  isOn: Fact;
  /** undefined where it must be read first: a call of which nothing is known may have changed the row. */
  etag: string | undefined;
}

/** TokenRow is a token with its plaintexts. */
export interface TokenRow extends Switched {
  isExpired: Fact;
  isGone: Fact;
}

/** Credential is a plaintext that was issued. */
export interface Credential {
  /** By which the history knows it. */
  readonly number: number;
  readonly plaintext: string;
  readonly row: TokenRow;
  /** True once a rotation has replaced it. */
  isRetired: Fact;
  /** True once the database has forgotten that it was issued. */
  isTakenBack: boolean;
}

/** How many refused plaintexts are still asked for. */
const MAX_FORMER_ASKED = 3;
/** How many are followed, for calls that are still under way. */
const MAX_FORMER_FOLLOWED = 30;

/**
 * Estate is an account with a user and their tokens, changed by one driver alone, one change after the other. It
 * knows which verdicts are possible after what was done: the outcome of a call that failed is not known, and it may
 * come even later, until the row has certainly changed since, which makes the call's etag a wrong one.
 */
export class Estate {
  readonly account: Switched;
  readonly user: Switched;
  readonly profileId: bigint;
  /** The current plaintext of each token. */
  readonly current: Credential[] = [];
  /** Plaintexts that were replaced or revoked, or of which that is not known; the oldest first. */
  #former: Credential[] = [];

  constructor(account: Switched, user: Switched, profileId: bigint) {
    this.account = account;
    this.user = user;
    this.profileId = profileId;
  }

  /** credentials are all that are to be asked for. */
  get credentials(): readonly Credential[] {
    const refused = this.#former.filter(
      ({ row, isRetired, isTakenBack }) => isTakenBack || row.isGone === true || isRetired === true,
    );
    return [...this.current, ...refused.slice(-MAX_FORMER_ASKED)];
  }

  /** replace puts a new credential in the place of a current one. */
  replace(old: Credential, by: Credential): void {
    const place = this.current.indexOf(old);
    if (place < 0) throw new Error('the credential is not current');
    this.current[place] = by;
    this.#former = [...this.#former, old].slice(-MAX_FORMER_FOLLOWED);
  }

  /** verdicts are those that are possible as things are, by credential. */
  verdicts(): Map<number, ReadonlySet<Verdict>> {
    const all = [...this.current, ...this.#former];
    return new Map(all.map((credential) => [credential.number, this.#possible(credential)]));
  }

  /** remember gives what takes everything back to the present, as a restore does. What was issued since is unknown then. */
  remember(): () => void {
    const current = [...this.current];
    const former = [...this.#former];
    const credentials = [...current, ...former];
    const rows = new Set<Switched>([this.account, this.user, ...credentials.map(({ row }) => row)]);
    const facts = [...rows, ...credentials].map((each) => ({ each, was: { ...each } }));
    return () => {
      const since = [...this.current, ...this.#former].filter((each) => !credentials.includes(each));
      for (const credential of since) credential.isTakenBack = true;
      for (const { each, was } of facts) Object.assign(each, was);
      this.current.splice(0, Infinity, ...current);
      this.#former = [...former, ...since].slice(-MAX_FORMER_FOLLOWED);
    };
  }

  /** #possible goes through the reasons in the order in which they count. */
  #possible({ row, isRetired, isTakenBack }: Credential): ReadonlySet<Verdict> {
    const refusals: readonly (readonly [Verdict, Fact])[] = [
      ['UNKNOWN', isTakenBack],
      ['UNKNOWN', row.isGone],
      ['EXPIRED', isRetired],
      ['EXPIRED', row.isExpired],
      ['OWNER_INACTIVE', not(this.user.isOn)],
      ['INACTIVE', not(row.isOn)],
      ['ACCOUNT_INACTIVE', not(this.account.isOn)],
    ];
    const possible = new Set<Verdict>();
    for (const [verdict, applies] of refusals) {
      if (applies !== false) possible.add(verdict);
      if (applies === true) return possible;
    }
    return possible.add('OK');
  }
}

function not(fact: Fact): Fact {
  return fact === undefined ? undefined : !fact;
}
