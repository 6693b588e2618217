import type { Digest } from '../crypto/digest.js';
import type { Eviction } from '../coherence/ports.js';
import { handleOf, type Handle } from './handles.js';
import type { HolderIdentity } from './holder-identity.js';

/** HeldChange is what a notice tells of, as clients hold it. */
export interface HeldChange {
  readonly everything: boolean;
  readonly digests: ReadonlySet<Digest>;
  readonly handles: readonly Handle[];
  readonly owners: Eviction['owners'];
  readonly hasOwners: boolean;
  readonly secretIds: readonly bigint[] | 'all';
}

/** With more digests than this everything is forgotten: a handle for each would take longer than to ask anew. */
const MAX_DIGESTS = 1_000;

export function heldChange(eviction: Eviction, epoch: string): HeldChange {
  const { digests, owners, secretIds } = eviction;
  const everything = eviction.everything || digests.length > MAX_DIGESTS;
  return {
    everything,
    digests: new Set(digests),
    handles: everything ? [] : digests.map((digest) => handleOf(epoch, digest)),
    owners,
    hasOwners: owners.profileIds.length + owners.userIds.length + owners.accountIds.length > 0,
    secretIds,
  };
}

/** EVERYTHING_CHANGED is for a client of which, or about which, it is not known what has changed. */
export const EVERYTHING_CHANGED: HeldChange = {
  everything: true,
  digests: new Set(),
  handles: [],
  owners: { profileIds: [], userIds: [], accountIds: [] },
  hasOwners: false,
  secretIds: [],
};

/** overtakes tells whether something that was begun to be read before may be wrong now. A secret has no digest. */
export function overtakes(change: HeldChange, digest: Digest | undefined): boolean {
  if (change.everything || change.hasOwners) return true;
  return digest === undefined ? change.secretIds.length > 0 : change.digests.has(digest);
}

/** concerns tells whether what a caller may do can be another by now. */
export function concerns(
  { everything, digests, owners, hasOwners }: HeldChange,
  caller: HolderIdentity,
): boolean {
  if (everything || (caller.digest !== undefined && digests.has(caller.digest))) return true;
  if (!hasOwners) return false;
  const isOneOf = (id: bigint | undefined, ids: readonly bigint[]): boolean =>
    id !== undefined && ids.includes(id);
  return (
    isOneOf(caller.userId, owners.userIds) ||
    isOneOf(caller.profileId, owners.profileIds) ||
    isOneOf(caller.accountId, owners.accountIds)
  );
}

/** Forgotten is what a client is told to forget. */
export interface Forgotten {
  readonly everything: boolean;
  readonly handles: readonly Handle[];
  readonly owners: Eviction['owners'];
  readonly secretIds: readonly bigint[];
  readonly allSecrets: boolean;
}

const NOBODY = { profileIds: [], userIds: [], accountIds: [] };
const NOTHING: Forgotten = {
  everything: false,
  handles: [],
  owners: NOBODY,
  secretIds: [],
  allSecrets: false,
};

export const ALL_FORGOTTEN: Forgotten = { ...NOTHING, everything: true };

export function forgottenHandles(handles: readonly Handle[]): Forgotten {
  return { ...NOTHING, handles };
}

/** together is what all of some tell; undefined for none. */
export function together(all: readonly Forgotten[]): Forgotten | undefined {
  if (all.length <= 1) return all[0];
  if (all.some(({ everything }) => everything)) return ALL_FORGOTTEN;
  const union = <T>(read: (each: Forgotten) => readonly T[]): T[] => [...new Set(all.flatMap(read))];
  return {
    everything: false,
    handles: union(({ handles }) => handles),
    owners: {
      profileIds: union(({ owners }) => owners.profileIds),
      userIds: union(({ owners }) => owners.userIds),
      accountIds: union(({ owners }) => owners.accountIds),
    },
    secretIds: union(({ secretIds }) => secretIds),
    allSecrets: all.some(({ allSecrets }) => allSecrets),
  };
}
