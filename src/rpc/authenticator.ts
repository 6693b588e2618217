import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { Authenticatee, Caller } from '../authz/caller.js';

/** What a call proves of its caller, and where it comes from. */
export interface Credentials {
  /** The header of that name; undefined for none. */
  readonly authorization: string | undefined;
  readonly peer: string;
  readonly requestId: string;
  readonly authContext: ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>;
}

/** Authenticated is the caller of a call. */
export interface Authenticated {
  readonly caller: Authenticatee;
  /** True if the credentials may have been withdrawn meanwhile, because the database cannot be asked. */
  readonly stale: boolean;
}

/** Scoped is what has scopes. */
export interface Scoped {
  readonly scopes: readonly string[];
}

/** KnownCaller is the caller of a call whose request is still to come, by a token that memory knew. */
export interface KnownCaller {
  readonly userId: bigint;
  /** use gives what the token is worth by now; undefined if memory alone cannot decide that, or it is refused. */
  use(): Scoped | undefined;
}

/** Authenticator is what the transport asks who calls. `authn/authenticator.ts` answers. */
export interface Authenticator {
  /** authenticateFromMemory authenticates a token from memory alone; undefined if that cannot be decided or is refused. */
  authenticateFromMemory(authorization: string | undefined): Scoped | undefined;
  /** know is the same for a call whose request is still to come: `use` tells when it has. */
  know(authorization: string | undefined): KnownCaller | undefined;
  /** authenticate throws CREDENTIALS_REFUSED, with the same text, for every cause. */
  authenticate(credentials: Credentials): Promise<Authenticated>;
}

/** AuthenticationLog is told who was recognised, and from where someone was refused. */
export interface AuthenticationLog {
  succeeded(caller: Caller): void;
  failed(peer: string): void;
}

/** authorizationOf reads the header out of metadata. One that is there twice is none that could be accepted. */
export function authorizationOf(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  const [value] = values;
  if (value === undefined) return undefined;
  return values.length === 1 && typeof value === 'string' ? value : '';
}
