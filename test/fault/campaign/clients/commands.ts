import type { Said } from './said.js';

/** What a client's process is told by, and what it tells. */

/** Known is a plaintext that a client may ask for. */
export interface Known {
  readonly number: number;
  readonly plaintext: string;
  /** True if nobody changes it. */
  readonly isBystander: boolean;
}

export interface ClientOptions {
  /** URL of the client package's module; that of this checkout if not given. */
  readonly module?: string;
  /** host:port of each replica. */
  readonly servers: readonly string[];
  readonly token: string;
  readonly label: string;
  readonly seed: number;
  /** Milliseconds from one stretch of questions to the next. */
  readonly paceMs: number;
  /** Questions at a stretch. */
  readonly stretch: number;
  readonly timeoutMs: number;
}

export type ClientCommand =
  | { readonly open: ClientOptions }
  /** Asks for these from now on. */
  | { readonly know: readonly Known[] }
  /** Asks for these at once too. */
  | { readonly follow: readonly Known[] }
  /** Steps the wall clock; 0 puts it right. */
  | { readonly stepClock: number }
  /** Answers with `held`. */
  | { readonly count: readonly Known[] }
  /** Ends with `finished`. */
  | { readonly finish: true };

export type ClientReport =
  | { readonly opened: true }
  | { readonly said: readonly Said[] }
  /** How many of those it was asked to count are in its memory. */
  | { readonly held: number }
  | { readonly finished: true };
