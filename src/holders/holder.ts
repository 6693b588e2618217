import type { Answer } from '../coherence/outage-policy.js';
import type { Head } from '../coherence/ports.js';
import type { Digest } from '../crypto/digest.js';
import { KeywardError } from '../lib/errors.js';
import { invalid } from '../lib/violations.js';
import {
  concerns,
  EVERYTHING_CHANGED,
  forgottenHandles,
  overtakes,
  together,
  type Forgotten,
  type HeldChange,
} from './held-change.js';
import { handleOf, type Handle } from './handles.js';
import { Holding, type Named } from './holding.js';
import type { HolderIdentity } from './holder-identity.js';
import type { HeldFact, HolderOutlet, LookedUp, Refusal } from './holder-outlet.js';
import type { OwnerIds } from './registrations.js';
import type { Step } from './settlement.js';
import { Unacknowledged } from './unacknowledged.js';

/** Lent is what the replica may pass on of its own lease, and what of that a client may use. */
interface Lent {
  readonly spanMs: number;
  readonly leaseMs: number;
}

/** Surroundings are what a holder has to know of its replica. */
export interface Surroundings<Fact> {
  readonly maxEntries: number;
  nowMs(): number;
  /** Up to where everything has been applied, and told. */
  applied(): Head | undefined;
  /** lend gives undefined where there is nothing to pass on. */
  lend(): Lent | undefined;
  /** mayKeep tells whether what is read now may be kept at all. */
  mayKeep(): boolean;
  isStopping(): boolean;
  lookUp(digest: Digest): Fact | null | undefined;
  get(digest: Digest): Promise<Answer<Fact>>;
  release(step: Step, outcome: 'acknowledged' | 'expired'): void;
  isTooSlow(holder: HolderIdentity): boolean;
  /** strained is told of a client that has not acknowledged in time. */
  strained(holder: HolderIdentity): void;
  refused(refusal: Refusal): void;
  invalidated(): void;
  /** watch looks at the holder again at a time. */
  watch(atMs: number): void;
}

/** Texts and values that are worked on at once for one client; it is not read on meanwhile. */
const MAX_UNDER_WAY = 1_000;
/** Invalidations that are not acknowledged; with more the client is cut off. */
const MAX_UNACKNOWLEDGED = 1_000;

/** UnderWay is something that is read for the client. It is registered before the reading begins. */
interface UnderWay {
  /** Of a text; undefined for a secret. */
  readonly digest: Digest | undefined;
  isOvertaken: boolean;
}

/** Text is one to tell the facts of. */
interface Text {
  readonly id: bigint;
  readonly digest: Digest;
}

/**
 * Holder is one client's stream, or what is left of it: what the client holds, what it has been told and not acknowledged,
 * and until when it may have a lease.
 */
export class Holder<Fact extends HeldFact> {
  readonly identity: HolderIdentity;
  readonly #around: Surroundings<Fact>;
  /** Undefined once the stream has ended. */
  #outlet: HolderOutlet<Fact> | undefined;
  readonly #holding: Holding;
  readonly #unacknowledged: Unacknowledged;
  readonly #underWay = new Set<UnderWay>();
  #leaseEnd = -Infinity;
  #lastRenewal = 0n;
  /** A renewal that is not answered yet. */
  #renewal: bigint | undefined;
  /** What was changed while the changes since its position are read; undefined when none are to be read. */
  #missed: HeldChange[] | undefined;
  /** True until it is judged what the caller may do, and whenever it is judged anew. */
  #isSuspect = true;
  #pushOutNumber = 0n;

