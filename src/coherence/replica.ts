/**
 * `coherence/` makes a change complete everywhere when its call returns, although every replica answers from memory. A
 * replica answers under a lease, forgets what the change feed names, and acknowledges; a writer waits for all who hold a
 * lease. The argument why this is right is in docs/coherence.md.
 *
 *     const { complete, pending } = await propagationWait.after(barrier);
 */

import { within, type Timers } from '../lib/timers.js';
import type { Logger } from '../telemetry/logger.js';
import type { Acknowledgements } from './acknowledgements.js';
import type { Continuity } from './continuity.js';
import { HEARTBEAT_MS, LeaseRenewal, SILENCE_MS } from './lease-renewal.js';
import type { Lease } from './lease.js';
import { EVERYTHING } from './notice.js';
import { Owing } from './owing.js';
import type {
  ClientsTold,
  Connector,
  Eviction,
  Head,
  Holders,
  Memory,
  Notice,
  ServerHead,
  Session,
} from './ports.js';

/**
 * HELD: answers come from memory. LOST: not until the session is there again. CUT_OFF: the same, and an attempt
 * to make a new session has failed.
 */
export type ReplicaState = 'HELD' | 'LOST' | 'CUT_OFF';

export interface ReplicaDependencies {
  readonly id: string;
  readonly connector: Connector;
  readonly memory: Memory;
  readonly lease: Lease;
  readonly acknowledgements: Acknowledgements;
  readonly continuity: Continuity;
  readonly timers: Timers;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Clients that hold what this replica has told them; none if not given. */
  readonly holders?: Holders;
  /** Told each head once everything up to it has been applied. */
  readonly onApplied?: (head: Head) => void;
}

const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2_000;
/** If more changes than this were missed, they are not read one by one: everything is forgotten. */
const MAX_MISSED = 1_000n;
/** Epochs that are known to be over; of more than that the oldest are forgotten. */
const MAX_FORMER = 100;

/**
 * Replica follows the changes that all replicas make: it forgets what was changed, tells those who wait for
 * that, and keeps the lease under which memory answers.
 *
 * What clients hold of it counts as its own memory: it acknowledges what is settled, which is what they have forgotten too.
 *
 * The lease is extended only when, after its renewal was committed, the head was read and every change up to it
 * applied. So whoever commits a change and then reads the leases sees each that may be used without the change.
 *
 * Another epoch, or a database that has lost what was seen of it, is another history: before anything else is answered
 * or acknowledged the lease ends and everything is forgotten.
 */
export class Replica {
  readonly #deps: ReplicaDependencies;
  readonly #owing = new Owing();
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  #wake: () => void = () => undefined;
  #session: Session | undefined;
  #failure: Error | undefined;
  #failures = 0;
  /** Undefined before the first session. */
  #applied: Head | undefined;
  /** Epochs that were left. One that comes back is an older copy. */
  readonly #former = new Set<string>();
  /** What was heard before the head was read, on a session that is new or tells of another epoch. */
  #early: Notice[] | undefined;
  readonly #renewal: LeaseRenewal;
  #isAcknowledging = false;
  #endFirstAttempt: () => void = () => undefined;
  /** firstAttempt resolves once changes are followed, or the first attempt at it has failed. */
  readonly firstAttempt: Promise<void>;

  constructor(deps: ReplicaDependencies) {
    this.#deps = deps;
    this.#renewal = new LeaseRenewal(deps.lease, deps.timers);
    this.firstAttempt = new Promise((resolve) => {
      this.#endFirstAttempt = resolve;
    });
  }

