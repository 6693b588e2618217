import type { UserProfileRef } from '../authz/refs.js';

/** SecretRef names secrets, as `keyward.secret.v1.SecretSelector` does. Names are those of secrets that are not deleted. */
export type SecretRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'owner'; readonly owner: UserProfileRef; readonly name: string }
  | { readonly by: 'account'; readonly accountNumber: string; readonly name: string };
