import { GroupCommit } from '../lib/group-commit.js';
import type { Instant } from '../lib/instant.js';
import type { Logger } from '../telemetry/logger.js';
import type { AccessRepository, AccessTime } from './access-repository.js';

const MOST_TOGETHER = 1000;

/**
 * AccessTimes writes when secrets were accessed, those of concurrent calls together. A secret that is being
 * changed at that moment is written a little later, so that no call waits for a change of any secret; a crash may
 * lose that one time, which the audit log has all the same.
 */
export class AccessTimes {
  readonly #secrets: Pick<AccessRepository, 'recordAccess'>;
  readonly #logger: Logger;
  readonly #writing = new GroupCommit<AccessTime>((times) => this.#write(times), MOST_TOGETHER);
  #late = new Map<bigint, Instant>();
  #timer: NodeJS.Timeout | undefined;

  constructor(secrets: Pick<AccessRepository, 'recordAccess'>, logger: Logger) {
    this.#secrets = secrets;
    this.#logger = logger;
  }

  add(time: AccessTime): Promise<void> {
    return this.#writing.add(time);
  }

  /** start writes what is late every `intervalMs`, until stopped. */
  start(intervalMs: number): void {
    this.#timer = setInterval(() => void this.flush(), intervalMs).unref();
  }

  /** stop tries once more to write what is late. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** flush writes what is late, if it can. */
  async flush(): Promise<void> {
    // Each write takes all that is late with it.
    const [first] = this.#late;
    if (first === undefined) return;
    try {
      await this.add({ secretId: first[0], at: first[1] });
    } catch (error) {
      this.#logger.warn(
        { err: error, secrets: this.#late.size },
        'times of access are kept for the next write',
      );
    }
  }

  async #write(times: readonly AccessTime[]): Promise<void> {
    const latest = new Map(this.#late);
    for (const { secretId, at } of times) {
      const known = latest.get(secretId);
      if (known === undefined || at > known) latest.set(secretId, at);
    }
    const leftOut = new Set(
      await this.#secrets.recordAccess([...latest].map(([secretId, at]) => ({ secretId, at }))),
    );
    this.#late = new Map([...latest].filter(([secretId]) => leftOut.has(secretId)));
  }
}
