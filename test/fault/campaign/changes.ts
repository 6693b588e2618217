import { setTimeout as delay } from 'node:timers/promises';
import {
  GetAccountRequest,
  GetUserRequest,
  UpdateAccountRequest,
  UpdateUserRequest,
} from '../../../src/gen/keyward/account/v1/account_service.js';
import type { Propagation } from '../../../src/gen/keyward/coherence/v1/propagation.js';
import {
  ActivateTokenRequest,
  CreateTokenRequest,
  DeactivateTokenRequest,
  GetTokenRequest,
  RevokeTokenRequest,
  RotateTokenRequest,
  UpdateTokenRequest,
} from '../../../src/gen/keyward/token/v1/token_service.js';
import { etagOf } from '../../../src/lib/etag.js';
import { registerCanary } from '../../support/canaries.js';
import type { Caller } from './caller.js';
import type { DurablePostgres } from './durable-postgres.js';
import type { Credential, Estate, Switched, TokenRow } from './estate.js';
import type { Change, Recorder, Result } from './history.js';

/** Flippable is a row of which one fact is changed to its opposite. */
export type Flippable =
  | { readonly kind: 'user' | 'account'; readonly row: Switched }
  | { readonly kind: 'token' | 'expiry'; readonly row: TokenRow };

export interface ChangesOptions {
  readonly estate: Estate;
  /** Of the superuser, one for each replica. */
  readonly callers: readonly Caller[];
  readonly postgres: DurablePostgres;
  readonly recorder: Recorder;
  /** ask is called after each change, with what it may have changed. */
  readonly ask: (change: Change, credentials: readonly Credential[]) => void;
  readonly isOver: () => boolean;
}

/** State is what a row was when it was read; an etag stands for all of it. */
interface State {
  readonly isOn: boolean;
  readonly isExpired: boolean;
  readonly etag: string;
}

/** Done is what a change gives. */
interface Done {
  readonly etag: string;
  readonly propagation?: Propagation | undefined;
}

const RETRY_MS = 100;
/** What SQL does to a row of a kind. No call can make a token expire at once. */
const STATEMENTS = {
  token: 'UPDATE tokens SET is_active = NOT is_active',
  user: 'UPDATE users SET is_active = NOT is_active',
  account: 'UPDATE accounts SET is_active = NOT is_active',
  expiry: "UPDATE tokens SET expires_at = CASE WHEN expires_at IS NULL THEN now() - interval '1 hour' END",
} as const;

let credentials = 0;
let names = 0;

/** newCredential numbers a plaintext. */
function newCredential(plaintext: string, row: TokenRow): Credential {
  credentials += 1;
  return {
    number: credentials,
    plaintext: registerCanary(plaintext),
    row,
    isRetired: false,
    isTakenBack: false,
  };
}

/** createToken makes a token of a user profile. */
export async function createToken(caller: Caller, profileId: bigint): Promise<Credential> {
  names += 1;
  const request = CreateTokenRequest.fromPartial({
    owner: { selector: { $case: 'id', value: profileId } },
    name: `campaign-${names}`,
  });
  const { token, plaintext } = await caller.call(caller.tokens.createToken.bind(caller.tokens), request);
  const { id, etag } = present(token);
  return newCredential(plaintext, { id, isOn: true, isExpired: false, isGone: false, etag });
}

/** Changes makes the changes of one estate, and records what they promise. */
export class Changes {
  readonly #options: ChangesOptions;

  constructor(options: ChangesOptions) {
    this.#options = options;
  }

  /** isFine tells whether it is certain that nothing is refused because of this. */
  isFine(what: Flippable): boolean {
    return what.kind === 'expiry' ? what.row.isExpired === false : what.row.isOn === true;
  }

  /**
   * flip changes a fact to its opposite: that changes the row, so its etag, and no older call can change it any more.
   * Whatever is asked for, expiry comes by SQL.
   */
  async flip(what: Flippable, asked: number | 'SQL'): Promise<void> {
    const { row } = what;
    const state = await this.#state(what);
    if (state === undefined) return;
    const through = what.kind === 'expiry' && !state.isExpired ? 'SQL' : asked;
    const after =
      what.kind === 'expiry' ? { ...state, isExpired: !state.isExpired } : { ...state, isOn: !state.isOn };
    await this.#record(
      describe(what, after),
      through,
      () => (through === 'SQL' ? this.#flipBySql(what, state.etag) : this.#flipByCall(what, after, through)),
      ({ etag }) => {
        row.isOn = after.isOn;
        row.etag = etag;
        if ('isExpired' in row) row.isExpired = after.isExpired;
      },
      () => {
        if (what.kind === 'expiry') what.row.isExpired = undefined;
        else what.row.isOn = undefined;
        row.etag = undefined;
      },
    );
  }

