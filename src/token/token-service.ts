import { randomUUID } from 'node:crypto';
import type { Caller } from '../authz/caller.js';
import type { DoneRequests } from '../idempotency/done-requests.js';
import type { UserProfileRef, UserRef } from '../authz/refs.js';
import {
  accessTo,
  mayActAs,
  requireScopes,
  type CallerRights,
  type CallerRightsReader,
} from '../authz/rights.js';
import { changedFields, type AuditAction, type AuditEntry, type AuditLog } from '../audit/audit-log.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import type { ReferenceRepository } from '../db/reference-repository.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { KeywardError, notFound, notPermitted } from '../lib/errors.js';
import { presentOf, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { consumerDetail, NO_CONSUMERS, type Consumers } from '../lib/references.js';
import type { CopySettings } from '../lib/resource-rules.js';
import { endsSooner, isGain, type Power } from './gain.js';
import { Revocation, type Revoked } from './revocation.js';
import { entryOf } from './token-audit.js';
import { requireManage, type HeldToken, type TokenFinder } from './token-finder.js';
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

/** IssuedToken is a token together with its plaintext, which exists nowhere else. */
export interface IssuedToken {
  readonly token: Token;
  readonly plaintext: string;
}

/** RotatedToken is the same after a rotation, with who holds the plaintext of before. */
export interface RotatedToken extends IssuedToken {
  readonly consumers: Consumers;
}

export interface TokenServiceDependencies {
  readonly knex: Database;
  readonly tokens: TokenRepository;
  readonly references: ReferenceRepository;
  readonly finder: TokenFinder;
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
  /** What is recorded besides, before that. */
  readonly also?: AuditEntry;
  /** Of a change that ends what they hold, or brings its end nearer. */
  readonly consumers?: Consumers;
}

type LockedToken = Awaited<ReturnType<TokenFinder['lockManaged']>>;

/** TokenService is what can be done with tokens, and who may do it. */
export class TokenService {
  readonly #deps: TokenServiceDependencies;

  constructor(deps: TokenServiceDependencies) {
    this.#deps = deps;
  }

  async create(caller: Caller, ownerRef: UserProfileRef, settings: TokenSettings): Promise<IssuedToken> {
    return this.#issuing(caller, async (trx) => {
      const callerRights = await this.#deps.rightsReader.of(caller, trx);
      const owner = await this.#managedOwner(trx, callerRights, ownerRef);
      const issued = await this.#issue(trx, caller, callerRights, owner, settings);
      return { issued, entries: [entryOf(caller, 'TOKEN_CREATED', issued.token)] };
    });
  }

  async get(caller: Caller, ref: TokenRef): Promise<HeldToken> {
    const { callerRights, token, consumers } = await this.#deps.finder.findReadable(caller, ref);
    return { token: shownTo(callerRights, token), consumers };
  }

  async list(caller: Caller, page: PageQuery): Promise<Page<Token>> {
    return reading(async () => {
      const callerRights = await this.#deps.rightsReader.of(caller);
      const { items, nextPageToken } = await this.#deps.tokens.list(callerRights, page);
      return { items: items.map((token) => shownTo(callerRights, token)), nextPageToken };
    });
  }

  async update(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    change: TokenChange,
  ): Promise<Propagated<HeldToken>> {
    const { tokens, references } = this.#deps;
    return this.#change(caller, ref, etag, async (trx, before) => {
      const token = await tokens.update(trx, before.id, change);
      const changed = { token, action: 'TOKEN_EDITED', detail: changedFields(change) } as const;
      if (!endsSooner(before, token)) return changed;
      return { ...changed, consumers: await references.consumersOf(token.id, trx) };
    });
  }

  async rename(caller: Caller, ref: TokenRef, etag: string, name: string): Promise<Propagated<HeldToken>> {
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
  ): Promise<Propagated<HeldToken>> {
    return this.#change(caller, ref, etag, async (trx, token, { consumers: holders }) => {
      const isActive = state === 'toggle' ? !token.isActive : state;
      const consumers = isActive ? NO_CONSUMERS : holders;
      if (token.isActive === isActive) return { token, consumers };
      return {
        token: await this.#deps.tokens.setActive(trx, token, isActive),
        action: isActive ? 'TOKEN_ACTIVATED' : 'TOKEN_DEACTIVATED',
        consumers,
      };
    });
  }

  /** clone makes a token like another one, of the same owner unless another is named. */
  async clone(
    caller: Caller,
    ref: TokenRef,
    copied: CopySettings,
    ownerRef: UserProfileRef | undefined,
  ): Promise<IssuedToken> {
    return this.#issuing(caller, async (trx) => {
      const callerRights = await this.#deps.rightsReader.of(caller, trx);
      const original = await this.#deps.finder.findManaged(callerRights, ref, trx);
      const sameOwner = { by: 'id', id: original.owner.profileId } as const;
      const owner = await this.#managedOwner(trx, callerRights, ownerRef ?? sameOwner);
      const copy = await this.#issue(trx, caller, callerRights, owner, { ...original, ...copied });
      const entries = [
        entryOf(caller, 'TOKEN_CLONED', original, { copy: String(copy.token.id) }),
        entryOf(caller, 'TOKEN_CREATED', copy.token, { original: String(original.id) }),
      ];
      return { issued: copy, entries };
    });
  }

  /** rotate replaces the plaintext. The old one is accepted for `grace` microseconds more. */
  async rotate(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    grace: bigint,
  ): Promise<Propagated<RotatedToken>> {
    const { tokens, references } = this.#deps;
    const retiresAt = grace === 0n ? null : this.#now() + grace;
    let plaintext = '';
    const rotated = await this.#change(caller, ref, etag, async (trx, { id, prefix }) => {
      const secret = newPlaintext(prefix);
      plaintext = secret.plaintext;
      return {
        token: await tokens.replaceDigest(trx, id, secret, retiresAt, issuerOf(caller)),
        action: 'TOKEN_ROTATED',
        consumers: await references.consumersOf(id, trx),
      };
    });
    return { ...rotated, result: { ...rotated.result, plaintext } };
  }

  /**
   * transfer gives a token to another owner, for whom its plaintexts pass from then on. Who had the token before may know
   * them, and counts as who was given them. It is recorded for both.
   */
  async transfer(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    ownerRef: UserProfileRef,
  ): Promise<Propagated<HeldToken>> {
    return this.#change(caller, ref, etag, async (trx, token, { callerRights }) => {
      const owner = await this.#managedOwner(trx, callerRights, ownerRef);
      const { profileId, userId, username } = token.owner;
      if (owner.profileId === profileId) return { token };
      requireStaff(owner);
      const issuer = owner.userId === userId ? undefined : { userId, username, keyId: undefined };
      return {
        token: await this.#deps.tokens.move(trx, token.id, owner.profileId, issuer),
        action: 'TOKEN_TRANSFERRED',
        detail: { from_user_profile_id: String(profileId) },
        also: entryOf(caller, 'TOKEN_TRANSFERRED', token, { to_user_profile_id: String(owner.profileId) }),
      };
    });
  }

  /** revoke deletes a token, and gives it as it was. */
  async revoke(caller: Caller, ref: TokenRef, etag: string): Promise<Propagated<HeldToken>> {
    return this.#change(caller, ref, etag, async (trx, token, { consumers }) => {
      await this.#deps.tokens.delete(trx, token.id);
      return { token, action: 'TOKEN_DELETED', consumers };
    });
  }

  /**
   * revokeOfUser deletes the tokens of those of the user's profiles that the caller manages, and tells of them. It does so
   * in batches: where it is broken off, what was deleted stays so, and another call deletes the rest.
   */
  revokeOfUser(caller: Caller, user: UserRef): Promise<Propagated<Revoked>> {
    return new Revocation(this.#deps, caller, async (trx, callerRights) => {
      const profiles = await this.#deps.tokens.profilesOf(trx, user);
      const visible = profiles.filter((profile) => accessTo(callerRights, profile) !== 'none');
      if (visible.length === 0) throw notFound('user');
      const managed = visible.filter((profile) => accessTo(callerRights, profile) === 'manage');
      if (managed.length === 0) throw notPermitted("The caller may not manage this user's tokens.");
      return managed;
    }).run();
  }

  /** deleteOfProfiles does the same for user profiles that the caller manages, and counts the tokens. */
  async deleteOfProfiles(caller: Caller, profileIds: readonly bigint[]): Promise<number> {
    const revocation = new Revocation(this.#deps, caller, async (trx, callerRights) => {
      const owners = await this.#deps.tokens.owners(trx, profileIds);
      for (const owner of owners) requireManage(callerRights, owner, 'user profile');
      return owners;
    });
    return (await revocation.run()).result.count;
  }

  /**
   * #change locks a token that the caller manages, and changes it. What it gained is read from what is stored then, so
   * no change can bring a token power without the right to; where that lacks, nothing is committed.
   */
  async #change(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    change: (trx: Transaction, token: Token, locked: LockedToken) => Promise<Changed>,
  ): Promise<Propagated<HeldToken>> {
    const { result, propagation } = await this.#changing(caller, async (trx) => {
      await this.#deps.requests.claim(trx, caller);
      const locked = await this.#deps.finder.lockManaged(trx, caller, ref, etag);
      const { token: current, digests: before, callerRights } = locked;
      const { consumers = NO_CONSUMERS, ...changed } = await change(trx, current, locked);
      await this.#requirePower(trx, caller, callerRights, current, changed.token);
      await this.#deps.requests.done(trx, caller, { kind: 'token', id: current.id });
      if (changed.action !== undefined) {
        const detail = { ...changed.detail, ...consumerDetail(consumers) };
        const entry = entryOf(caller, changed.action, changed.token, detail);
        await this.#deps.audit.record(trx, changed.also === undefined ? [entry] : [changed.also, entry]);
      }
      return { token: changed.token, consumers, digests: [...before, changed.token.digest] };
    });
    return { result: { token: result.token, consumers: result.consumers }, propagation };
  }

  /** #managedOwner finds the user profile that shall own a token, whose tokens the caller must manage. */
  async #managedOwner(
    trx: Transaction,
    callerRights: CallerRights,
    ref: UserProfileRef,
  ): Promise<TokenOwner> {
    const owner = await this.#deps.tokens.findOwner(trx, ref);
    if (owner === undefined) throw notFound('user profile');
    requireManage(callerRights, owner, 'user profile');
    return owner;
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
    requireStaff(owner);
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

function requireStaff(owner: TokenOwner): void {
  if (!owner.isStaff) throw new KeywardError('OWNER_NOT_STAFF', 'Only a staff user may be given a token.');
}

function issuerOf({ userId, username, keyId }: Caller): Issuer {
  return { userId, username, keyId };
}
