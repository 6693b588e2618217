import type { AuditLog } from '../audit/audit-log.js';
import type { Caller } from '../authz/caller.js';
import type { Database, Transaction } from '../db/knex.js';
import type { ReferenceRepository } from '../db/reference-repository.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import { KeywardError, notFound } from '../lib/errors.js';
import type { Page, PageQuery } from '../lib/page.js';
import type { Reference, ReferenceSettings } from '../lib/references.js';
import { entryOf } from './token-audit.js';
import type { TokenFinder } from './token-finder.js';
import type { TokenRef } from './token-ref.js';
import type { Token } from './token.js';

export interface TokenReferenceServiceDependencies {
  readonly knex: Database;
  readonly references: ReferenceRepository;
  readonly finder: TokenFinder;
  readonly audit: Pick<AuditLog, 'record'>;
}

const MAX_REFERENCES = 1000;

/** TokenReferenceService keeps which consumers hold a token. Neither its verdict nor its etag depends on them. */
export class TokenReferenceService {
  readonly #deps: TokenReferenceServiceDependencies;

  constructor(deps: TokenReferenceServiceDependencies) {
    this.#deps = deps;
  }

  /** attach records that a consumer holds a token; what is recorded already stays as it is. */
  async attach(caller: Caller, ref: TokenRef, settings: ReferenceSettings): Promise<Reference> {
    const { references, audit } = this.#deps;
    return this.#withLocked(caller, ref, async (trx, token) => {
      const present = await references.find(trx, token.id, settings);
      if (present === undefined) await this.#requireRoom(trx, token);
      const reference = await references.attach(trx, token.id, settings);
      if (present !== undefined) return reference;
      const entry = entryOf(caller, 'TOKEN_REFERENCE_ATTACHED', token, detailOf(reference));
      await audit.record(trx, [entry]);
      return reference;
    });
  }

  /** detach removes the record that a consumer holds a token. NOT_FOUND if there is none. */
  async detach(caller: Caller, ref: TokenRef, settings: ReferenceSettings): Promise<void> {
    const { references, audit } = this.#deps;
    await this.#withLocked(caller, ref, async (trx, token) => {
      const present = await references.find(trx, token.id, settings);
      if (present === undefined) throw notFound('reference to this token');
      await references.delete(trx, present);
      const entry = entryOf(caller, 'TOKEN_REFERENCE_DETACHED', token, detailOf(present));
      await audit.record(trx, [entry]);
    });
  }

  async list(caller: Caller, ref: TokenRef, page: PageQuery): Promise<Page<Reference>> {
    const { finder, references } = this.#deps;
    return reading(async () => {
      const { token } = await finder.findReadable(caller, ref);
      return references.list(token.id, page);
    });
  }

  async #requireRoom(trx: Transaction, { id }: Token): Promise<void> {
    const { count } = await this.#deps.references.consumersOf(id, trx);
    if (count < MAX_REFERENCES) return;
    throw new KeywardError('TOO_MANY_REFERENCES', `A token has at most ${MAX_REFERENCES} references.`, {
      metadata: { limit: String(MAX_REFERENCES) },
    });
  }

  #withLocked<T>(
    caller: Caller,
    ref: TokenRef,
    work: (trx: Transaction, token: Token) => Promise<T>,
  ): Promise<T> {
    const { knex, finder } = this.#deps;
    return inTransactionFor(caller, knex, async (trx) => {
      const { token } = await finder.lockManaged(trx, caller, ref, '');
      return work(trx, token);
    });
  }
}

/** detailOf names a reference by its number: who holds a token is recorded when that is taken away. */
function detailOf({ id, kind }: Reference): Readonly<Record<string, string>> {
  return { reference_id: String(id), kind };
}
