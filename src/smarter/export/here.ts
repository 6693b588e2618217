/** Part says which rows of Keyward are read. */
export interface Part {
  /** The number after which they come. */
  readonly after: string;
  readonly limit: number;
  /** Their numbers; all rows if it is not given. */
  readonly only?: readonly string[] | undefined;
}

/** among is SQL that tells whether a column is one of these numbers; none if all are meant. */
export function among(
  only: readonly string[] | undefined,
  column: string,
): { readonly sql: string; readonly bindings: string[][] } {
  if (only === undefined) return { sql: '', bindings: [] };
  return { sql: `AND ${column} = ANY (?::bigint[])`, bindings: [[...only]] };
}
