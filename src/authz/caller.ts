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
  /** What tells that the token presented, or its owner, was changed; not given with a certificate. */
  readonly credential?: { readonly digest: string; readonly accountId: bigint };
}

/** Origin is where a call comes from, for the audit log. */
interface Origin {
  /** Address and port of the other end of the connection, as the transport writes them. */
  readonly peer: string;
  readonly requestId: string;
  /** Common name and fingerprint of the client certificate that TLS verified; undefined without one. */
  readonly certificate: string | undefined;
}

/** Authenticatee is who makes a call, and from where. */
export interface Authenticatee extends Identity {
  readonly origin: Origin;
}

/** RepeatableMethod is a method whose calls may be given an id by which they are known when they are sent again. */
export type RepeatableMethod =
  | 'CreateToken'
  | 'CloneToken'
  | 'RotateToken'
  | 'CreateSecret'
  | 'CloneSecret'
  | 'AddSecretVersion'
  | 'CreateAccount'
  | 'CreateUser'
  | 'CreateUserProfile';

/** Caller is that of a call which is under way. */
export interface Caller extends Authenticatee {
  /** What the caller calls the call, a UUID: see DoneRequests. Not given for one that is not to be sent again. */
  readonly repeatable?: { readonly method: RepeatableMethod; readonly requestId: string };
  /** True for a call that is checked and changes nothing: see inTransactionFor. */
  readonly validatesOnly?: true;
  /** isGone tells whether nobody waits for the answer any more: the client has gone, or its deadline has passed. */
  readonly isGone: () => boolean;
}

/** LiveCall is a call that lasts: what was true of its caller when it began need not be true for ever. */
export interface LiveCall {
  /** reauthorize gives the caller as it is by now; throws if the credentials are no longer valid, or lack the scope. */
  readonly reauthorize: () => Promise<Caller>;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
}
