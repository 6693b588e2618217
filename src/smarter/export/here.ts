/** ChangedHere are the numbers of rows of Keyward that may have changed, or that may be gone. */
export interface ChangedHere {
  readonly users: readonly string[];
  readonly tokens: readonly string[];
  readonly secrets: readonly string[];
}

/** NOTHING has not changed. */
export const NOTHING: ChangedHere = { users: [], tokens: [], secrets: [] };

export function isNothing({ users, tokens, secrets }: ChangedHere): boolean {
  return users.length + tokens.length + secrets.length === 0;
}

/** union is all that changed in any of these. */
export function union(parts: readonly ChangedHere[]): ChangedHere {
  const all = (read: (part: ChangedHere) => readonly string[]): string[] => [...new Set(parts.flatMap(read))];
  return {
    users: all(({ users }) => users),
    tokens: all(({ tokens }) => tokens),
    secrets: all(({ secrets }) => secrets),
  };
}

/** without is what changed, but for what is among others. */
export function without(changed: ChangedHere, others: ChangedHere): ChangedHere {
  const rest = (ids: readonly string[], known: readonly string[]): string[] => {
    const set = new Set(known);
    return ids.filter((id) => !set.has(id));
  };
  return {
    users: rest(changed.users, others.users),
    tokens: rest(changed.tokens, others.tokens),
    secrets: rest(changed.secrets, others.secrets),
  };
}

/** partsOf cuts what changed into parts of so many rows of a kind. */
export function* partsOf(changed: ChangedHere, rows: number): Generator<ChangedHere> {
  const { users, tokens, secrets } = changed;
  for (let from = 0; from < Math.max(users.length, tokens.length, secrets.length); from += rows) {
    const some = (ids: readonly string[]): string[] => ids.slice(from, from + rows);
    yield { users: some(users), tokens: some(tokens), secrets: some(secrets) };
  }
}

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
