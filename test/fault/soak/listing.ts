/** Page is what one call of a list gave; `next` is empty with the last. */
export interface Page {
  readonly ids: readonly bigint[];
  readonly next: string;
}

/** Listing is one list that is read page by page, again and again, while others change what is in it. */
export class Listing {
  pageToken = '';
  #seen: bigint[] = [];

  /** add gives, with the last page, what is wrong with all that was read: what was always there must be in it once. */
  add({ ids, next }: Page, expected: readonly bigint[]): string[] | undefined {
    this.#seen.push(...ids);
    this.pageToken = next;
    if (next !== '') return undefined;
    const seen = this.#seen;
    this.#seen = [];
    const times = (id: bigint) => seen.filter((each) => each === id).length;
    return expected.filter((id) => times(id) !== 1).map((id) => `${id} is there ${times(id)} times`);
  }
}
