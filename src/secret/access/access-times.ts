import { Batcher, writing } from '../../lib/batcher.js';
import type { Instant } from '../../lib/instant.js';
import { LatestTimes } from '../../lib/latest-times.js';
import { PeriodicTask } from '../../lib/periodic-task.js';
import type { Logger } from '../../telemetry/logger.js';
import type { AccessRepository, AccessTime } from './access-repository.js';

const MAX_TOGETHER = 1000;
/** Each write takes all that is late with it. */
const MAX_LATE = 10_000;

/**
 * AccessTimes writes when secrets were accessed, those of concurrent calls together. A secret that is being
 * changed at that moment is written a little later, so that no call waits for a change of any secret; a crash may
 * lose that one time, which the audit log has all the same.
 */
export class AccessTimes {
  readonly #secrets: Pick<AccessRepository, 'recordAccess'>;
  readonly #logger: Logger;
  readonly #writing = new Batcher(
    writing<AccessTime>((times) => this.#write(times)),
    { maxItems: MAX_TOGETHER },
  );
  readonly #late = new LatestTimes<Instant>(MAX_LATE);
  readonly #flushing = new PeriodicTask(() => this.#flush());

  constructor(secrets: Pick<AccessRepository, 'recordAccess'>, logger: Logger) {
    this.#secrets = secrets;
    this.#logger = logger;
  }

  add(time: AccessTime): Promise<void> {
    return this.#writing.add(time);
  }

  /** start writes what is late every `intervalMs`, until stopped. */
  start(intervalMs: number): void {
    this.#flushing.start(intervalMs);
  }

  /** stop tries once more to write what is late. */
  stop(): Promise<void> {
    return this.#flushing.finish();
  }

  /** flush writes what is late, if it can. */
  flush(): Promise<void> {
    return this.#flushing.run();
  }

  async #flush(): Promise<void> {
    const [first] = this.#late.entries();
    if (first === undefined) return;
    try {
      await this.add({ secretId: first[0], at: first[1] });
    } catch (error) {
      this.#logger.warn(
        { err: error, secrets: this.#late.size, dropped: this.#late.dropped },
        'times of access are kept for the next write',
      );
    }
  }

  async #write(times: readonly AccessTime[]): Promise<void> {
    const latest = new LatestTimes<Instant>(MAX_LATE + MAX_TOGETHER);
    for (const [secretId, at] of this.#late.entries()) latest.note(secretId, at);
    for (const { secretId, at } of times) latest.note(secretId, at);
    const written = latest.take().map(([secretId, at]) => ({ secretId, at }));
    const leftOut = new Set(await this.#secrets.recordAccess(written));
    this.#late.take();
    for (const { secretId, at } of written) if (leftOut.has(secretId)) this.#late.note(secretId, at);
  }
}
