import { namedOwner } from '../authz/owner-rows.js';
import type { Condition } from '../authz/reader-rows.js';
import type { UserProfileRef } from '../authz/refs.js';

/** TokenRef names tokens, as `keyward.token.v1.TokenSelector` does. */
export type TokenRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'key_id'; readonly keyId: string }
  | { readonly by: 'owner'; readonly owner: UserProfileRef; readonly name: string }
  | { readonly by: 'account'; readonly accountNumber: string; readonly name: string };

/** namedToken is whether a token `t`, with its owner, is what a reference names. */
export function namedToken(ref: TokenRef): Condition {
  if (ref.by === 'id') return { sql: 't.id = ?', bindings: [String(ref.id)] };
  if (ref.by === 'key_id') return { sql: 't.key_id = ?', bindings: [ref.keyId] };
  const among =
    ref.by === 'owner'
      ? namedOwner(ref.owner)
      : { sql: 'a.account_number = ?', bindings: [ref.accountNumber] };
  return { sql: `${among.sql} AND t.name = ?`, bindings: [...among.bindings, ref.name] };
}