  get state(): ReplicaState {
    if (this.#deps.lease.holds()) return 'HELD';
    return this.#failures > 1 ? 'CUT_OFF' : 'LOST';
  }

  /** applied is the revision up to which every change has been applied; 0 before the first session. */
  get applied(): bigint {
    return this.#applied?.revision ?? 0n;
  }

  /** settled tells writers of what is settled by now that was not before. */
  settled(): void {
    const session = this.#session;
    if (session === undefined || this.#isAcknowledging || !this.#owing.isDue(this.#isSettled)) return;
    this.#aside(session, this.#acknowledge(session));
  }

  /** start follows until stopped. Whatever fails is tried again. */
  start(): void {
    this.#running = this.#run();
  }

  /** stop ends answering from memory, and then takes the replica off the list of those that writers wait for. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#deps.lease.giveUp();
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#follow();
      } catch (error) {
        this.#failures += 1;
        if (this.#failures === 1)
          this.#deps.logger.warn({ err: error }, 'the change feed is lost; this replica subscribes again');
      }
      this.#endFirstAttempt();
      await this.#sleep(this.#backoffMs());
    }
  }

  /** #follow lives through one session: until it is lost, which throws, or until the replica is stopped. */
  async #follow(): Promise<void> {
    const session = await this.#open();
    this.#session = session;
    try {
      await this.#answered('listening', session.listen());
      let renewedAt = await this.#beat(session);
      this.#failures = 0;
      this.#endFirstAttempt();
      this.#deps.logger.info({ revision: String(this.applied) }, 'subscribed to the change feed');
      for (;;) {
        const untilNext = renewedAt + HEARTBEAT_MS - this.#deps.timers.monotonicMs();
        await this.#sleep(this.#early === undefined ? untilNext : 0);
        if (this.#isStopped) break;
        if (this.#failure !== undefined) throw this.#failure;
        renewedAt = await this.#beat(session);
      }
      await this.#signOff(session);
    } finally {
      this.#session = undefined;
      this.#failure = undefined;
      session.close();
    }
  }

  #open(): Promise<Session> {
    const { connector, id, acknowledgements } = this.#deps;
    this.#early = [];
    const events = {
      onNotice: (notice: Notice) => {
        this.#hear(notice);
      },
      onAcknowledged: (replica: string, settled: Head, clients: readonly ClientsTold[]) => {
        acknowledgements.note(replica, settled, clients);
      },
      onLost: (error: Error) => {
        this.#fail(this.#session, error);
      },
    };
    return connector.connect(id, events, SILENCE_MS);
  }

  /** #beat renews the lease and returns when that was sent. */
  async #beat(session: Session): Promise<number> {
    const { lease, continuity } = this.#deps;
    const sent = lease.moment();
    const head = await this.#renewAndRead(session);
    if (this.#early === undefined && head.epoch === this.#applied?.epoch) {
      await this.#catchUp(session, head.revision);
    } else {
      await this.#begin(session, head);
    }
    // Another epoch may have been heard of meanwhile.
    if (this.#early === undefined) lease.extend(sent);
    continuity.confirm(head.server);
    return sent.monotonicMs;
  }

  /**
   * #begin begins to follow on a new session, or in another epoch. What was missed in between need not be known:
   * everything is forgotten, after the head was read, for what is loaded from then on is at least as new as that.
   */
  async #begin(session: Session, head: Head): Promise<void> {
    const { lease, memory, acknowledgements, logger } = this.#deps;
    const isSame = head.epoch === this.#applied?.epoch;
    if (!isSame) {
      lease.lapse();
      this.#owing.clear();
      acknowledgements.clear();
      this.#leave();
      if (this.#applied !== undefined)
        logger.warn({ epoch: head.epoch }, 'the change feed has another epoch');
    }
    const missed = isSame ? await this.#missed(session, head.revision) : [];
    memory.clear();
    this.#advance(head, EVERYTHING);
    const early = this.#early ?? [];
    this.#early = undefined;
    if (missed !== 'pruned') for (const notice of missed) this.#owe(notice);
    // Those of an epoch that is over, which may come late, are of no use; one that has just begun is in the next head.
    for (const notice of early) if (notice.epoch === head.epoch) this.#hear(notice);
  }

  /** #renewAndRead lets another epoch begin where the database turns out to be older than what was seen of it. */
  async #renewAndRead(session: Session): Promise<ServerHead> {
    const { lease, memory } = this.#deps;
    const isWhole = await this.#renewal.renew(session, this.#settledHead);
    const seen = this.#applied;
    const head = await this.#answered('reading the head', session.head());
    const isOlder =
      this.#former.has(head.epoch) ||
      (head.epoch === seen?.epoch && (!isWhole || head.revision < seen.revision));
    if (!isOlder) return head;
    lease.lapse();
    memory.clear();
    await this.#answered('ending the epoch', session.endEpoch(head.epoch));
    await this.#renewal.renew(session, this.#settledHead);
    return this.#answered('reading the head', session.head());
  }

  /** #leave notes that the epoch so far is over. */
  #leave(): void {
    if (this.#applied === undefined) return;
    this.#former.add(this.#applied.epoch);
    const [oldest] = this.#former;
    if (this.#former.size > MAX_FORMER && oldest !== undefined) this.#former.delete(oldest);
  }

  async #signOff(session: Session): Promise<void> {
    try {
      await this.#answered('signing off', session.leave());
    } catch (error) {
      this.#deps.logger.warn(
        { err: error },
        'the replica could not be deregistered; changes wait until its lease ends',
      );
    }
  }

