import { EVERYTHING } from '../../../src/coherence/notice.js';
import type { Notice } from '../../../src/coherence/ports.js';
import { digestOf, type Digest } from '../../../src/crypto/digest.js';

/** Row is the number of a row of the database, which answers are made of. */
export type Row = number;

/** How many rows there are of each kind, one kind after the other. */
const NUMBERS = { token: 4, owner: 2, secret: 2, caller: 2 } as const;
type Kind = keyof typeof NUMBERS;

const KINDS = (Object.keys(NUMBERS) as Kind[]).flatMap((kind) =>
  Array.from({ length: NUMBERS[kind] }, () => kind),
);
const rowsOf = (kind: Kind): Row[] => KINDS.flatMap((each, row) => (each === kind ? [row] : []));

export const TOKENS = rowsOf('token');
/** Owners of tokens. */
const OWNERS = rowsOf('owner');
/** A row of a secret is gone where its value may not be had: its version is disabled, the grant revoked, or it is deleted. */
export const SECRETS = rowsOf('secret');
/** Tokens of those who hold verdicts; the owner of these is never changed. */
export const CALLERS = rowsOf('caller');
export const ALL_ROWS: readonly Row[] = KINDS.map((_kind, row) => row);

/** Of tokens, and of those of callers. */
const DIGESTS: readonly (Digest | undefined)[] = KINDS.map((kind, row) =>
  kind === 'token' || kind === 'caller' ? digestOf(`${kind} ${row}`) : undefined,
);

function kindOf(row: Row): Kind | undefined {
  return KINDS[row];
}

export function digestOfRow(row: Row): Digest {
  return DIGESTS[row] ?? '';
}

export function rowOfDigest(digest: Digest): Row {
  return DIGESTS.indexOf(digest);
}

/** ownerOf is the row of a token's owner; undefined for that of a caller. */
export function ownerOf(token: Row): Row | undefined {
  return kindOf(token) === 'token' ? OWNERS[token % OWNERS.length] : undefined;
}

/** Versions is a row and all that it was: every change adds a version, in which the row may be gone. */
export class Versions {
  readonly exists: boolean[] = [true];
  /** When each version was committed. */
  readonly since: number[] = [-Infinity];

  get latest(): number {
    return this.exists.length - 1;
  }

  get isThere(): boolean {
    return this.exists.at(-1) === true;
  }

  change(exists: boolean, now: number): void {
    this.exists.push(exists);
    this.since.push(now);
  }
}

/** Change is what a transaction does. */
export interface Change {
  /** Rows that are changed, or made again, and those that are gone from then on. */
  readonly changed: readonly Row[];
  readonly gone: readonly Row[];
  /** Those that were to be changed and are already as wanted. */
  readonly unchanged: readonly Row[];
  /** True if the notice does not tell what was changed. */
  readonly isUntold: boolean;
  readonly barrier?: { readonly id: string; readonly writer: string };
}

export const NO_CHANGE: Change = { changed: [], gone: [], unchanged: [], isUntold: false };

export function rowsMeant({ changed, gone, unchanged }: Change): Row[] {
  return [...changed, ...gone, ...unchanged];
}

/** evictionOf is what the triggers tell of a change. */
export function evictionOf({ changed, gone, isUntold }: Change): Notice['eviction'] {
  if (isUntold) return EVERYTHING;
  const rows = [...changed, ...gone];
  const idsOf = (kind: Kind): bigint[] => rows.filter((row) => kindOf(row) === kind).map(BigInt);
  return {
    everything: false,
    digests: rows.filter((row) => DIGESTS[row] !== undefined).map(digestOfRow),
    owners: { userIds: idsOf('owner'), accountIds: [], profileIds: [] },
    secretIds: idsOf('secret'),
  };
}
