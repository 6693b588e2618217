import type {
  HoldAcknowledgement,
  HoldFact,
  HoldFacts,
  HoldGrant,
  HoldInvalidation,
  HoldOpen,
  HoldOpened,
  HoldRenewal,
  HoldText,
} from '../gen/keyward/token/v1/hold_verdicts.js';
import { after, isOver, isOverAt, momentOf, NEVER, type Clocks, type Moment } from './clocks.js';
import { Entries } from './entries.js';
import { Entry } from './entry.js';
import { Lease } from './lease.js';
import { Overtaking } from './overtaking.js';
import { SecretShelf } from './secret-shelf.js';
import { Uses } from './uses.js';
import { refusal, type Verdict } from './verdict.js';

/** Tokens that a stream may name when it is opened, and so what a client holds at most. */
export const MAX_NAMED = 10_000;

/** HeldAtMost is how much a memory holds at most. */
export interface HeldAtMost {
  /** Tokens: up to 10000, which is what is held if it is not given. */
  readonly maxEntries?: number;
  /** Values of secrets; none if not given. */
  readonly maxSecrets?: number;
}

export interface VerdictMemoryOptions extends HeldAtMost {
  readonly clocks: Clocks;
}

/** Answer judges a text that was looked up, for each that asked, or is the error with which the look-up failed. */
export type Answer =
  { readonly judge: (requiredScopes: readonly string[]) => Verdict } | { readonly error: HoldFact['error'] };

/** Settle takes the answer to a look-up; none if the stream ended before. */
export type Settle = (answer: Answer | undefined) => void;

/** Forgotten is what memory had to forget because it was told to. */
export interface Forgotten {
  readonly forgotten: readonly Entry[];
  /** Keys of values of secrets. */
  readonly forgottenSecrets: readonly string[];
}

export interface Invalidated extends Forgotten {
  readonly acknowledgement: HoldAcknowledgement;
}

const NOTHING: Forgotten = { forgotten: [], forgottenSecrets: [] };

interface LookUp {
  readonly key: string;
  readonly stream: number;
  readonly sent: Moment;
  readonly since: number;
  readonly digest: () => Buffer;
  readonly settles: readonly Settle[];
  /** Those who have asked since it was sent: what it brings may be from before they did. */
  readonly later: Settle[];
}

/**
 * VerdictMemory is what one client holds, and under which lease. It is told of every message of its streams, in their order, and says what to
 * send; it neither waits nor sends. Texts are known to it by a key, which nobody else can make from the text, and by nothing else.
 */
export class VerdictMemory {
  readonly secrets: SecretShelf;
  readonly #clocks: Clocks;
  readonly #lease: Lease;
  readonly #entries: Entries;
  /** What the client itself wants to hold at most, and what the replica lets it hold. */
  #wanted: Required<HeldAtMost>;
  #allowed: Required<HeldAtMost> = { maxEntries: MAX_NAMED, maxSecrets: Infinity };
  readonly #uses = new Uses();
  readonly #overtaking = new Overtaking();
  readonly #lookUps = new Map<bigint, LookUp>();
  /** The last look-up of each text that is under way. */
  readonly #byKey = new Map<string, LookUp>();
  #ids = 0n;

