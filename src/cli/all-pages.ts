const PAGE_SIZE = 1000;

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** allPages reads a list to its end. */
export async function allPages<Item>(
  fetch: (
    request: PageRequest,
  ) => Promise<{ readonly items: readonly Item[]; readonly nextPageToken: string }>,
): Promise<Item[]> {
  const all: Item[] = [];
  let pageToken = '';
  do {
    const { items, nextPageToken } = await fetch({ pageSize: PAGE_SIZE, pageToken });
    all.push(...items);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return all;
}
