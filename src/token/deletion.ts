import type { Transaction } from '../db/knex.js';
import type { TokenRepository } from './token-repository.js';
import type { TokenOwner } from './token.js';

/** Tokens in a batch: it takes some tens of milliseconds, for which other changes may have to wait. */
const BATCH = 1_000;

/** Place is a token, by its profile and its name. */
export interface Place {
  readonly profileId: bigint;
  readonly name: string;
}

/** Deleted is tokens of one profile that were deleted. */
interface Deleted {
  readonly owner: TokenOwner;
  readonly ids: readonly bigint[];
}

/**
 * deleteSome deletes a batch of the tokens of profiles, which are in the order of their numbers: those behind a place, or
 * the first ones. It gives where the batch ends; undefined if there are no more behind it.
 */
export async function deleteSome(
  tokens: Pick<TokenRepository, 'deleteSome'>,
  trx: Transaction,
  owners: readonly TokenOwner[],
  after: Place | undefined,
): Promise<{ readonly deleted: readonly Deleted[]; readonly place: Place | undefined }> {
  const deleted: Deleted[] = [];
  let left = BATCH;
  for (const owner of owners) {
    const { profileId } = owner;
    if (after !== undefined && profileId < after.profileId) continue;
    const from = after?.profileId === profileId ? after.name : undefined;
    const { ids, last } = await tokens.deleteSome(trx, profileId, from, left);
    if (ids.length > 0) deleted.push({ owner, ids });
    left -= ids.length;
    if (left === 0 && last !== undefined) return { deleted, place: { profileId, name: last } };
  }
  return { deleted, place: undefined };
}
