import { randomUUID } from 'node:crypto';
import type { Caller } from '../authz/caller.js';
import { meantByName, type Condition } from '../authz/reader-rows.js';
import type { DoneRequests } from '../idempotency/done-requests.js';
import type { UserProfileRef, UserRef } from '../authz/refs.js';
import {
  accessTo,
  mayActAs,
  readable,
  requireScopes,
  type CallerRights,
  type CallerRightsReader,
} from '../authz/rights.js';
import { changedFields, type AuditAction, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { KeywardError, notFound, notPermitted } from '../lib/errors.js';
import { requireEtag } from '../lib/etag.js';
import { presentOf, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { isGain, type Power } from './gain.js';
import { Revocation } from './revocation.js';
import { entryOf } from './token-audit.js';
import type { TokenRef } from './token-ref.js';
import type { TokenRepository } from './token-repository.js';
import type { Digest } from '../crypto/digest.js';
import {
  newPlaintext,
  shownTo,
  type Issuer,
  type Token,
  type TokenChange,
  type TokenOwner,
  type TokenSettings,
} from './token.js';
import type { Database, Transaction } from '../db/knex.js';
import { onlyOne } from '../lib/only-one.js';

/** IssuedToken is a token together with its plaintext, which exists nowhere else. */
export interface IssuedToken {
  readonly token: Token;
  readonly plaintext: string;
}

export interface TokenServiceDependencies {
  readonly knex: Database;
  readonly tokens: TokenRepository;
  readonly rightsReader: CallerRightsReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly requests: DoneRequests;
  readonly changes: Pick<PropagatedChanges, 'make' | 'begin'>;
  /** Forgets digests whose verdicts may have changed. Called after commit, before the call returns. */
  readonly evict: (digests: readonly Digest[]) => void;
  /** Forgets the verdicts of all tokens of user profiles. Called as evict is. */
  readonly evictProfiles: (profileIds: readonly bigint[]) => void;
  readonly clock: Clock;
}

/** Issue is a token that was made, and what is recorded of it. */
interface Issue {
  readonly issued: IssuedToken;
  readonly entries: readonly AuditEntry[];
}

/** Changed is a token after a change, and what is recorded of it: nothing where it was so already. */
interface Changed {
  readonly token: Token;
  readonly action?: AuditAction;
  readonly detail?: AuditEntry['detail'];
}

/** TokenService is what can be done with tokens, and who may do it. */
export class TokenService {
  readonly #deps: TokenServiceDependencies;

  constructor(deps: TokenServiceDependencies) {
    this.#deps = deps;
  }

  async create(caller: Caller, ownerRef: UserProfileRef, settings: TokenSettings): Promise<IssuedToken> {
    return this.#issuing(caller, async (trx) => {
      const callerRights = await this.#deps.rightsReader.of(caller, trx);
      const owner = await this.#deps.tokens.findOwner(trx, ownerRef);
      if (owner === undefined) throw notFound('user profile');
      requireAccess(callerRights, owner, 'user profile');
      const issued = await this.#issue(trx, caller, callerRights, owner, settings);
      return { issued, entries: [entryOf(caller, 'TOKEN_CREATED', issued.token)] };
    });
  }

  async get(caller: Caller, ref: TokenRef): Promise<Token> {
    return reading(async () => {
      const callerRights = await this.#deps.rightsReader.of(caller);
      return shownTo(callerRights, await this.#findReadable(callerRights, ref));
    });
  }

  async list(caller: Caller, page: PageQuery): Promise<Page<Token>> {
    return reading(async () => {
      const callerRights = await this.#deps.rightsReader.of(caller);
      const { items, nextPageToken } = await this.#deps.tokens.list(readable(callerRights), page);
      return { items: items.map((token) => shownTo(callerRights, token)), nextPageToken };
    });
  }

  async update(caller: Caller, ref: TokenRef, etag: string, change: TokenChange): Promise<Propagated<Token>> {
    return this.#change(caller, ref, etag, async (trx, { id }) => ({
      token: await this.#deps.tokens.update(trx, id, change),
      action: 'TOKEN_EDITED',
      detail: changedFields(change),
    }));
  }

  async rename(caller: Caller, ref: TokenRef, etag: string, name: string): Promise<Propagated<Token>> {
    return this.#change(caller, ref, etag, async (trx, token) => {
      if (token.name === name) return { token };
      return { token: await this.#deps.tokens.rename(trx, token.id, name), action: 'TOKEN_RENAMED' };
    });
  }

  /** setActive switches a token on or off; `toggle` is whichever it is not. */
  async setActive(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    state: boolean | 'toggle',
  ): Promise<Propagated<Token>> {
    return this.#change(caller, ref, etag, async (trx, token) => {
      const isActive = state === 'toggle' ? !token.isActive : state;
      if (token.isActive === isActive) return { token };
      return {
        token: await this.#deps.tokens.setActive(trx, token.id, isActive),
        action: isActive ? 'TOKEN_ACTIVATED' : 'TOKEN_DEACTIVATED',
      };
    });
  }

  async clone(caller: Caller, ref: TokenRef, name: string): Promise<IssuedToken> {
    return this.#issuing(caller, async (trx) => {
      const callerRights = await this.#deps.rightsReader.of(caller, trx);
      const original = await this.#findManageable(callerRights, ref, trx);
      const owner = await this.#deps.tokens.findOwner(trx, { by: 'id', id: original.owner.profileId });
      if (owner === undefined) throw notFound('token');
      const copy = await this.#issue(trx, caller, callerRights, owner, { ...original, name });
      const entries = [
        entryOf(caller, 'TOKEN_CLONED', original, { copy: String(copy.token.id) }),
        entryOf(caller, 'TOKEN_CREATED', copy.token, { original: String(original.id) }),
      ];
      return { issued: copy, entries };
    });
  }

  /** rotate replaces the plaintext. The old one is accepted for `grace` microseconds more. */
  async rotate(caller: Caller, ref: TokenRef, etag: string, grace: bigint): Promise<Propagated<IssuedToken>> {
    const retiresAt = grace === 0n ? null : this.#now() + grace;
    let plaintext = '';
    const rotated = await this.#change(caller, ref, etag, async (trx, { id, prefix }) => {
      const secret = newPlaintext(prefix);
      plaintext = secret.plaintext;
      return {
        token: await this.#deps.tokens.replaceDigest(trx, id, secret, retiresAt, issuerOf(caller)),
        action: 'TOKEN_ROTATED',
      };
    });
    return { ...rotated, result: { token: rotated.result, plaintext } };
  }

  /** revoke deletes a token, and gives it as it was. */
  async revoke(caller: Caller, ref: TokenRef, etag: string): Promise<Propagated<Token>> {
    return this.#change(caller, ref, etag, async (trx, token) => {
      await this.#deps.tokens.delete(trx, token.id);
      return { token, action: 'TOKEN_DELETED' };
    });
  }

  /**
   * revokeOfUser deletes the tokens of those of the user's profiles that the caller manages, and counts them. It does so
   * in batches: where it is broken off, what was deleted stays so, and another call deletes the rest.
   */
  revokeOfUser(caller: Caller, user: UserRef): Promise<Propagated<number>> {
    return new Revocation(this.#deps, caller, async (trx, callerRights) => {
      const profiles = await this.#deps.tokens.profilesOf(trx, user);
      const visible = profiles.filter((profile) => accessTo(callerRights, profile) !== 'none');
      if (visible.length === 0) throw notFound('user');
      const managed = visible.filter((profile) => accessTo(callerRights, profile) === 'manage');
      if (managed.length === 0) throw notPermitted("The caller may not manage this user's tokens.");
      return managed;
    }).run();
  }

  /** deleteOfProfiles does the same for user profiles that the caller manages. */
  async deleteOfProfiles(caller: Caller, profileIds: readonly bigint[]): Promise<number> {
    const revocation = new Revocation(this.#deps, caller, async (trx, callerRights) => {
      const owners = await this.#deps.tokens.owners(trx, profileIds);
      for (const owner of owners) requireAccess(callerRights, owner, 'user profile');
      return owners;
    });
    return (await revocation.run()).result;
  }

  /**
   * #change locks a token that the caller manages, and changes it. What it gained is read from what is stored then, so
   * no change can bring a token power without the right to; where that lacks, nothing is committed.
   */
  async #change(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    change: (trx: Transaction, token: Token) => Promise<Changed>,
  ): Promise<Propagated<Token>> {
    const { result, propagation } = await this.#changing(caller, async (trx) => {
      await this.#deps.requests.claim(trx, caller);
      const callerRights = await this.#deps.rightsReader.of(caller, trx);
      const found = await this.#findManageable(callerRights, ref, trx);
      // The owner first, as those lock who change users: the rank that is judged below must not change meanwhile.
      await this.#deps.tokens.findOwner(trx, { by: 'id', id: found.owner.profileId });
      const current = await this.#deps.tokens.lock(trx, found.id);
      if (current === undefined) throw notFound('token');
      requireEtag('token', etag, current);
      const before = await this.#deps.tokens.digestsOf(trx, [current.id]);
      const changed = await change(trx, current);
      await this.#requirePower(trx, caller, callerRights, current, changed.token);
      await this.#deps.requests.done(trx, caller, { kind: 'token', id: current.id });
      if (changed.action !== undefined) {
        const entry = entryOf(caller, changed.action, changed.token, changed.detail);
        await this.#deps.audit.record(trx, [entry]);
      }
      return { token: changed.token, digests: [...before, changed.token.digest] };
    });
    return { result: result.token, propagation };
  }

  async #issue(
    trx: Transaction,
    caller: Caller,
    callerRights: CallerRights,
    owner: TokenOwner,
    settings: TokenSettings,
  ): Promise<IssuedToken> {
    const secret = newPlaintext(settings.prefix);
    const made = { ...settings, owner, digest: secret.digest, graceEndsAt: null };
    await this.#requirePower(trx, caller, callerRights, undefined, made);
    if (!owner.isStaff) {
      throw new KeywardError('OWNER_NOT_STAFF', 'Only a staff user may own a new token.');
    }
    const { tokens } = this.#deps;
    const token = await tokens.insert(trx, randomUUID(), owner, settings, secret, issuerOf(caller));
    return { token, plaintext: secret.plaintext };
  }

  /** #requirePower lets a token gain only by a caller who has its owner's rights and the scopes that it will have. */
  async #requirePower(
    trx: Transaction,
    caller: Caller,
    callerRights: CallerRights,
    before: Token | undefined,
    after: Power,
  ): Promise<void> {
    if (!isGain(before, after)) return;
    requireScopes(caller, after.scopes);
    const { userId, isSuperuser } = after.owner;
    const owned = await this.#deps.tokens.profilesOf(trx, { by: 'id', id: userId });
    const profiles = owned.map(({ profileId, accountId }) => ({ id: profileId, accountId }));
    if (mayActAs(callerRights, { userId, isSuperuser, profiles })) return;
    throw notPermitted(
      'The caller may not give power to a token whose owner has rights that the caller has not.',
    );
  }

  async #findReadable(
    callerRights: CallerRights,
    ref: TokenRef,
    trx?: Transaction,
    meant?: Condition,
  ): Promise<Token> {
    const found = await this.#deps.tokens.find(ref, trx, meant);
    const readable = found.filter(({ owner }) => accessTo(callerRights, owner) !== 'none');
    return onlyOne('token', readable, ({ id }) => id);
  }

  async #findManageable(callerRights: CallerRights, ref: TokenRef, trx: Transaction): Promise<Token> {
    const token = await this.#findReadable(callerRights, ref, trx, meantByName(callerRights));
    requireAccess(callerRights, token.owner, 'token');
    return token;
  }

  /** #issuing forgets a new digest: a guess of it may have been answered, and remembered, as unknown. */
  #issuing(caller: Caller, work: (trx: Transaction) => Promise<Issue>): Promise<IssuedToken> {
    const { knex, requests, audit, evict } = this.#deps;
    return inTransactionFor(
      caller,
      knex,
      async (trx) => {
        await requests.claim(trx, caller);
        const { issued, entries } = await work(trx);
        await requests.done(trx, caller, { kind: 'token', id: issued.token.id });
        await audit.record(trx, entries);
        return issued;
      },
      ({ token }) => {
        evict([token.digest]);
      },
    );
  }

  /** #changing forgets the digests whose verdicts have changed, and waits until all replicas have. */
  #changing<T extends { readonly digests: readonly Digest[] }>(
    caller: Caller,
    work: (trx: Transaction) => Promise<T>,
  ): Promise<Propagated<T>> {
    return this.#deps.changes.make(caller, work, ({ digests }) => {
      this.#deps.evict(digests);
    });
  }

  #now(): Instant {
    return presentOf(this.#deps.clock);
  }
}

/** requireAccess is the one place that tells absence, prohibition and permission apart. */
function requireAccess(callerRights: CallerRights, owner: TokenOwner, kind: string): void {
  const access = accessTo(callerRights, owner);
  if (access === 'none') throw notFound(kind);
  if (access === 'read') throw notPermitted(`The caller may read this ${kind} but not manage it.`);
}

function issuerOf({ userId, username, keyId }: Caller): Issuer {
  return { userId, username, keyId };
}
