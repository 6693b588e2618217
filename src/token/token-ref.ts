import type { UserProfileRef } from '../authz/refs.js';

/** TokenRef names tokens, as `keyward.token.v1.TokenSelector` does. */
export type TokenRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'key_id'; readonly keyId: string }
  | { readonly by: 'owner'; readonly owner: UserProfileRef; readonly name: string }
  | { readonly by: 'account'; readonly accountNumber: string; readonly name: string };