  /** rotate gives a token a new plaintext; the old one is refused at once. */
  async rotate(old: Credential, through: number): Promise<void> {
    const { row } = old;
    const state = await this.#state({ kind: 'token', row });
    if (state === undefined) return;
    const caller = this.#caller(through);
    const request = RotateTokenRequest.fromPartial({ selector: selectorOf(row), etag: state.etag });
    const isKnown = await this.#record(
      'rotate',
      through,
      async () => {
        const { token, plaintext, propagation } = await caller.call(
          caller.tokens.rotateToken.bind(caller.tokens),
          request,
        );
        return { etag: present(token).etag, plaintext, propagation };
      },
      ({ etag, plaintext }) => {
        row.isOn = state.isOn;
        row.isExpired = state.isExpired;
        row.etag = etag;
        old.isRetired = true;
        this.#options.estate.replace(old, newCredential(plaintext, row));
      },
      () => {
        old.isRetired = undefined;
      },
    );
    if (!isKnown) await this.#createInPlaceOf(old);
  }

  /** revoke deletes a token, and creates another in its place. */
  async revoke(old: Credential, through: number): Promise<void> {
    const { row } = old;
    const state = await this.#state({ kind: 'token', row });
    if (state === undefined) return;
    const caller = this.#caller(through);
    const request = RevokeTokenRequest.fromPartial({ selector: selectorOf(row), etag: state.etag });
    await this.#record(
      'revoke',
      through,
      async () => {
        const { propagation } = await caller.call(caller.tokens.revokeToken.bind(caller.tokens), request);
        return { etag: '', propagation };
      },
      () => {
        row.isGone = true;
      },
      () => {
        row.isGone = undefined;
      },
    );
    await this.#createInPlaceOf(old);
  }

  /** #createInPlaceOf creates a token in the place of one that is gone, or of which nothing more can be found out. */
  async #createInPlaceOf(old: Credential): Promise<void> {
    const { estate, recorder } = this.#options;
    const by = await this.#persist((caller) => createToken(caller, estate.profileId));
    if (by === undefined) return;
    estate.replace(old, by);
    const now = recorder.now();
    const verdicts = present(estate.verdicts().get(by.number));
    const times = { startedAt: now, endedAt: now };
    const change = { what: 'create', through: 0, ...times, result: { kind: 'created' } as const };
    recorder.changes.push({ ...change, verdicts: new Map([[by.number, verdicts]]) });
  }

  /** #record makes one change, and writes down what is then known. It gives whether the change was made for certain. */
  async #record<Given extends Done>(
    what: string,
    through: number | 'SQL',
    make: () => Promise<Given>,
    succeeded: (done: Given) => void,
    failed: () => void,
  ): Promise<boolean> {
    const { estate, recorder, ask } = this.#options;
    const startedAt = recorder.now();
    const known = estate.credentials;
    const before = estate.verdicts();
    let result: Result;
    let endedAt: number;
    try {
      const done = await make();
      endedAt = recorder.now();
      result = through === 'SQL' ? { kind: 'committed' } : this.#resultOf(done);
      succeeded(done);
    } catch (error) {
      endedAt = recorder.now();
      result = { kind: 'unknown', error: error instanceof Error ? error.message : String(error) };
      failed();
    }
    const verdicts = estate.verdicts();
    const change = { what, through, startedAt, endedAt, result, verdicts };
    recorder.changes.push(change);
    const affected = [...new Set([...known, ...estate.credentials])].filter(
      ({ number }) => !areAlike(before.get(number), verdicts.get(number)),
    );
    ask(change, affected);
    return result.kind !== 'unknown';
  }

  #resultOf({ propagation }: Done): Result {
    const { complete, pending, waited, effectiveBy: end } = present(propagation);
    const waitedMs = Number(waited?.seconds ?? 0n) * 1_000 + (waited?.nanos ?? 0) / 1e6;
    if (complete) return { kind: 'complete', waitedMs };
    const { seconds, nanos } = present(end);
    const effectiveByMs = Number(seconds) * 1_000 + nanos / 1e6;
    const effectiveBy = this.#options.recorder.timeOf(effectiveByMs);
    return { kind: 'incomplete', effectiveBy, pending, waitedMs };
  }

  /** #state is what the row is like, with the etag that holds as long as it is so; undefined if there is no such row. */
  async #state(what: Flippable): Promise<State | undefined> {
    const { row } = what;
    const isExpired = 'isExpired' in row ? row.isExpired : false;
    if (row.etag !== undefined && row.isOn !== undefined && isExpired !== undefined)
      return { isOn: row.isOn, isExpired, etag: row.etag };
    return this.#persist((caller) => read(caller, what));
  }

  async #flipByCall(what: Flippable, after: State, through: number): Promise<Done> {
    const { accounts, tokens } = this.#caller(through);
    const caller = this.#caller(through);
    const selected = { selector: selectorOf(what.row), etag: after.etag };
    const switched = { ...selected, updateMask: ['is_active'] };
    if (what.kind === 'user') {
      const request = UpdateUserRequest.fromPartial({ ...switched, user: { isActive: after.isOn } });
      const { user, propagation } = await caller.call(accounts.updateUser.bind(accounts), request);
      return { etag: present(user).etag, propagation };
    }
    if (what.kind === 'account') {
      const request = UpdateAccountRequest.fromPartial({ ...switched, account: { isActive: after.isOn } });
      const { account, propagation } = await caller.call(accounts.updateAccount.bind(accounts), request);
      return { etag: present(account).etag, propagation };
    }
    const { token, propagation } = await (() => {
      if (what.kind === 'expiry') {
        const request = { ...selected, token: {}, updateMask: ['expires_at'] };
        return caller.call(tokens.updateToken.bind(tokens), UpdateTokenRequest.fromPartial(request));
      }
      if (after.isOn)
        return caller.call(tokens.activateToken.bind(tokens), ActivateTokenRequest.fromPartial(selected));
      return caller.call(tokens.deactivateToken.bind(tokens), DeactivateTokenRequest.fromPartial(selected));
    })();
    return { etag: present(token).etag, propagation };
  }

  async #flipBySql({ kind, row }: Flippable, etag: string): Promise<Done> {
    const rows = await this.#options.postgres.execute(
      `${STATEMENTS[kind]} WHERE id = $1 AND row_version = $2 RETURNING row_version::text AS version`,
      [String(row.id), versionOf(etag)],
    );
    const version = rows[0]?.['version'];
    if (typeof version !== 'string') throw new Error('the row has changed');
    return { etag: etagOf(BigInt(version)) };
  }

  #caller(replica: number): Caller {
    return present(this.#options.callers[replica]);
  }

  /** #persist tries one replica after the other until one answers; undefined once the campaign is over. */
  async #persist<T>(work: (caller: Caller) => Promise<T>): Promise<T | undefined> {
    const { callers, isOver } = this.#options;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work(present(callers[attempt % callers.length]));
      } catch {
        if (isOver()) return undefined;
        await delay(RETRY_MS);
      }
    }
  }
}

