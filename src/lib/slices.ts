interface SliceLimits {
  readonly maxItems: number;
  /** An item over this is a slice of its own. */
  readonly maxSize: number;
}

/** slicesOf cuts a list into parts that are small enough by number and by size. */
export function* slicesOf<Item>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  { maxItems, maxSize }: SliceLimits,
): Generator<Item[]> {
  let slice: Item[] = [];
  let size = 0;
  for (const item of items) {
    const own = sizeOf(item);
    if (slice.length === maxItems || (slice.length > 0 && size + own > maxSize)) {
      yield slice;
      slice = [];
      size = 0;
    }
    slice.push(item);
    size += own;
  }
  if (slice.length > 0) yield slice;
}
