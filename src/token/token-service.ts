import { randomUUID } from 'node:crypto';
import type { Caller } from '../account/caller.js';
import type { UserProfileRef, UserRef } from '../account/refs.js';
import { accessTo, mayActAs, readable, type Standing } from '../account/rights.js';
import type { StandingReader } from '../account/standing.js';
import {
  actorOf,
  changedFields,
  type AuditAction,
  type AuditEntry,
  type AuditLog,
} from '../audit/audit-log.js';
import type { Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import { inTransaction, reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { etagMismatch, KeywardError, notFound, notPermitted } from '../lib/errors.js';
import { etagOf } from '../lib/etag.js';
import { instantFromMillis, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { recordLocator } from '../lib/public-id.js';
import { firstNotCovered } from '../lib/scopes.js';
import type { TokenRef } from './token-ref.js';
import type { TokenRepository } from './token-repository.js';
import {
  newPlaintext,
  type Digest,
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

export interface TokenServiceDependencies {
  readonly knex: Database;
  readonly tokens: TokenRepository;
  readonly standings: StandingReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly changes: Pick<PropagatedChanges, 'make'>;
  /** Forgets digests whose verdicts may have changed. Called after commit, before the call returns. */
  readonly evict: (digests: readonly Digest[]) => void;
  readonly clock: Clock;
}

/** Changed is a token after a change, and what is recorded of it: nothing where it was so already. */
interface Changed {
  readonly token: Token;
  readonly action?: AuditAction;
  readonly detail?: AuditEntry['detail'];
}

/** AuditedToken is what records tell of a token. */
interface AuditedToken {
  readonly id: bigint;
  readonly owner: Pick<TokenOwner, 'profileId' | 'accountId' | 'accountNumber'>;
}

const MOST_CANDIDATES = 10;

/** TokenService is what can be done with tokens, and who may do it. */
export class TokenService {
  readonly #deps: TokenServiceDependencies;

  constructor(deps: TokenServiceDependencies) {
    this.#deps = deps;
  }

  async create(caller: Caller, ownerRef: UserProfileRef, settings: TokenSettings): Promise<IssuedToken> {
    requireScopes(caller, settings.scopes);
    return this.#issuing(async (trx) => {
      const standing = await this.#deps.standings.of(caller, trx);
      const owner = await this.#deps.tokens.findOwner(trx, ownerRef);
      if (owner === undefined) throw notFound('user profile');
      requireAccess(standing, owner, 'user profile');
      const issued = await this.#issue(trx, standing, owner, settings);
      await this.#deps.audit.record(trx, [entryOf(caller, 'TOKEN_CREATED', issued.token)]);
      return issued;
    });
  }

  async get(caller: Caller, ref: TokenRef): Promise<Token> {
    return reading(async () => this.#findReadable(await this.#deps.standings.of(caller), ref));
  }

  async list(caller: Caller, page: PageQuery): Promise<Page<Token>> {
    return reading(async () => this.#deps.tokens.list(readable(await this.#deps.standings.of(caller)), page));
  }

  async update(caller: Caller, ref: TokenRef, etag: string, change: TokenChange): Promise<Propagated<Token>> {
    return this.#change(caller, ref, etag, async (trx, token) => {
      requireScopes(
        caller,
        (change.scopes ?? []).filter((scope) => !token.scopes.includes(scope)),
      );
      return {
        token: await this.#deps.tokens.update(trx, token.id, change),
        action: 'TOKEN_EDITED',
        detail: changedFields(change),
      };
    });
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
    return this.#issuing(async (trx) => {
      const standing = await this.#deps.standings.of(caller, trx);
      const original = await this.#findManageable(standing, ref, trx);
      requireScopes(caller, original.scopes);
      const owner = await this.#deps.tokens.findOwner(trx, { by: 'id', id: original.owner.profileId });
      if (owner === undefined) throw notFound('token');
      const copy = await this.#issue(trx, standing, owner, { ...original, name });
      await this.#deps.audit.record(trx, [
        entryOf(caller, 'TOKEN_CLONED', original, { copy: String(copy.token.id) }),
        entryOf(caller, 'TOKEN_CREATED', copy.token, { original: String(original.id) }),
      ]);
      return copy;
    });
  }

  /** rotate replaces the plaintext. The old one is accepted for `grace` microseconds more. */
  async rotate(caller: Caller, ref: TokenRef, etag: string, grace: bigint): Promise<Propagated<IssuedToken>> {
    const retiresAt = grace === 0n ? null : this.#now() + grace;
    let plaintext = '';
    const rotated = await this.#change(caller, ref, etag, async (trx, current, standing) => {
      requireScopes(caller, current.scopes);
      await this.#requireRank(trx, standing, current.owner);
      const secret = newPlaintext(current.prefix);
      plaintext = secret.plaintext;
      return {
        token: await this.#deps.tokens.replaceDigest(trx, current.id, secret, retiresAt),
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

  /** revokeOfUser deletes the tokens of those of the user's profiles that the caller manages, and counts them. */
  async revokeOfUser(caller: Caller, user: UserRef): Promise<Propagated<number>> {
    const { result, propagation } = await this.#changing(async (trx) => {
      const standing = await this.#deps.standings.of(caller, trx);
      const profiles = await this.#deps.tokens.profilesOf(trx, user);
      const visible = profiles.filter((profile) => accessTo(standing, profile) !== 'none');
      if (visible.length === 0) throw notFound('user');
      const managed = visible.filter((profile) => accessTo(standing, profile) === 'manage');
      if (managed.length === 0) throw notPermitted("The caller may not manage this user's tokens.");
      const owners = new Map(managed.map((owner) => [owner.profileId, owner]));
      const deleted = await this.#deps.tokens.deleteOf(trx, [...owners.keys()]);
      const entries = deleted.tokens.map(({ id, profileId }) => {
        const owner = owners.get(profileId);
        if (owner === undefined) throw new Error('a token of another profile was deleted');
        return entryOf(caller, 'TOKEN_DELETED', { id, owner });
      });
      await this.#deps.audit.record(trx, entries);
      return deleted;
    });
    return { result: result.tokens.length, propagation };
  }

  /** #change locks a token that the caller manages, and changes it. */
  async #change(
    caller: Caller,
    ref: TokenRef,
    etag: string,
    change: (trx: Transaction, token: Token, standing: Standing) => Promise<Changed>,
  ): Promise<Propagated<Token>> {
    const { result, propagation } = await this.#changing(async (trx) => {
      const standing = await this.#deps.standings.of(caller, trx);
      const found = await this.#findManageable(standing, ref, trx);
      const current = await this.#deps.tokens.lock(trx, found.id);
      if (current === undefined) throw notFound('token');
      if (etag !== '' && etag !== etagOf(current.rowVersion)) throw etagMismatch('token');
      const before = await this.#deps.tokens.digestsOf(trx, [current.id]);
      const changed = await change(trx, current, standing);
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
    standing: Standing,
    owner: TokenOwner,
    settings: TokenSettings,
  ): Promise<IssuedToken> {
    await this.#requireRank(trx, standing, owner);
    if (!owner.isStaff) {
      throw new KeywardError('OWNER_NOT_STAFF', 'Only a staff user may own a new token.');
    }
    const secret = newPlaintext(settings.prefix);
    const token = await this.#deps.tokens.insert(trx, randomUUID(), owner, settings, secret);
    return { token, plaintext: secret.plaintext };
  }

  /** #requireRank keeps those who manage one account from making themselves the plaintext of a mightier user. */
  async #requireRank(
    trx: Transaction,
    standing: Standing,
    { userId, isSuperuser }: TokenOwner,
  ): Promise<void> {
    const owned = await this.#deps.tokens.profilesOf(trx, { by: 'id', id: userId });
    const profiles = owned.map(({ profileId, accountId }) => ({ id: profileId, accountId }));
    if (mayActAs(standing, { userId, isSuperuser, profiles })) return;
    throw notPermitted(
      'The caller may not be given the plaintext of a token whose owner has rights that the caller has not.',
    );
  }

  async #findReadable(standing: Standing, ref: TokenRef, trx?: Transaction): Promise<Token> {
    const found = await this.#deps.tokens.find(ref, trx);
    const [token, ...others] = found.filter(({ owner }) => accessTo(standing, owner) !== 'none');
    if (token === undefined) throw notFound('token');
    if (others.length === 0) return token;
    const candidates = [token, ...others]
      .slice(0, MOST_CANDIDATES)
      .map(({ id }) => recordLocator('token', id));
    throw new KeywardError('NAME_AMBIGUOUS', 'More than one token of this account has this name.', {
      metadata: { candidates: candidates.join(',') },
    });
  }

  async #findManageable(standing: Standing, ref: TokenRef, trx: Transaction): Promise<Token> {
    const token = await this.#findReadable(standing, ref, trx);
    requireAccess(standing, token.owner, 'token');
    return token;
  }

  /** #issuing forgets a new digest: a guess of it may have been answered, and remembered, as unknown. */
  #issuing(work: (trx: Transaction) => Promise<IssuedToken>): Promise<IssuedToken> {
    return inTransaction(this.#deps.knex, work, ({ token }) => {
      this.#deps.evict([token.digest]);
    });
  }

  /** #changing forgets the digests whose verdicts have changed, and waits until all replicas have. */
  #changing<T extends { readonly digests: readonly Digest[] }>(
    work: (trx: Transaction) => Promise<T>,
  ): Promise<Propagated<T>> {
    return this.#deps.changes.make(work, ({ digests }) => {
      this.#deps.evict(digests);
    });
  }

  #now(): Instant {
    return instantFromMillis(this.#deps.clock.now());
  }
}

/** requireAccess is the one place that tells absence, prohibition and permission apart. */
function requireAccess(standing: Standing, owner: TokenOwner, kind: string): void {
  const access = accessTo(standing, owner);
  if (access === 'none') throw notFound(kind);
  if (access === 'read') throw notPermitted(`The caller may read this ${kind} but not manage it.`);
}

function requireScopes(caller: Caller, scopes: readonly string[]): void {
  const scope = firstNotCovered(caller.scopes, scopes);
  if (scope !== undefined) {
    throw new KeywardError('SCOPE_NOT_HELD', "The caller's own scopes do not cover a scope of the token.", {
      metadata: { scope },
    });
  }
}

function entryOf(
  caller: Caller,
  action: AuditAction,
  { id, owner }: AuditedToken,
  detail: AuditEntry['detail'] = {},
): AuditEntry {
  const { profileId, accountId, accountNumber } = owner;
  const resource = { kind: 'token', id, profileId, accountId, accountNumber } as const;
  return { actor: actorOf(caller), action, outcome: 'OK', resource, detail };
}
