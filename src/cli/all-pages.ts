const PAGE_SIZE = 1000;

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken: string;
}

export type FetchPage<Item> = (request: PageRequest) => Promise<Page<Item>>;

/** firstPage reads as much of a list as the service gives in one answer, of the first that has anything. */
export async function firstPage<Item>(fetch: FetchPage<Item>): Promise<Page<Item>> {
  let page = await fetch({ pageSize: PAGE_SIZE, pageToken: '' });
  while (page.items.length === 0 && page.nextPageToken !== '')
    page = await fetch({ pageSize: PAGE_SIZE, pageToken: page.nextPageToken });
  return page;
}

/** allPages reads a list to its end. */
export async function allPages<Item>(fetch: FetchPage<Item>): Promise<Item[]> {
  const all: Item[] = [];
  let pageToken = '';
  do {
    const { items, nextPageToken } = await fetch({ pageSize: PAGE_SIZE, pageToken });
    all.push(...items);
    pageToken = nextPageToken;
  } while (pageToken !== '');
  return all;
}
