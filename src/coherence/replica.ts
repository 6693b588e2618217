import { within, type Timers } from '../lib/timers.js';
import type { Logger } from '../telemetry/logger.js';
import type { Acknowledgements } from './acknowledgements.js';
import { TTL_MS, type Lease } from './lease.js';
import type { Connector, Memory, Notice, Session } from './ports.js';

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
  readonly timers: Timers;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Told each revision once everything up to it has been applied. */
  readonly onApplied?: (revision: bigint) => void;
}

const HEARTBEAT_MS = TTL_MS / 3;
/** A session that leaves a command unanswered for so long is given up: no frozen server or dead network reports itself. */
const SILENCE_MS = 1_000;
const SHORTEST_BACKOFF_MS = 50;
const LONGEST_BACKOFF_MS = 2_000;
/** If more changes than this were missed, they are not read one by one: everything is forgotten. */
const MOST_MISSED = 1_000n;

/**
 * Replica follows the changes that all replicas make: it forgets what was changed, tells those who wait for
 * that, and keeps the lease under which memory answers.
 *
 * The lease is extended only when, after its renewal was committed, the head was read and every change up to it
 * applied. So whoever commits a change and then reads the leases sees each that may be used without the change.
 */
export class Replica {
  readonly #deps: ReplicaDependencies;
  /** Writers that wait for what has been applied. */
  readonly #owed = new Set<string>();
  #running: Promise<void> = Promise.resolve();
  #isStopped = false;
  #wake: () => void = () => undefined;
  #session: Session | undefined;
  #failure: Error | undefined;
  #failures = 0;
  /** Undefined before the first session. */
  #applied: bigint | undefined;
  /** What was heard on a session before the head was read on it. */
  #early: Notice[] | undefined;
  #isAcknowledging = false;
  #endFirstAttempt: () => void = () => undefined;
  /** firstAttempt resolves once changes are followed, or the first attempt at it has failed. */
  readonly firstAttempt: Promise<void>;

  constructor(deps: ReplicaDependencies) {
    this.#deps = deps;
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
    return this.#applied ?? 0n;
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
          this.#deps.logger.warn({ err: error }, 'changes cannot be followed; trying again');
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
      let renewedAt = await this.#join(session);
      this.#failures = 0;
      this.#endFirstAttempt();
      this.#deps.logger.info({ revision: String(this.applied) }, 'changes are followed');
      for (;;) {
        await this.#sleep(renewedAt + HEARTBEAT_MS - this.#deps.timers.monotonicMs());
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
      onAcknowledged: (replica: string, revision: bigint) => {
        acknowledgements.note(replica, revision);
      },
      onLost: (error: Error) => {
        this.#fail(this.#session, error);
      },
    };
    return connector.connect(id, events, SILENCE_MS);
  }

  /**
   * #join begins to follow on a new session. What was missed in between need not be known: everything is
   * forgotten, after the head was read, for what is loaded from then on is at least as new as that.
   */
  async #join(session: Session): Promise<number> {
    const { lease, memory } = this.#deps;
    await this.#answered('listening', session.listen());
    const sent = lease.moment();
    await this.#renew(session);
    const head = await this.#answered('reading the head', session.head());
    const missed = this.#applied === undefined ? [] : await this.#missed(session, head);
    memory.clear();
    this.#advance(head);
    lease.extend(sent);
    const early = this.#early ?? [];
    this.#early = undefined;
    if (missed !== 'pruned') for (const notice of missed) this.#owe(notice);
    for (const notice of early) this.#hear(notice);
    return sent.monotonicMs;
  }

  /** #beat renews the lease and returns when that was sent. */
  async #beat(session: Session): Promise<number> {
    const { lease } = this.#deps;
    const sent = lease.moment();
    await this.#renew(session);
    const head = await this.#answered('reading the head', session.head());
    await this.#catchUp(session, head);
    lease.extend(sent);
    return sent.monotonicMs;
  }

  #renew(session: Session): Promise<void> {
    return this.#answered('renewing the lease', session.renew(this.#deps.lease.terms(this.applied)));
  }

  async #signOff(session: Session): Promise<void> {
    try {
      await this.#answered('signing off', session.leave());
    } catch (error) {
      this.#deps.logger.warn({ err: error }, 'could not sign off; changes wait for the lease to run out');
    }
  }

  #hear(notice: Notice): void {
    const session = this.#session;
    if (session === undefined) return;
    if (this.#early !== undefined) {
      this.#early.push(notice);
    } else if (notice.revision <= this.applied) {
      this.#owe(notice);
    } else if (notice.revision === this.applied + 1n) {
      this.#apply(notice);
    } else {
      this.#aside(session, this.#catchUp(session, notice.revision));
    }
  }

  async #catchUp(session: Session, head: bigint): Promise<void> {
    if (head <= this.applied) return;
    const missed = await this.#missed(session, head);
    if (missed === 'pruned') {
      this.#deps.memory.clear();
      if (head > this.applied) this.#advance(head);
      return;
    }
    for (const notice of missed) {
      if (notice.revision > this.applied) this.#apply(notice);
    }
  }

  async #missed(session: Session, head: bigint): Promise<readonly Notice[] | 'pruned'> {
    if (head - this.applied > MOST_MISSED) return 'pruned';
    return this.#answered('reading changes', session.noticesAfter(this.applied, head));
  }

  #apply(notice: Notice): void {
    this.#deps.memory.forget(notice.eviction);
    this.#advance(notice.revision);
    this.#owe(notice);
  }

  #advance(revision: bigint): void {
    this.#applied = revision;
    this.#deps.onApplied?.(revision);
  }

  /** #owe acknowledges what has been applied; its writer may have been told so before. */
  #owe({ writers }: Notice): void {
    for (const writer of writers) if (writer !== this.#deps.id) this.#owed.add(writer);
    const session = this.#session;
    if (session === undefined || this.#owed.size === 0 || this.#isAcknowledging) return;
    this.#aside(session, this.#acknowledge(session));
  }

  async #acknowledge(session: Session): Promise<void> {
    this.#isAcknowledging = true;
    try {
      // What came in the same packet is applied first, and acknowledged by the same message.
      await Promise.resolve();
      while (this.#owed.size > 0) {
        const writers = [...this.#owed];
        this.#owed.clear();
        await session.acknowledge(writers, this.applied);
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
    const longest = Math.min(LONGEST_BACKOFF_MS, SHORTEST_BACKOFF_MS * 2 ** (this.#failures - 1));
    return longest * (0.5 + this.#deps.timers.random() / 2);
  }
}