  constructor(identity: HolderIdentity, around: Surroundings<Fact>, outlet: HolderOutlet<Fact>) {
    this.identity = identity;
    this.#around = around;
    this.#outlet = outlet;
    this.#holding = new Holding(around.maxEntries);
    this.#unacknowledged = new Unacknowledged((step, outcome) => {
      around.release(step, outcome);
    });
  }

  /** isLive tells whether its stream is open. */
  get isLive(): boolean {
    return this.#outlet !== undefined;
  }

  /** leaseEnd is when its lease is over at the latest, by the monotonic clock. */
  get leaseEnd(): number {
    return this.#leaseEnd;
  }

  get hasLease(): boolean {
    return this.#leaseEnd > this.#around.nowMs();
  }

  /** size is how much it holds. */
  get size(): number {
    return this.#holding.size;
  }

  /** isTrusted tells whether it is known, by all that was applied, what the caller may do. */
  get isTrusted(): boolean {
    return !this.#isSuspect;
  }

  holdsSecret(id: bigint): boolean {
    return this.#holding.hasSecret(id);
  }

  /** isAwaited tells whether it has been told something that it has not acknowledged. */
  get isAwaited(): boolean {
    return this.#unacknowledged.size > 0;
  }

  /** isWorking tells whether anything that it asked for is being read. */
  get isWorking(): boolean {
    return this.#underWay.size > 0;
  }

  /** isBusy tells whether nothing more should be read of it for now. */
  get isBusy(): boolean {
    return this.#underWay.size >= MAX_UNDER_WAY;
  }

  /** nextMs is when it must be looked at again; Infinity for never. */
  get nextMs(): number {
    const nextMs = this.#unacknowledged.nextMs(this.isLive);
    return this.isLive ? nextMs : Math.min(nextMs, this.#leaseEnd);
  }

  /** open tells the terms. What the client names is held; until `catchUp` nothing is granted then. */
  open(named: Named | undefined): void {
    if (named !== undefined) {
      this.#holding.addNamed(named);
      this.#missed = [];
    }
    this.#outlet?.opened(named !== undefined);
  }

  /** catchUp tells what was changed of what it holds since its position, and meanwhile. */
  catchUp(missed: readonly HeldChange[] | 'unknown'): void {
    const changes = missed === 'unknown' ? [EVERYTHING_CHANGED] : [...missed, ...(this.#missed ?? [])];
    this.#missed = undefined;
    const forgotten = together(changes.flatMap((change) => this.#holding.forget(change) ?? []));
    if (forgotten !== undefined) this.#tell(forgotten, undefined);
    this.#grantIfWaiting();
  }

  /** changed tells the client what it must forget, if it holds any of it. The step waits for it while it may have a lease. */
  changed(change: HeldChange, step: Step): void {
    for (const each of this.#underWay) if (overtakes(change, each.digest)) each.isOvertaken = true;
    const isAboutCaller = concerns(change, this.identity);
    const concerning = isAboutCaller ? EVERYTHING_CHANGED : change;
    if (this.#missed !== undefined) {
      this.#missed.push(concerning);
    } else {
      const forgotten = this.#holding.forget(concerning);
      if (forgotten !== undefined) this.#tell(forgotten, step);
    }
    if (!isAboutCaller || this.#outlet === undefined) return;
    this.#isSuspect = true;
    this.#outlet.suspect();
  }

  /** trust ends the doubts about what the caller may do. */
  trust(): void {
    this.#isSuspect = false;
    this.#grantIfWaiting();
  }

  /**
   * lookUp tells the facts of texts. Each is registered before its facts are read. What memory does not answer is told to `begin`, which
   * gives what is run when it is read, or throws why it may not be.
   */
  lookUp(texts: readonly Text[], begin: () => () => void): void {
    const ready: (() => LookedUp<Fact>)[] = [];
    const flush = (): void => {
      const facts = ready.splice(0).map((answer) => answer());
      this.#outlet?.facts(facts);
    };
    for (const { id, digest } of texts) {
      const underWay = this.#begin(digest);
      // What comes together is told together; a change that comes before it is told still counts.
      const arrived = (answer: () => LookedUp<Fact>): void => {
        if (ready.push(answer) === 1) queueMicrotask(flush);
      };
      const record = this.#around.lookUp(digest);
      if (record !== undefined) {
        arrived(() => this.#answer(id, digest, underWay, { record, stale: false }));
        continue;
      }
      this.#read(digest, begin).then(
        (answer) => {
          arrived(() => this.#answer(id, digest, underWay, answer));
        },
        (error: unknown) => {
          arrived(() => this.#failed(id, underWay, error));
        },
      );
    }
  }

  /** access reads the value of a secret, and tells whether it may be kept. It is registered before it is read. */
  async access<Value extends { readonly secretId: bigint }>(
    read: () => Promise<Value>,
    deliver: (value: Value, keep: boolean) => void,
  ): Promise<void> {
    const underWay = this.#begin(undefined);
    try {
      const value = await read();
      if (!this.isLive) return;
      deliver(value, this.#mayKeep(underWay) && this.#holding.addSecret(value.secretId));
    } finally {
      this.#underWay.delete(underWay);
    }
  }

  /** renew grants another lease, or tells why not. */
  renew(number: bigint, released: readonly Handle[]): void {
    this.#renewing(number, released);
    this.#renewal = number;
    this.#grantIfWaiting();
  }

  /** refuse is for a renewal of a caller of whom nobody can tell whether it may have a lease. */
  refuse(number: bigint, released: readonly Handle[]): void {
    this.#renewing(number, released);
    this.#refuse(number, 'REPLICA_HAS_NONE');
  }

  acknowledge(number: bigint): void {
    if (number < 0n || number > this.#unacknowledged.last)
      throw invalid('acknowledgement.number', 'must be that of an invalidation that was sent');
    if (this.#pushOutNumber <= number) this.#holding.pushedOut();
    this.#unacknowledged.acknowledge(number);
  }

  /** left ends everything: the client holds nothing any more under a lease that this holder was granted. */
  left(): void {
    this.#leaseEnd = -Infinity;
    this.#holding.clear();
    this.#unacknowledged.acknowledge(this.#unacknowledged.last);
  }

  /** gone notes that the stream has ended. The lease lasts on. */
  gone(): void {
    this.#outlet = undefined;
    this.#underWay.clear();
    this.#missed = undefined;
    this.#unacknowledged.endStream();
  }

  leave(): void {
    this.#outlet?.leave();
  }

  end(error: Error): void {
    this.#outlet?.end(error);
  }

  /** look lets go of what had to be waited for until now, and notes what should have been acknowledged. */
  look(nowMs: number, isLookedAtLate: boolean): void {
    this.#unacknowledged.expire(nowMs);
    if (!this.isLive) this.#unacknowledged.endStream();
    else if (isLookedAtLate) this.#unacknowledged.forgive(nowMs);
    else if (this.#unacknowledged.markLate(nowMs)) this.#around.strained(this.identity);
  }

  #renewing(number: bigint, released: readonly Handle[]): void {
    if (number <= this.#lastRenewal)
      throw invalid('renewal.number', 'must be above that of every renewal before');
    this.#lastRenewal = number;
    this.#holding.release(released);
  }

  #refuse(number: bigint, refusal: Refusal): void {
    this.#around.refused(refusal);
    this.#outlet?.grant({ number, granted: { refusal }, position: this.#position });
  }

  #grantIfWaiting(): void {
    const number = this.#renewal;
    if (number === undefined || this.#missed !== undefined || this.#isSuspect) return;
    this.#renewal = undefined;
    const refusal = this.#refusal();
    const lent = refusal === undefined ? this.#around.lend() : undefined;
    if (lent === undefined) {
      this.#refuse(number, refusal ?? 'REPLICA_HAS_NONE');
      return;
    }
    this.#leaseEnd = Math.max(this.#leaseEnd, this.#around.nowMs() + lent.spanMs);
    this.#outlet?.grant({ number, granted: { leaseMs: lent.leaseMs }, position: this.#position });
  }

  /** Up to where everything that the client holds is right; not known while the changes since its own position are read. */
  get #position(): Head | undefined {
    return this.#missed === undefined ? this.#around.applied() : undefined;
  }

  #refusal(): Refusal | undefined {
    if (this.#around.isStopping()) return 'STOPPING';
    if (this.#around.isTooSlow(this.identity)) return 'TOO_SLOW';
    return this.#unacknowledged.isLate ? 'NOT_ACKNOWLEDGED' : undefined;
  }

  async #read(digest: Digest, begin: () => () => void): Promise<Answer<Fact>> {
    const end = begin();
    try {
      return await this.#around.get(digest);
    } finally {
      end();
    }
  }

  #begin(digest: Digest | undefined): UnderWay {
    const underWay = { digest, isOvertaken: false };
    this.#underWay.add(underWay);
    return underWay;
  }

  #answer(
    id: bigint,
    digest: Digest,
    underWay: UnderWay,
    { record: fact, stale: isStale }: Answer<Fact>,
  ): LookedUp<Fact> {
    this.#underWay.delete(underWay);
    const epoch = this.#around.applied()?.epoch;
    const handle = fact === null || epoch === undefined ? undefined : handleOf(epoch, digest);
    const isRight = fact?.owner.current === true && !isStale && this.#mayKeep(underWay);
    const keep = isRight && handle !== undefined && this.#register(handle, fact.owner);
    return { id, fact, isStale, keep, handle };
  }

  #failed(id: bigint, underWay: UnderWay, error: unknown): LookedUp<Fact> {
    this.#underWay.delete(underWay);
    return { id, fact: undefined, error, isStale: false, keep: false, handle: undefined };
  }

  #mayKeep({ isOvertaken }: UnderWay): boolean {
    const around = this.#around;
    const isTrusted = !this.#isSuspect && !around.isTooSlow(this.identity);
    return !isOvertaken && this.isLive && isTrusted && around.mayKeep();
  }

  #register(handle: Handle, owner: OwnerIds): boolean {
    if (this.#holding.addToken(handle, owner)) return true;
    const handles = this.#holding.pushOut();
    if (handles === undefined) return false;
    this.#tell(forgottenHandles(handles), undefined);
    this.#pushOutNumber = this.#unacknowledged.last;
    return false;
  }

  #tell(forgotten: Forgotten, step: Step | undefined): void {
    const isWaitedFor = step !== undefined && this.hasLease;
    if (this.#outlet === undefined && !isWaitedFor) return;
    const waiting = isWaitedFor ? step : undefined;
    const number = this.#unacknowledged.add(this.#around.nowMs(), this.#leaseEnd, waiting);
    this.#around.invalidated();
    this.#outlet?.invalidate({ ...forgotten, number, position: this.#position });
    if (this.#unacknowledged.size > MAX_UNACKNOWLEDGED)
      this.#outlet?.end(
        new KeywardError('WATCH_TOO_SLOW', 'The client does not acknowledge what it is told.'),
      );
    this.#around.watch(this.nextMs);
  }
}
