import type { Knex } from 'knex';
import { codePoints } from '../lib/text.js';
import { query } from './target-store.js';

const LONGEST = 255;

/** NameWish is the name that a token should have among the tokens of its owner. */
export interface NameWish {
  readonly ownerId: string;
  readonly name: string;
  /** The token, where it is already here. */
  readonly tokenId: string | undefined;
}

/** numbered puts `-2`, `-3`, ... behind a name, and shortens it where it would become too long. */
export function numbered(name: string, number: number): string {
  const suffix = `-${number}`;
  if (codePoints(name) + suffix.length <= LONGEST) return name + suffix;
  return (
    Array.from(name)
      .slice(0, LONGEST - suffix.length)
      .join('') + suffix
  );
}

/** Wanted is one name of one owner, the tokens that still want it, and the next number to try. */
interface Wanted {
  readonly ownerId: string;
  readonly name: string;
  readonly wishes: number[];
  next: number;
}

/** Most names whose numbers are remembered from batch to batch. */
const REMEMBERED = 10_000;

/**
 * TokenNames grants every token its name if no other token of its owner has it, or else the first free one of
 * `name-2`, `name-3`, ...
 */
export class TokenNames {
  // Only saves time where very many tokens share a name.
  readonly #next = new Map<string, number>();

  /** grant answers the wishes in their order. */
  async grant(trx: Knex.Transaction, wishes: readonly NameWish[]): Promise<string[]> {
    const granted = new Map<number, string>();
    const taken = new Set<string>();
    const holders = await findHolders(trx, wishes);
    const wanted = new Map<string, Wanted>();
    wishes.forEach(({ ownerId, name, tokenId }, index) => {
      const key = nameKey(ownerId, name);
      const holder = holders.get(key);
      if (!taken.has(key) && (holder === undefined || holder === tokenId)) {
        taken.add(key);
        granted.set(index, name);
        return;
      }
      const others = wanted.get(key);
      if (others) others.wishes.push(index);
      else wanted.set(key, { ownerId, name, wishes: [index], next: this.#next.get(key) ?? 2 });
    });

    for (let spare = 4, open = [...wanted.values()]; open.length > 0; spare *= 4) {
      await grantNumbered(trx, open, spare, { wishes, granted, taken });
      open = open.filter((names) => names.wishes.length > 0);
    }

    if (this.#next.size > REMEMBERED) this.#next.clear();
    for (const [key, { next }] of wanted) this.#next.set(key, next);
    return wishes.map(({ name }, index) => granted.get(index) ?? name);
  }

  /** forget is for when names that were granted did not come to stay. */
  forget(): void {
    this.#next.clear();
  }
}

/** grantNumbered asks for as many numbered names as are wanted, and some to spare, and grants those that are free. */
async function grantNumbered(
  trx: Knex.Transaction,
  open: readonly Wanted[],
  spare: number,
  state: { wishes: readonly NameWish[]; granted: Map<number, string>; taken: Set<string> },
): Promise<void> {
  const candidates = open.map(({ ownerId, name, wishes, next }) =>
    Array.from({ length: wishes.length + spare }, (_, offset) => ({
      ownerId,
      name: numbered(name, next + offset),
    })),
  );
  const holders = await findHolders(trx, candidates.flat());
  open.forEach((wanted, position) => {
    for (const { ownerId, name } of candidates[position] ?? []) {
      const index = wanted.wishes[0];
      if (index === undefined) return;
      wanted.next += 1;
      const key = nameKey(ownerId, name);
      const holder = holders.get(key);
      if (state.taken.has(key) || (holder !== undefined && holder !== state.wishes[index]?.tokenId)) continue;
      state.taken.add(key);
      state.granted.set(index, name);
      wanted.wishes.shift();
    }
  });
}

function nameKey(ownerId: string, name: string): string {
  return `${ownerId} ${name}`;
}

/** findHolders tells which token has which of these names. */
async function findHolders(
  trx: Knex.Transaction,
  names: readonly { readonly ownerId: string; readonly name: string }[],
): Promise<Map<string, string>> {
  const holders = await query<{ owner_id: string; name: string; id: string }>(
    trx,
    `SELECT t.user_profile_id::text AS owner_id, t.name, t.id::text AS id
     FROM unnest(?::bigint[], ?::text[]) AS r (owner_id, name)
     JOIN tokens t ON t.user_profile_id = r.owner_id AND t.name = r.name`,
    [names.map(({ ownerId }) => ownerId), names.map(({ name }) => name)],
  );
  return new Map(holders.map((holder) => [nameKey(holder.owner_id, holder.name), holder.id]));
}
