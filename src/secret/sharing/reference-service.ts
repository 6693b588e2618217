import type { Caller } from '../../authz/caller.js';
import type { ReferenceRepository } from '../../db/reference-repository.js';
import { reading } from '../../db/transaction.js';
import { notFound } from '../../lib/errors.js';
import type { Page, PageQuery } from '../../lib/page.js';
import type { Reference, ReferenceSettings } from '../../lib/references.js';
import type { SecretChanges } from '../secret-changes.js';
import type { SecretFinder } from '../secret-finder.js';
import type { SecretRef } from '../secret-ref.js';

export interface ReferenceServiceDependencies {
  readonly references: ReferenceRepository;
  readonly finder: SecretFinder;
  readonly changes: SecretChanges;
}

/** ReferenceService keeps which consumers use a secret. Neither its value nor its etag depends on them. */
export class ReferenceService {
  readonly #deps: ReferenceServiceDependencies;

  constructor(deps: ReferenceServiceDependencies) {
    this.#deps = deps;
  }

  /** attach records that a consumer uses a secret; what is recorded already stays as it is. */
  async attach(caller: Caller, ref: SecretRef, reference: ReferenceSettings): Promise<Reference> {
    const { changes, references } = this.#deps;
    return changes.change(caller, ref, '', async (trx, secret) => {
      const present = await references.find(trx, secret.id, reference);
      const answer = await references.attach(trx, secret.id, reference);
      if (present !== undefined) return { secret, answer, done: [] };
      return { secret, answer, done: [{ action: 'SECRET_REFERENCE_ATTACHED', detail: detailOf(answer) }] };
    });
  }

  /** detach removes the record that a consumer uses a secret. NOT_FOUND if there is none. */
  async detach(caller: Caller, ref: SecretRef, reference: ReferenceSettings): Promise<void> {
    const { changes, references } = this.#deps;
    await changes.change(caller, ref, '', async (trx, secret) => {
      const present = await references.find(trx, secret.id, reference);
      if (present === undefined) throw notFound('reference to this secret');
      await references.delete(trx, present);
      const detail = detailOf(present);
      return { secret, answer: undefined, done: [{ action: 'SECRET_REFERENCE_DETACHED', detail }] };
    });
  }

  async list(caller: Caller, ref: SecretRef, page: PageQuery): Promise<Page<Reference>> {
    const { finder, references } = this.#deps;
    return reading(async () => {
      const { secret } = await finder.findLive(caller, ref);
      return references.list(secret.id, page);
    });
  }
}

/** detailOf names a reference by its number: a consumer's name is not for the audit log. */
function detailOf({ id, kind }: Reference): Readonly<Record<string, string>> {
  return { reference_id: String(id), kind };
}