async function read(caller: Caller, { kind, row }: Flippable): Promise<State | undefined> {
  const selected = selectorOf(row);
  const { accounts, tokens } = caller;
  if (kind === 'user') {
    const request = GetUserRequest.fromPartial({ user: selected });
    const { user } = await caller.call(accounts.getUser.bind(accounts), request);
    return { isOn: present(user).isActive, isExpired: false, etag: present(user).etag };
  }
  if (kind === 'account') {
    const request = GetAccountRequest.fromPartial({ account: selected });
    const { account } = await caller.call(accounts.getAccount.bind(accounts), request);
    return { isOn: present(account).isActive, isExpired: false, etag: present(account).etag };
  }
  const request = GetTokenRequest.fromPartial({ token: selected });
  const { token } = await caller.call(tokens.getToken.bind(tokens), request);
  const { isActive, expiresAt, etag } = present(token);
  return { isOn: isActive, isExpired: expiresAt !== undefined, etag };
}

function describe({ kind }: Flippable, { isOn, isExpired }: State): string {
  if (kind === 'expiry') return isExpired ? 'expire' : 'let live';
  return `${kind} ${isOn ? 'on' : 'off'}`;
}

function areAlike(one: ReadonlySet<string> | undefined, other: ReadonlySet<string> | undefined): boolean {
  return [...(one ?? [])].join() === [...(other ?? [])].join();
}

function selectorOf({ id }: Switched) {
  return { selector: { $case: 'id', value: id } } as const;
}

/** versionOf is the row version that an etag stands for. */
function versionOf(etag: string): string {
  return Buffer.from(etag, 'base64url').toString().slice(1);
}

/** present is for what every answer must have. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('an answer lacks something that it must have');
  return value;
}
