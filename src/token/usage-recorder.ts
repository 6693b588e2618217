import { instantFromMillis } from '../lib/instant.js';
import { LatestTimes } from '../lib/latest-times.js';
import { PeriodicTask } from '../lib/periodic-task.js';
import type { Logger } from '../telemetry/logger.js';
import type { TokenRepository } from './token-repository.js';

/** UsedRecord is what the recorder marks on the record of a token. */
interface UsedRecord {
  readonly tokenId: bigint;
  /** Milliseconds since 1970 of the latest use not yet written; 0 for none. */
  usedAt: number;
}

const BATCH = 1000;
/** Records that are held for their times; each of them may be of some kilobytes, and no longer be in any cache. */
const MAX_RECORDS = 8192;
/** Tokens whose times are kept while they cannot be written: ten megabytes. */
const MAX_TOKENS = 100_000;

/**
 * UsageRecorder keeps the times of use in memory and writes them in batches. Recording a use is two
 * assignments; a crash loses the uses of one interval and nothing else. While nothing can be written it keeps the times
 * of the tokens that were used last.
 */
export class UsageRecorder {
  readonly #tokens: Pick<TokenRepository, 'recordUse' | 'idsOfKeys'>;
  readonly #logger: Logger;
  /** Records used since they were gathered; there may be several of one token. */
  readonly #used: UsedRecord[] = [];
  readonly #gathered = new LatestTimes<number>(MAX_TOKENS);
  /** What clients told, by Token.key_id as a number. */
  readonly #reported = new LatestTimes<number>(MAX_TOKENS);
  readonly #writing = new PeriodicTask(() => this.#write());

  constructor(tokens: Pick<TokenRepository, 'recordUse' | 'idsOfKeys'>, logger: Logger) {
    this.#tokens = tokens;
    this.#logger = logger;
  }

  record(record: UsedRecord, now: number): void {
    const isFirst = record.usedAt === 0;
    record.usedAt = now;
    if (isFirst && this.#used.push(record) >= MAX_RECORDS) this.#gather();
  }

  /** report records a use that a client tells of, by Token.key_id. `usedAt` is in milliseconds since 1970. */
  report(keyId: string, usedAt: number): void {
    this.#reported.note(BigInt(`0x${keyId.replaceAll('-', '')}`), usedAt);
  }

  /** start writes every `intervalMs`, until stopped. */
  start(intervalMs: number): void {
    this.#writing.start(intervalMs);
  }

  /** stop writes what is left. */
  stop(): Promise<void> {
    return this.#writing.finish();
  }

  /** flush writes all uses recorded so far. What cannot be written is kept for the next time. */
  flush(): Promise<void> {
    return this.#writing.run();
  }

  #gather(): void {
    for (const record of this.#used) {
      this.#gathered.note(record.tokenId, record.usedAt);
      record.usedAt = 0;
    }
    this.#used.length = 0;
  }

  async #write(): Promise<void> {
    this.#gather();
    await this.#resolve();
    const uses = this.#gathered.take();
    for (let start = 0; start < uses.length; start += BATCH) {
      const batch = uses.slice(start, start + BATCH);
      try {
        await this.#tokens.recordUse(
          batch.map(([tokenId, usedAt]) => ({ tokenId, usedAt: instantFromMillis(usedAt) })),
        );
      } catch (error) {
        for (const [tokenId, usedAt] of uses.slice(start)) this.#gathered.note(tokenId, usedAt);
        this.#keep(error);
        return;
      }
    }
  }

  /** #resolve finds the tokens of which clients told. Keys that are none are forgotten. */
  async #resolve(): Promise<void> {
    const reported = this.#reported.take();
    for (let start = 0; start < reported.length; start += BATCH) {
      const batch = reported
        .slice(start, start + BATCH)
        .map(([key, usedAt]) => [uuidFrom(key), usedAt] as const);
      try {
        const ids = await this.#tokens.idsOfKeys(batch.map(([keyId]) => keyId));
        for (const [keyId, usedAt] of batch) {
          const id = ids.get(keyId);
          if (id !== undefined) this.#gathered.note(id, usedAt);
        }
      } catch (error) {
        for (const [key, usedAt] of reported.slice(start)) this.#reported.note(key, usedAt);
        this.#keep(error);
        return;
      }
    }
  }

  #keep(error: unknown): void {
    this.#logger.warn(
      {
        err: error,
        tokens: this.#gathered.size + this.#reported.size,
        dropped: this.#gathered.dropped + this.#reported.dropped,
      },
      'times of use are kept for the next write',
    );
  }
}

function uuidFrom(key: bigint): string {
  return key
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
