/** Refs name resources as the selectors of `keyward.account.v1` do, with public ids already read. */

export type AccountRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'account_number'; readonly accountNumber: string };

export type UserRef =
  { readonly by: 'id'; readonly id: bigint } | { readonly by: 'username'; readonly username: string };

export type UserProfileRef =
  | { readonly by: 'id'; readonly id: bigint }
  | { readonly by: 'membership'; readonly username: string; readonly accountNumber: string };
