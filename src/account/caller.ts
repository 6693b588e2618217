/** Identity is who makes a call, as its credentials prove. */
export interface Identity {
  readonly userId: bigint;
  readonly username: string;
  /** The profile that owns the token presented; undefined with a certificate. */
  readonly profileId: bigint | undefined;
  /** The number of that profile's account; undefined with a certificate. */
  readonly accountNumber: string | undefined;
  /** Token.key_id of the token presented; undefined with a certificate. */
  readonly keyId: string | undefined;
  readonly scopes: readonly string[];
}

/** Origin is where a call comes from, for the audit log. */
interface Origin {
  /** Address and port of the other end of the connection, as the transport writes them. */
  readonly peer: string;
  readonly requestId: string;
  /** Common name and fingerprint of the client certificate that TLS verified; undefined without one. */
  readonly certificate: string | undefined;
}

/** Caller is who makes a call, and from where. */
export interface Caller extends Identity {
  readonly origin: Origin;
}

/** LiveCall is a call that lasts: what was true of its caller when it began need not be true for ever. */
export interface LiveCall {
  /** reauthorize gives the caller as it is by now; throws if the credentials are no longer valid, or lack the scope. */
  readonly reauthorize: () => Promise<Caller>;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
}
