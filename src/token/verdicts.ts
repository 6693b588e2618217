import type { VerdictCache } from '../coherence/verdict-cache.js';
import type { Clock } from '../lib/clock.js';
import { digestOf, LONGEST_PLAINTEXT } from './token.js';
import type { UsageRecorder } from './usage-recorder.js';
import { judge, type KnownReason, type VerdictFacts, type VerdictRecord } from './verdict.js';

export type Verdict =
  | { readonly reason: 'UNKNOWN'; readonly record: undefined }
  | { readonly reason: KnownReason; readonly record: VerdictRecord };

const UNKNOWN: Verdict = { reason: 'UNKNOWN', record: undefined };
const NO_SCOPES: readonly string[] = [];

/** Verdicts judges presented texts. A text that passes counts as a use of its token. */
export class Verdicts {
  readonly #cache: VerdictCache<VerdictFacts, VerdictRecord>;
  readonly #usage: UsageRecorder;
  readonly #clock: Clock;

  constructor(cache: VerdictCache<VerdictFacts, VerdictRecord>, usage: UsageRecorder, clock: Clock) {
    this.#cache = cache;
    this.#usage = usage;
    this.#clock = clock;
  }

  /** peek judges from memory; undefined if the database must be asked. `text` may be its UTF-8 bytes. */
  peek(text: string | Uint8Array, requiredScopes: readonly string[]): Verdict | undefined {
    if (isTooLong(text)) return UNKNOWN;
    const now = this.#clock.now();
    const record = this.#cache.peek(digestOf(text), now);
    return record === undefined ? undefined : this.#judge(record, requiredScopes, now);
  }

  /** validate judges from memory or from the database. DATABASE_UNAVAILABLE if neither can tell. */
  async validate(text: string | Uint8Array, requiredScopes: readonly string[]): Promise<Verdict> {
    if (isTooLong(text)) return UNKNOWN;
    const record = await this.#cache.get(digestOf(text));
    return this.#judge(record, requiredScopes, this.#clock.now());
  }

  /** peekValid returns the record of a token that passes, if memory can tell. */
  peekValid(text: string): VerdictRecord | undefined {
    const verdict = this.peek(text, NO_SCOPES);
    return verdict?.reason === 'OK' ? verdict.record : undefined;
  }

  /** findValid returns the record of a token that passes, undefined for all others. */
  async findValid(text: string): Promise<VerdictRecord | undefined> {
    const verdict = await this.validate(text, NO_SCOPES);
    return verdict.reason === 'OK' ? verdict.record : undefined;
  }

  #judge(record: VerdictRecord | null, requiredScopes: readonly string[], now: number): Verdict {
    if (record === null) return UNKNOWN;
    const reason = judge(record, requiredScopes, now);
    if (reason === 'OK') this.#usage.record(record, now);
    return { reason, record };
  }
}

function isTooLong(text: string | Uint8Array): boolean {
  if (typeof text !== 'string') return text.length > LONGEST_PLAINTEXT;
  // No character takes more than three bytes for each unit of a string.
  return text.length * 3 > LONGEST_PLAINTEXT && Buffer.byteLength(text) > LONGEST_PLAINTEXT;
}
