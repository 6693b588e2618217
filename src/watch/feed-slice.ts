import type { Instant } from '../lib/instant.js';
import type { Change, Revision } from '../coherence/change.js';
import type { Head } from '../coherence/ports.js';

/** Position is how far a watcher has come: it has every change up to a revision, and the first ones of the next. */
export interface Position extends Head {
  /** How many changes of the next revision it has. */
  readonly skip: number;
}

/** FeedItem is one change with its place. */
export interface FeedItem {
  readonly change: Change;
  readonly revision: bigint;
  readonly committedAt: Instant;
  /** Where one is who has everything up to this change. */
  readonly end: Position;
}

/** FeedSlice is some changes, in their order. All who watch are given the same object wherever they can. */
export interface FeedSlice {
  readonly items: readonly FeedItem[];
  readonly end: Position;
}

/** Start is where a watch is to begin; of whoever tells no epoch the present one is taken. */
export type Start = Omit<Position, 'epoch'> & { readonly epoch: string | undefined };

const POSITION =
  /^(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):)?(0|[1-9]\d{0,18})(?:\.([1-9]\d{0,8}))?$/;
const MAX_REVISION = 2n ** 63n - 1n;

/** formatPosition is the text form of a position. */
export function formatPosition({ epoch, revision, skip }: Position): string {
  return skip === 0 ? `${epoch}:${revision}` : `${epoch}:${revision}.${skip}`;
}

/** parsePosition reads the text form, also that of a version that told no epoch; undefined for any other text. */
export function parsePosition(text: string): Start | undefined {
  const [, epoch, revision, skip] = POSITION.exec(text) ?? [];
  if (revision === undefined || BigInt(revision) > MAX_REVISION) return undefined;
  return { epoch, revision: BigInt(revision), skip: Number(skip ?? 0) };
}

/** slicesOf cuts revisions of an epoch, of which there is at least one, into slices of up to `most` changes. */
export function slicesOf(epoch: string, revisions: readonly Revision[], most: number): FeedSlice[] {
  const items = revisions.flatMap((each) => itemsOf(epoch, each));
  const slices: FeedSlice[] = [];
  for (let first = 0; first < items.length; first += most) {
    const some = items.slice(first, first + most);
    const last = some.at(-1);
    if (last !== undefined) slices.push({ items: some, end: last.end });
  }
  const latest = revisions.at(-1);
  // What changed nothing is passed over too.
  if (latest !== undefined && slices.at(-1)?.end.revision !== latest.revision)
    slices.push({ items: [], end: { epoch, revision: latest.revision, skip: 0 } });
  return slices;
}

/** restOf is what a slice holds for one who has come to a position. */
export function restOf(slice: FeedSlice, position: Position): FeedSlice {
  const [first] = slice.items;
  if (first === undefined || isAfter(first.end, position)) return slice;
  return { items: slice.items.filter(({ end }) => isAfter(end, position)), end: slice.end };
}

/** isAfter tells whether one position is further than another of the same epoch. */
export function isAfter(one: Position, other: Position): boolean {
  return one.revision > other.revision || (one.revision === other.revision && one.skip > other.skip);
}

function itemsOf(epoch: string, { revision, committedAt, changes }: Revision): FeedItem[] {
  return changes.map((change, index) => ({
    change,
    revision,
    committedAt,
    end:
      index === changes.length - 1
        ? { epoch, revision, skip: 0 }
        : { epoch, revision: revision - 1n, skip: index + 1 },
  }));
}
