import { instantFromMillis } from '../lib/instant.js';
import { Repetition } from '../lib/repetition.js';
import type { Logger } from '../telemetry/logger.js';
import type { TokenRepository } from './token-repository.js';

/** UsedRecord is what the recorder marks on the record of a token. */
interface UsedRecord {
  readonly tokenId: bigint;
  /** Milliseconds since 1970 of the latest use not yet written; 0 for none. */
  usedAt: number;
}

const BATCH = 1000;

/**
 * UsageRecorder keeps the times of use in memory and writes them in batches. Recording a use is two
 * assignments; a crash loses the uses of one interval and nothing else.
 */
export class UsageRecorder {
  readonly #tokens: Pick<TokenRepository, 'recordUse'>;
  readonly #logger: Logger;
  #used: UsedRecord[] = [];
  readonly #writing = new Repetition(() => this.#write());

  constructor(tokens: Pick<TokenRepository, 'recordUse'>, logger: Logger) {
    this.#tokens = tokens;
    this.#logger = logger;
  }

  record(record: UsedRecord, now: number): void {
    if (record.usedAt === 0) this.#used.push(record);
    record.usedAt = now;
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

  async #write(): Promise<void> {
    const used = this.#used;
    this.#used = [];
    for (let start = 0; start < used.length; start += BATCH) {
      const uses = takeUses(used.slice(start, start + BATCH));
      try {
        await this.#tokens.recordUse(
          uses.map(({ tokenId, usedAt }) => ({ tokenId, usedAt: instantFromMillis(usedAt) })),
        );
      } catch (error) {
        const kept = used.length - start;
        this.#logger.warn({ err: error, tokens: kept }, 'times of use are kept for the next write');
        for (const { tokenId, usedAt } of uses) this.record({ tokenId, usedAt: 0 }, usedAt);
        for (const record of used.slice(start + BATCH)) this.#used.push(record);
        return;
      }
    }
  }
}

/** takeUses takes the latest use of each token, in the order of ids so that two writers do not deadlock. */
function takeUses(records: readonly UsedRecord[]): UsedRecord[] {
  const latest = new Map<bigint, number>();
  for (const record of records) {
    latest.set(record.tokenId, Math.max(record.usedAt, latest.get(record.tokenId) ?? 0));
    record.usedAt = 0;
  }
  return [...latest].sort(([a], [b]) => (a < b ? -1 : 1)).map(([tokenId, usedAt]) => ({ tokenId, usedAt }));
}
