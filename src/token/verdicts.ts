/**
 * `token/` keeps tokens and judges them. A verdict says whether a text may pass, and why not. It comes from memory
 * (`verdict-cache.ts`) wherever the lease of the replica allows, else from one look-up (`miss-loader.ts`).
 *
 *     const verdict = await verdicts.validate(text, ['orders.read']);
 *     if (verdict.reason === 'OK') serve(verdict.record.owner);
 */

import type { OutagePolicy, Source } from '../coherence/outage-policy.js';
import type { Clock } from '../lib/clock.js';
import { fitting, requireFit } from '../lib/page-size.js';
import { digestOf, type Digest } from '../crypto/digest.js';
import { MAX_PLAINTEXT } from './token.js';
import type { UsageRecorder } from './usage-recorder.js';
import { judge, type KnownReason, type VerdictRecord } from './verdict.js';

export type Verdict =
  | { readonly reason: 'UNKNOWN'; readonly record: undefined; readonly stale: false }
  | {
      readonly reason: KnownReason;
      readonly record: VerdictRecord;
      /** True if the record may have been changed since, because the database cannot be asked. */
      readonly stale: boolean;
    };

/** Presented is a text to judge; the token may be its UTF-8 bytes. */
export interface Presented {
  readonly token: string | Uint8Array;
  readonly requiredScopes: readonly string[];
}

/** Passing is the verdict on a token that passes. */
export type Passing = Extract<Verdict, { readonly reason: KnownReason }> & { readonly reason: 'OK' };

/** Known is a token that memory knew, and that passed. */
export interface Known {
  readonly digest: Digest;
  readonly record: VerdictRecord;
}

const UNKNOWN: Verdict = { reason: 'UNKNOWN', record: undefined, stale: false };
/** What an answer takes that tells nothing of an owner, and a mark that it is stale. */
const SMALL_ANSWER = 64;
const NOTHING = { record: null, stale: false } as const;
const NO_SCOPES: readonly string[] = [];

/** Verdicts judges presented texts. A text that passes counts as a use of its token. */
export class Verdicts {
  readonly #records: Pick<OutagePolicy<VerdictRecord>, 'memory' | 'get'>;
  readonly #usage: UsageRecorder;
  readonly #clock: Clock;

  constructor(
    records: Pick<OutagePolicy<VerdictRecord>, 'memory' | 'get'>,
    usage: UsageRecorder,
    clock: Clock,
  ) {
    this.#records = records;
    this.#usage = usage;
    this.#clock = clock;
  }

  /** judgeFromMemory judges from memory; undefined if the database must be asked. `text` may be its UTF-8 bytes. */
  judgeFromMemory(text: string | Uint8Array, requiredScopes: readonly string[]): Verdict | undefined {
    const { memory } = this.#records;
    return memory && this.#judgeIn(memory, text, requiredScopes, this.#clock.now());
  }

  /** judgeAllFromMemory does as validateAll from memory, as it is at one moment; undefined if it cannot judge all of them, or the answers do not fit. */
  judgeAllFromMemory(presented: readonly Presented[]): Verdict[] | undefined {
    const { memory } = this.#records;
    if (memory === undefined) return undefined;
    const now = this.#clock.now();
    const records: (VerdictRecord | null)[] = [];
    for (const { token } of presented) {
      const record = isTooLong(token) ? null : memory.lookUp(digestOf(token), now);
      if (record === undefined) return undefined;
      records.push(record);
    }
    if (fitting(records.map(answerBytes)) < records.length) return undefined;
    return presented.map(({ requiredScopes }, index) =>
      this.#judge(records[index] ?? null, false, requiredScopes, now),
    );
  }

  /** validate judges from memory or from the database. DATABASE_UNAVAILABLE if neither can tell. */
  async validate(text: string | Uint8Array, requiredScopes: readonly string[]): Promise<Verdict> {
    if (isTooLong(text)) return UNKNOWN;
    const { record, stale } = await this.#records.get(digestOf(text), this.#clock.now());
    return this.#judge(record, stale, requiredScopes, this.#clock.now());
  }

  /**
   * validateAll judges several from memory or from the database. ANSWERS_TOO_LARGE, and none is judged, if the answers take
   * more than a message may.
   */
  async validateAll(presented: readonly Presented[]): Promise<Verdict[]> {
    const now = this.#clock.now();
    const found = await Promise.all(
      presented.map(({ token }) =>
        isTooLong(token) ? Promise.resolve(NOTHING) : this.#records.get(digestOf(token), now),
      ),
    );
    requireFit(found.map(({ record }) => answerBytes(record)));
    return presented.map(({ requiredScopes }, index) => {
      const { record, stale } = found[index] ?? NOTHING;
      return this.#judge(record, stale, requiredScopes, this.#clock.now());
    });
  }

  /** validFromMemory returns the record of a token that passes, if memory can tell. */
  validFromMemory(text: string): VerdictRecord | undefined {
    const verdict = this.judgeFromMemory(text, NO_SCOPES);
    return verdict?.reason === 'OK' ? verdict.record : undefined;
  }

  /** know returns a token that passes, if memory can tell. It has not been used by that yet. */
  know(text: string): Known | undefined {
    const { memory } = this.#records;
    if (memory === undefined || isTooLong(text)) return undefined;
    const now = this.#clock.now();
    const digest = digestOf(text);
    const record = memory.lookUp(digest, now);
    if (record === undefined || record === null || judge(record, NO_SCOPES, now) !== 'OK') return undefined;
    return { digest, record };
  }

  /** use returns the record of a token that was known a moment ago, if memory still holds it and it still passes. */
  use({ digest, record }: Known): VerdictRecord | undefined {
    const now = this.#clock.now();
    const isHeld = record.staleAt > now && this.#records.memory?.recall(digest) === record;
    return isHeld && this.#judge(record, false, NO_SCOPES, now).reason === 'OK' ? record : undefined;
  }

  /** findValid returns the verdict on a token that passes, undefined for all others. */
  async findValid(text: string): Promise<Passing | undefined> {
    const verdict = await this.validate(text, NO_SCOPES);
    return isPassing(verdict) ? verdict : undefined;
  }

  #judgeIn(
    memory: Pick<Source<VerdictRecord>, 'lookUp'>,
    text: string | Uint8Array,
    requiredScopes: readonly string[],
    now: number,
  ): Verdict | undefined {
    if (isTooLong(text)) return UNKNOWN;
    const record = memory.lookUp(digestOf(text), now);
    return record === undefined ? undefined : this.#judge(record, false, requiredScopes, now);
  }

  #judge(
    record: VerdictRecord | null,
    stale: boolean,
    requiredScopes: readonly string[],
    now: number,
  ): Verdict {
    if (record === null) return UNKNOWN;
    const reason = judge(record, requiredScopes, now);
    if (reason === 'OK') this.#usage.record(record, now);
    return { reason, record, stale };
  }
}

/** answerBytes is the most that the answer to a token takes. One that is refused is told less of. */
function answerBytes(record: VerdictRecord | null): number {
  return SMALL_ANSWER + (record?.answer.length ?? 0);
}

/** isPassing tells whether a token passes. */
export function isPassing(verdict: Verdict): verdict is Passing {
  return verdict.reason === 'OK';
}

function isTooLong(text: string | Uint8Array): boolean {
  if (typeof text !== 'string') return text.length > MAX_PLAINTEXT;
  // No character takes more than three bytes for each unit of a string.
  return text.length * 3 > MAX_PLAINTEXT && Buffer.byteLength(text) > MAX_PLAINTEXT;
}
