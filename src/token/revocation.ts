import type { AuditLog } from '../audit/audit-log.js';
import type { Caller } from '../authz/caller.js';
import type { CallerRights, CallerRightsReader } from '../authz/rights.js';
import type { Begun, Propagated, PropagatedChanges } from '../coherence/propagated-changes.js';
import type { Transaction } from '../db/knex.js';
import type { ReferenceRepository } from '../db/reference-repository.js';
import { consumerDetail, NO_CONSUMERS, together, type Consumers } from '../lib/references.js';
import { entriesBy } from './token-audit.js';
import type { TokenRepository } from './token-repository.js';
import type { TokenOwner } from './token.js';

/** Tokens in a batch: it takes some ten milliseconds, for which other changes may have to wait. */
const BATCH = 500;
/** Batches under way at once: one is deleted while what was deleted before is recorded. */
const LANES = 2;

/** OwnersOf tells whose tokens to delete, in the order of their numbers, and refuses it where the caller may not. */
type OwnersOf = (trx: Transaction, callerRights: CallerRights) => Promise<readonly TokenOwner[]>;

/** Place is a token, by its profile and its name. */
interface Place {
  readonly profileId: bigint;
  readonly name: string;
}

/** Deleted is tokens of one profile that were deleted. */
interface Deleted {
  readonly owner: TokenOwner;
  readonly ids: readonly bigint[];
}

/** Revoked is how many tokens were deleted, and who held them. */
export interface Revoked {
  readonly count: number;
  readonly consumers: Consumers;
}

/** Batch is what one transaction has deleted, with who held which, and where it ended; undefined if there are no more behind that. */
interface Batch {
  readonly deleted: readonly Deleted[];
  readonly consumers: ReadonlyMap<bigint, Consumers>;
  readonly place: Place | undefined;
}

export interface RevocationDependencies {
  readonly tokens: Pick<TokenRepository, 'deleteSome'>;
  readonly references: Pick<ReferenceRepository, 'consumersOfEach'>;
  readonly rightsReader: CallerRightsReader;
  readonly audit: Pick<AuditLog, 'record'>;
  readonly changes: Pick<PropagatedChanges, 'begin'>;
  readonly evictProfiles: (profileIds: readonly bigint[]) => void;
}

/** Revocation deletes the tokens of owners, however many, for one caller. What is deleted stays so where a batch fails. */
export class Revocation {
  readonly #deps: RevocationDependencies;
  readonly #caller: Caller;
  readonly #ownersOf: OwnersOf;
  #count = 0;
  #consumers = NO_CONSUMERS;

  constructor(deps: RevocationDependencies, caller: Caller, ownersOf: OwnersOf) {
    this.#deps = deps;
    this.#caller = caller;
    this.#ownersOf = ownersOf;
  }

  /** run deletes them, waits once for all replicas, and tells what was deleted. */
  async run(): Promise<Propagated<Revoked>> {
    const first = await this.#delete();
    const { place } = first.result;
    if (place !== undefined) await this.#inLanes(place);
    const last = place === undefined ? first : await this.#rest();
    const result = { count: this.#count, consumers: this.#consumers };
    return { result, propagation: await last.seen() };
  }

  /** #inLanes deletes those behind a place, but for what others hold. No lane waits for rows of another. */
  async #inLanes(place: Place): Promise<void> {
    let isBroken = false;
    const lane = async (): Promise<void> => {
      try {
        let after: Place | undefined = place;
        while (after !== undefined && !isBroken) {
          after = (await this.#delete(after, { skipLocked: true })).result.place;
        }
      } catch (error) {
        isBroken = true;
        throw error;
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: LANES }, lane));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /** #rest deletes those that were held, or made meanwhile, until one batch has found all that there are. */
  async #rest(): Promise<Begun<Batch>> {
    for (;;) {
      let batch = await this.#delete();
      if (batch.result.place === undefined) return batch;
      while (batch.result.place !== undefined) batch = await this.#delete(batch.result.place);
    }
  }

  async #delete(after?: Place, { skipLocked = false } = {}): Promise<Begun<Batch>> {
    const { rightsReader, references, audit, changes, evictProfiles } = this.#deps;
    const begun = await changes.begin(
      this.#caller,
      async (trx) => {
        const owners = await this.#ownersOf(trx, await rightsReader.of(this.#caller, trx));
        const { deleted, place } = await this.#deleteSome(trx, owners, after, skipLocked);
        const consumers = await references.consumersOfEach(
          deleted.flatMap(({ ids }) => ids),
          trx,
        );
        const entry = entriesBy(this.#caller);
        const entries = deleted.flatMap(({ owner, ids }) =>
          ids.map((id) =>
            entry('TOKEN_DELETED', { id, owner }, consumerDetail(consumers.get(id) ?? NO_CONSUMERS)),
          ),
        );
        await audit.record(trx, entries);
        return { deleted, consumers, place };
      },
      ({ deleted }) => {
        evictProfiles(deleted.map(({ owner }) => owner.profileId));
      },
    );
    const { deleted, consumers } = begun.result;
    for (const { ids } of deleted) this.#count += ids.length;
    for (const each of consumers.values()) this.#consumers = together(this.#consumers, each);
    return begun;
  }

  async #deleteSome(
    trx: Transaction,
    owners: readonly TokenOwner[],
    after: Place | undefined,
    skipLocked: boolean,
  ): Promise<Omit<Batch, 'consumers'>> {
    const deleted: Deleted[] = [];
    let left = BATCH;
    for (const owner of owners) {
      const { profileId } = owner;
      if (after !== undefined && profileId < after.profileId) continue;
      const from = after?.profileId === profileId ? after.name : undefined;
      const { ids, last } = await this.#deps.tokens.deleteSome(trx, profileId, from, left, skipLocked);
      if (ids.length > 0) deleted.push({ owner, ids });
      left -= ids.length;
      if (left === 0 && last !== undefined) return { deleted, place: { profileId, name: last } };
    }
    return { deleted, place: undefined };
  }
}
