import type { Caller } from '../authz/caller.js';
import { meantByName } from '../authz/reader-rows.js';
import { accessTo, type CallerRights } from '../authz/rights.js';
import type { Transaction } from '../db/knex.js';
import { notFound, notPermitted } from '../lib/errors.js';
import { requireEtag } from '../lib/etag.js';
import { onlyOne } from '../lib/only-one.js';
import type { TokenRef } from './token-ref.js';
import type { StoredToken, TokenRepository } from './token-repository.js';
import type { Consumers } from '../lib/references.js';
import type { Token, TokenOwner } from './token.js';

/** HeldToken is a token with who holds it; after a change that takes nothing from those, without them. */
export interface HeldToken {
  readonly token: Token;
  readonly consumers: Consumers;
}

/** TokenFinder finds the tokens that callers name, and tells absence, prohibition and permission apart. */
export class TokenFinder {
  readonly #tokens: TokenRepository;

  constructor(tokens: TokenRepository) {
    this.#tokens = tokens;
  }

  /** findReadable finds a token that the caller may read, in one statement. */
  async findReadable(
    caller: Caller,
    ref: TokenRef,
  ): Promise<HeldToken & { readonly callerRights: CallerRights }> {
    const { callerRights, found } = await this.#tokens.readFor(caller, ref);
    const readable = found.filter(({ token }) => accessTo(callerRights, token.owner) !== 'none');
    return { ...onlyOne('token', readable, ({ token }) => token.id), callerRights };
  }

  /** findManaged finds a token that the caller manages. */
  async findManaged(callerRights: CallerRights, ref: TokenRef, trx: Transaction): Promise<Token> {
    const found = await this.#tokens.find(ref, trx, meantByName(callerRights));
    const readable = found.filter(({ owner }) => accessTo(callerRights, owner) !== 'none');
    const token = onlyOne('token', readable, ({ id }) => id);
    requireManage(callerRights, token.owner, 'token');
    return token;
  }

  /** lockManaged locks a token that the caller manages, with its owner, in the state that the etag marks. */
  async lockManaged(
    trx: Transaction,
    caller: Caller,
    ref: TokenRef,
    etag: string,
  ): Promise<StoredToken & { readonly callerRights: CallerRights }> {
    const { callerRights, found: named } = await this.#tokens.readFor(caller, ref, trx);
    const readable = named.filter(({ token }) => accessTo(callerRights, token.owner) !== 'none');
    const { token: found } = onlyOne('token', readable, ({ token }) => token.id);
    requireManage(callerRights, found.owner, 'token');
    // The owner first, as those lock who change users: a rank that is judged by must not change meanwhile.
    if (!(await this.#tokens.lockOwned(trx, found))) await this.#lockMoved(trx, callerRights, found);
    // A statement of its own: what the lock waited for is not in the snapshot of the locking one.
    const stored = await this.#tokens.stored(trx, found.id);
    requireEtag('token', etag, stored.token);
    return { ...stored, callerRights };
  }

  /** #lockMoved locks a token that another call has given to another owner, or deleted, since it was found. */
  async #lockMoved(trx: Transaction, callerRights: CallerRights, found: Token): Promise<void> {
    const token = await this.#tokens.lock(trx, found.id);
    if (token === undefined) throw notFound('token');
    await this.#holdOwner(trx, token);
    requireManage(callerRights, token.owner, 'token');
  }

  async #holdOwner(trx: Transaction, { owner }: Token): Promise<void> {
    await this.#tokens.findOwner(trx, { by: 'id', id: owner.profileId });
  }
}

/** requireManage refuses what the caller does not manage, as absent where the caller may not even read it. */
export function requireManage(callerRights: CallerRights, owner: TokenOwner, kind: string): void {
  const access = accessTo(callerRights, owner);
  if (access === 'none') throw notFound(kind);
  if (access === 'read') throw notPermitted(`The caller may read this ${kind} but not manage it.`);
}
