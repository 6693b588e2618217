import type { Caller } from '../account/caller.js';
import type { Permission } from '../lib/scopes.js';

/** UnaryMethod is what ts-proto generates for one unary method, as far as it matters here. */
export interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: false;
  requestSerialize(value: unknown): Buffer;
  readonly requestDeserialize: (value: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (value: Buffer) => unknown;
}

/** Handler is one method's work, and the scope that its callers need. */
export interface Handler<Request, Response> {
  readonly permission: Permission;
  readonly handle: (request: Request, caller: Caller) => Promise<Response>;
  /** Answers from memory, where it can and must be fast; undefined to leave it to `handle`. */
  readonly peek?: (request: Request) => Response | undefined;
}

/** Handlers has one handler for every method of a generated service, so that none can be forgotten. */
export type Handlers<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends UnaryMethod<infer Request, infer Response>
    ? Handler<Request, Response>
    : never;
};
