import type { ServiceDefinition } from '@grpc/grpc-js';
import type { KeywardError } from '../../lib/errors.js';
import type { Authenticated, KnownCaller } from '../authenticator.js';
import type { Work } from './load-limit.js';

/** MethodRule is what the front door has to know of a method. */
export interface MethodRule {
  readonly path: string;
  /** Most bytes of one message. */
  readonly maxRequestBytes: number;
  /** How many times the bytes of its request a call counts for while it is worked on. */
  readonly expansion: number;
  /** True for methods that take a stream of messages. */
  readonly isConversation: boolean;
  /** True for methods that need no credentials. */
  readonly isOpen: boolean;
  /** True for methods whose answer is a stream, which may have no end. */
  readonly lasts: boolean;
  /**
   * Answers a message of a caller who is known, if memory can tell both; undefined for methods that memory never
   * answers. Nothing may have happened where it gives undefined.
   */
  readonly answerFromMemory?: AnswerFromMemory | undefined;
  /** Gives the message that a call is answered with which is refused here; undefined to end it in a status. */
  readonly answerFailure?: ((error: KeywardError) => Buffer | undefined) | undefined;
}

/** AnswerFromMemory gives the message of the answer; undefined to leave the call to the library. */
export type AnswerFromMemory = (message: Buffer, known: KnownCaller) => Buffer | undefined;

/** MethodRules are those of all methods, by their paths. */
export type MethodRules = ReadonlyMap<string, MethodRule>;

/** Most bytes of a request to an open method: the name of a service, or of a type. */
const MAX_OPEN_REQUEST_BYTES = 4 * 1024;

/** openMethods are the rules of a service that needs no credentials. */
export function openMethods(service: ServiceDefinition): MethodRule[] {
  return Object.values(service).map(({ path, requestStream, responseStream }) => ({
    path,
    maxRequestBytes: MAX_OPEN_REQUEST_BYTES,
    expansion: 1,
    isConversation: requestStream,
    isOpen: true,
    lasts: responseStream,
  }));
}

/** Judged is a call whose credentials took asking. */
export interface Judged {
  readonly requestId: string;
  /** Of `performance.now()`. */
  readonly startedAt: number;
  /** Who calls; undefined if the request came after that was found out, so that it may have changed since. */
  readonly found: Authenticated | undefined;
}

/** Admission is what the front door knows of a call that it let in. */
export interface Admission {
  /** The token that memory knew. What it is worth may have changed since. */
  readonly known: KnownCaller | undefined;
  /** Set if the call had to wait for its credentials to be judged. */
  readonly judged: Judged | undefined;
  /** What the call counts as; undefined where it counts as nothing. */
  readonly work: Work | undefined;
  /** Aborted, with the error that it ends in, when a message of a stream is refused. */
  readonly fault: AbortController | undefined;
}