  #hear(notice: Notice): void {
    const session = this.#session;
    if (session === undefined) return;
    if (this.#early !== undefined) {
      this.#early.push(notice);
    } else if (notice.epoch !== this.#applied?.epoch) {
      this.#doubt(notice);
    } else if (notice.revision <= this.applied) {
      this.#owe(notice);
    } else if (notice.revision === this.applied + 1n) {
      this.#apply(notice);
    } else {
      this.#aside(session, this.#catchUp(session, notice.revision));
    }
  }

  /** #doubt ends all answers from memory until the head has told which epoch it is. */
  #doubt(notice: Notice): void {
    this.#deps.lease.lapse();
    this.#deps.memory.clear();
    this.#early = [notice];
    this.#wake();
  }

  async #catchUp(session: Session, revision: bigint): Promise<void> {
    const before = this.#applied;
    if (before === undefined || revision <= before.revision) return;
    const missed = await this.#missed(session, revision);
    const { epoch } = before;
    // It may be in doubt by now, or have gone over to another epoch.
    if (this.#early !== undefined || this.#applied?.epoch !== epoch) return;
    if (missed === 'pruned') {
      this.#deps.memory.clear();
      if (revision > this.applied) this.#advance({ epoch, revision }, EVERYTHING);
      return;
    }
    for (const notice of missed) {
      if (notice.revision > this.applied) this.#apply(notice);
    }
  }

  async #missed(session: Session, revision: bigint): Promise<readonly Notice[] | 'pruned'> {
    const applied = this.#applied;
    if (applied === undefined || revision - applied.revision > MAX_MISSED) return 'pruned';
    return this.#answered('reading changes', session.noticesAfter(applied, revision));
  }

  #apply(notice: Notice): void {
    this.#deps.memory.forget(notice.eviction);
    this.#advance(notice, notice.eviction);
    this.#owe(notice);
  }

  /** #advance notes what has been applied, by forgetting what was changed. */
  #advance({ epoch, revision }: Head, eviction: Eviction): void {
    const before = this.#applied;
    this.#applied = { epoch, revision };
    this.#deps.holders?.changed(eviction, this.#applied, before);
    this.#deps.onApplied?.(this.#applied);
  }

  get #settledHead(): Head | undefined {
    const { holders } = this.#deps;
    return holders === undefined ? this.#applied : holders.settled;
  }

  readonly #isSettled = (revision: bigint): boolean => {
    const head = this.#settledHead;
    return head !== undefined && head.epoch === this.#applied?.epoch && revision <= head.revision;
  };

  /** #owe acknowledges what has been applied, once it is settled; its writer may have been told so before. */
  #owe({ writers, revision }: Notice): void {
    const others = writers.filter((writer) => writer !== this.#deps.id);
    this.#owing.add(others, revision);
    this.settled();
  }

  async #acknowledge(session: Session): Promise<void> {
    this.#isAcknowledging = true;
    try {
      // What came in the same packet is applied first, and acknowledged by the same message.
      await Promise.resolve();
      for (;;) {
        const head = this.#settledHead;
        const { writers, revisions } = this.#owing.take(this.#isSettled);
        if (head === undefined || writers.length === 0) break;
        await session.acknowledge(writers, head, this.#deps.holders?.told(revisions) ?? []);
      }
    } finally {
      this.#isAcknowledging = false;
    }
  }

  /** #aside lets work go on by itself; if it fails, so has its session. */
  #aside(session: Session, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#fail(session, error instanceof Error ? error : new Error('the session failed', { cause: error }));
    });
  }

  #fail(session: Session | undefined, error: Error): void {
    if (session === undefined || session !== this.#session) return;
    this.#failure = error;
    this.#wake();
  }

  #answered<T>(what: string, answer: Promise<T>): Promise<T> {
    return within(this.#deps.timers, SILENCE_MS, what, answer);
  }

  /** #sleep waits, unless the session fails or the replica is stopped. */
  async #sleep(ms: number): Promise<void> {
    if (this.#isStopped || this.#failure !== undefined) return;
    await new Promise<void>((resolve) => {
      const timer = this.#deps.timers.after(Math.max(0, ms), resolve);
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #backoffMs(): number {
    const longest = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (this.#failures - 1));
    return longest * (0.5 + this.#deps.timers.random() / 2);
  }
}