  constructor({ clocks, maxEntries = MAX_NAMED, maxSecrets = 0 }: VerdictMemoryOptions) {
    this.#clocks = clocks;
    this.#lease = new Lease(clocks);
    this.#wanted = { maxEntries, maxSecrets };
    this.#entries = new Entries(Math.min(maxEntries, MAX_NAMED));
    this.secrets = new SecretShelf(maxSecrets, clocks, this.#lease);
  }

  /** Whether a lease is held: whether anything is answered from memory. */
  get isLeased(): boolean {
    return this.#lease.isHeld;
  }

  /** Tokens that are held. */
  get size(): number {
    return this.#entries.size;
  }

  /** Look-ups that are not answered. */
  get lookingUp(): number {
    return this.#lookUps.size;
  }

  /** limit takes how much to hold at most from now on. What is held beyond that is forgotten. */
  limit({ maxEntries = MAX_NAMED, maxSecrets = 0 }: HeldAtMost): void {
    this.#wanted = { maxEntries, maxSecrets };
    this.#makeRoom();
  }

  /** openStream begins a stream, and gives what its first message says of what is held. */
  openStream(): {
    readonly stream: number;
    readonly open: Pick<HoldOpen, 'position' | 'tokens' | 'secretIds'>;
  } {
    const { stream: granted, position } = this.#lease;
    // Up to where they are right is not known: that stream ended before it granted anything.
    for (const entry of this.#entries.all()) if (entry.stream > granted) this.#entries.forget(entry);
    if (position === undefined) this.#entries.clear();
    // What is not named need not be released.
    this.#entries.takeReleased(() => true);
    const secretIds = this.secrets.named(position === undefined);
    const tokens = this.#entries.owned();
    const isHolding = tokens.length + secretIds.length > 0;
    return {
      stream: this.#lease.open(),
      open: { position: isHolding ? position : undefined, tokens, secretIds },
    };
  }

  /** opened takes the replica's terms, and gives what had to be forgotten. */
  opened({ resumed, maxEntries, maxSecrets }: HoldOpened): Forgotten {
    const forgotten = resumed ? NOTHING : this.#clear();
    this.#allowed = { maxEntries: Math.min(maxEntries, MAX_NAMED), maxSecrets };
    this.#makeRoom();
    return forgotten;
  }

  /**
   * lookUp begins to look a text up on a stream; `settle` is told the answer. It gives what to send, which is nothing while one that was
   * sent before is not answered.
   */
  lookUp(stream: number, key: string, digest: () => Buffer, settle: Settle): HoldText | undefined {
    const before = this.#byKey.get(key);
    if (before?.stream === stream) {
      before.later.push(settle);
      return undefined;
    }
    return this.#begin(stream, key, digest, [settle]);
  }

  /**
   * facts takes what was looked up, keeps what may be kept, and answers those who asked. It gives what to send for those who asked later,
   * where that was not kept.
   */
  facts(stream: number, { facts }: HoldFacts): HoldText[] {
    const again: HoldText[] = [];
    for (const fact of facts) {
      const lookUp = this.#lookUps.get(fact.id);
      if (lookUp?.stream !== stream) continue;
      const answer = this.#learn(lookUp, fact);
      const { key, digest, later } = lookUp;
      const isHeld = later.length > 0 && this.#isAnswered(key);
      this.#settle(fact.id, lookUp, answer);
      if (isHeld) for (const settle of later) settle(answer);
      else if (later.length > 0) again.push(this.#begin(stream, key, digest, later));
    }
    return again;
  }

  /** renewal asks for another lease; its time counts from now. */
  renewal(stream: number): HoldRenewal {
    const nowMs = this.#clocks.monotonicMs();
    return {
      number: this.#lease.renew(stream),
      released: this.#entries.takeReleased((key) => this.#byKey.has(key)),
      uses: this.#uses.take(nowMs),
      secretUses: this.secrets.takeUses(nowMs),
    };
  }

  /** grant takes the answer to a renewal. It tells whether a lease was granted. */
  grant(stream: number, grant: HoldGrant): boolean {
    return this.#lease.granted(stream, grant);
  }

  /** invalidate forgets what it is told to. It gives what to acknowledge, and which entries were forgotten. */
  invalidate(stream: number, invalidation: HoldInvalidation): Invalidated {
    this.#overtaking.add(invalidation);
    const forgotten = this.#entries.invalidate(invalidation);
    const forgottenSecrets = this.secrets.invalidate(invalidation);
    this.#lease.advance(stream, invalidation.position);
    this.#forgetOvertakings();
    return { acknowledgement: { number: invalidation.number }, forgotten, forgottenSecrets };
  }

  /** streamEnded tells that nothing more comes on a stream. A lease that it granted goes on to its own end. */
  streamEnded(stream: number): void {
    this.#lease.end(stream);
    for (const [id, lookUp] of this.#lookUps) if (lookUp.stream === stream) this.#giveUp(id, lookUp);
    this.secrets.streamEnded(stream);
  }

  /** judge gives the verdict on a text; undefined if memory may not, or cannot, tell. */
  judge(key: string, requiredScopes: readonly string[]): Verdict | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined ? undefined : this.judgeEntry(entry, requiredScopes);
  }

  /** entryOf is what is held of a text, to remember for `judgeEntry`. */
  entryOf(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** judgeEntry is judge for an entry that the caller has remembered. */
  judgeEntry(entry: Entry, requiredScopes: readonly string[]): Verdict | undefined {
    // Reading a clock costs more than all the rest.
    const monotonicMs = this.#clocks.monotonicMs();
    const wallMs = this.#clocks.wallMs();
    if (!entry.isHeld || !this.#lease.coversAt(entry.stream, monotonicMs, wallMs)) return undefined;
    if (isOverAt(entry.expires, monotonicMs, wallMs)) {
      this.#entries.release(entry);
      return undefined;
    }
    const verdict = entry.judge(requiredScopes);
    if (verdict.valid) this.#uses.add(entry, monotonicMs);
    return verdict;
  }

  /** close forgets everything, and the lease. */
  close(): void {
    this.#clear();
    for (const [id, lookUp] of this.#lookUps) this.#giveUp(id, lookUp);
  }

  #makeRoom(): void {
    this.#entries.limit(Math.min(this.#wanted.maxEntries, this.#allowed.maxEntries));
    this.secrets.limit(Math.min(this.#wanted.maxSecrets, this.#allowed.maxSecrets));
  }

  #clear(): Forgotten {
    this.#lease.drop();
    return { forgotten: this.#entries.clear(), forgottenSecrets: this.secrets.clear() };
  }

  #begin(stream: number, key: string, digest: () => Buffer, settles: readonly Settle[]): HoldText {
    this.#ids += 1n;
    const since = this.#overtaking.now;
    const lookUp = { key, stream, sent: momentOf(this.#clocks), since, digest, settles, later: [] };
    this.#lookUps.set(this.#ids, lookUp);
    this.#byKey.set(key, lookUp);
    return { id: this.#ids, digest: digest() };
  }

  /** isAnswered tells whether what was just learned of a text is held, and answers whoever asks now. */
  #isAnswered(key: string): boolean {
    const { monotonicMs, wallMs } = momentOf(this.#clocks);
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#lease.coversAt(entry.stream, monotonicMs, wallMs);
  }

  #learn(lookUp: LookUp, fact: HoldFact): Answer {
    if (fact.error !== undefined) return { error: fact.error };
    if (!fact.known || fact.principal === undefined)
      return { judge: () => refusal('UNKNOWN', '', fact.stale) };
    const expires = fact.expiresIn === undefined ? NEVER : after(lookUp.sent, fact.expiresIn);
    if (isOver(expires, this.#clocks)) return { judge: () => refusal('EXPIRED', fact.keyId, fact.stale) };
    const owner = this.#entries.ownerOf(fact.principal);
    const entry = new Entry(lookUp.key, fact, owner, lookUp.stream, expires);
    if (this.#mayKeep(lookUp, fact)) this.#entries.add(entry);
    return {
      judge: (requiredScopes) => {
        const verdict = entry.judge(requiredScopes);
        if (verdict.valid) this.#uses.add(entry, this.#clocks.monotonicMs());
        return verdict;
      },
    };
  }

  /** mayKeep: what comes on a stream after another one was opened is not named to that one's replica. */
  #mayKeep({ stream, since }: LookUp, { keep, stale, handle }: HoldFact): boolean {
    return keep && !stale && stream === this.#lease.newest && !this.#overtaking.mayHaveMeant(since, handle);
  }

  #giveUp(id: bigint, lookUp: LookUp): void {
    this.#settle(id, lookUp, undefined);
    for (const settle of lookUp.later) settle(undefined);
  }

  #settle(id: bigint, lookUp: LookUp, answer: Answer | undefined): void {
    this.#lookUps.delete(id);
    if (this.#byKey.get(lookUp.key) === lookUp) this.#byKey.delete(lookUp.key);
    this.#forgetOvertakings();
    for (const settle of lookUp.settles) settle(answer);
  }

  #forgetOvertakings(): void {
    if (this.#lookUps.size === 0) this.#overtaking.nothingUnderWay();
  }
}
