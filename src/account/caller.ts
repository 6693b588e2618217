/** Caller is who makes a call, as its credentials prove. */
export interface Caller {
  readonly userId: bigint;
  readonly username: string;
  /** The profile that owns the token presented; undefined with a certificate. */
  readonly profileId: bigint | undefined;
  /** Token.key_id of the token presented; undefined with a certificate. */
  readonly keyId: string | undefined;
  readonly scopes: readonly string[];
}
