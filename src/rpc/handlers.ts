import type { Caller, LiveCall } from '../authz/caller.js';
import type { KeywardError } from '../lib/errors.js';
import type { Permission } from '../lib/scopes.js';
import type { Dialogue } from './dialogue.js';

/** Method is what ts-proto generates for one method, as far as it matters here. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(value: unknown): Buffer;
  readonly requestDeserialize: (value: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (value: Buffer) => unknown;
  /** Set where `requestDeserialize` is not generated: it must itself refuse text that is not UTF-8. */
  readonly readsBytes?: true;
}

interface UnaryMethod<Request, Response> extends Method<Request, Response> {
  readonly requestStream: false;
  readonly responseStream: false;
}

/** StreamMethod answers with any number of messages. */
interface StreamMethod<Request, Response> extends Method<Request, Response> {
  readonly requestStream: false;
  readonly responseStream: true;
}

/** ConversationMethod answers each message of a stream with one message. */
interface ConversationMethod<Request, Response> extends Method<Request, Response> {
  readonly requestStream: true;
  readonly responseStream: true;
}

/** DialogueMethod takes and gives messages that are no questions and answers. */
interface DialogueMethod<Request> extends Method<Request, Buffer> {
  readonly isDialogue: true;
}

/** Requirements are what a method demands of its callers. */
export interface Requirements {
  /** The scope that they need, or one of those that a call may need by its request: the handler asks for which. */
  readonly permission: Permission | { readonly byRequest: readonly Permission[] };
  /** Further scopes that they need, each of them. */
  readonly alsoNeeds?: readonly Permission[];
  /**
   * True for methods that also serve callers who are known only by what is remembered of them while the database
   * cannot be reached: their answers tell nothing but verdicts, which are marked as stale themselves.
   */
  readonly servesStaleCallers?: true;
  /**
   * How much of what one user may have under way a call takes, in hundredths of a call; WHOLE_CALL if not given. Less
   * for methods whose calls share their statements with those of all callers.
   */
  readonly weight?: number;
  /** Most bytes of a request, or of one message of a stream; 64 KiB if not given. The front door refuses larger ones. */
  readonly maxRequestBytes?: number;
  /** How many times the bytes of its request a call takes while it is worked on, where that is more than a few; 1 if not given. */
  readonly expansion?: number;
  /** Is told of a caller without the scopes, and done, before the refusal is sent. */
  readonly onMissingScope?: (caller: Caller) => Promise<void>;
}

/** Handler is one method's work. */
export interface Handler<Request, Response> extends Requirements {
  readonly handle: (request: Request, caller: Caller) => Promise<Response>;
  /** Answers from memory, where it can and must be fast; undefined to leave it to `handle`. */
  readonly answerFromMemory?: (request: Request) => Response | undefined;
  /** Answers a call that has failed, where its protocol has an answer for that; undefined to let it end in a status. */
  readonly answerFailure?: (error: KeywardError) => Response | undefined;
}

/** StreamHandler is the same of a method that answers with a stream. */
export interface StreamHandler<Request, Response> extends Requirements {
  /**
   * Yields the messages. The next one is asked for when the client has room for it. The iteration is ended with
   * `return` when the client has gone, and nothing waits for what it still does then.
   */
  readonly stream: (request: Request, caller: Caller, call: LiveCall) => AsyncIterable<Response>;
}

/** LiveDialogue is the call of a dialogue. */
export interface LiveDialogue extends LiveCall {
  /**
   * begin counts something that is asked for within the dialogue as the call that it could be, of a weight as in Requirements, and gives what
   * must be run when that has ended. TOO_MANY_CALLS or OVERLOADED if it may not begin.
   */
  readonly begin: (weight: number) => () => void;
}

/** DialogueHandler is the same of a method whose messages are no questions and answers. It encodes its messages itself. */
export interface DialogueHandler<Request> extends Requirements {
  /** Lives through the whole call. What it throws is the status that the call ends in. */
  readonly converse: (
    dialogue: Dialogue<Request>,
    caller: Caller,
    call: LiveDialogue,
  ) => Promise<'ended' | 'cancelled'>;
}

/**
 * Handlers has one handler for every method of a generated service, so that none can be forgotten. Each message of a
 * conversation is handled as a call of its own.
 */
export type Handlers<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends DialogueMethod<infer Request>
    ? DialogueHandler<Request>
    : Service[Name] extends
          UnaryMethod<infer Request, infer Response> | ConversationMethod<infer Request, infer Response>
      ? Handler<Request, Response>
      : Service[Name] extends StreamMethod<infer Request, infer Response>
        ? StreamHandler<Request, Response>
        : never;
};
