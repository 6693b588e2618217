import type { AccessSecretRequest, AccessSecretResponse } from '../gen/keyward/secret/v1/secret_service.js';
import type {
  HoldAccess,
  HoldAccessed,
  HoldInvalidation,
  HoldSecretUse,
} from '../gen/keyward/token/v1/hold_verdicts.js';
import { after, isOverAt, momentOf, NEVER, type Clocks, type Moment } from './clocks.js';
import type { Lease } from './lease.js';
import { Overtaking } from './overtaking.js';

/** Secrets that a renewal reports at most. */
const MAX_REPORTED = 1_000;

/** SecretValue is one value of a secret. */
export interface SecretValue {
  readonly secretId: bigint;
  readonly version: number;
  /** The value, a text in UTF-8. Overwritten when the value is not held any more. */
  readonly bytes: Buffer;
}

/** Accessed is a value, or the error with which asking for it failed. */
export type Accessed = { readonly value: SecretValue } | { readonly error: HoldAccessed['error'] };

export type SettleAccess = (accessed: Accessed | undefined) => void;

interface Held {
  readonly key: string;
  readonly value: SecretValue;
  readonly stream: number;
  readonly expires: Moment;
  uses: number;
  lastUsedMs: number;
}

interface Asked {
  readonly key: string;
  readonly stream: number;
  readonly sent: Moment;
  readonly since: number;
  readonly request: AccessSecretRequest;
  readonly settles: readonly SettleAccess[];
  /** Those who have asked since it was sent: what it brings may be from before they did. */
  readonly later: SettleAccess[];
}

/** valueOf reads a value out of the answer to an access. */
export function valueOf({ secretId, version, payload }: AccessSecretResponse): SecretValue {
  const { text, data } = payload ?? {};
  return { secretId, version, bytes: text === undefined ? Buffer.from(data ?? []) : Buffer.from(text) };
}

/** SecretShelf is the values of secrets that a client holds, under the same lease and by the same rules as verdicts. */
export class SecretShelf {
  readonly #clocks: Clocks;
  readonly #lease: Lease;
  readonly #held = new Map<string, Held>();
  readonly #asked = new Map<bigint, Asked>();
  readonly #byKey = new Map<string, Asked>();
  readonly #overtaking = new Overtaking();
  #max: number;
  #ids = 0n;

  constructor(max: number, clocks: Clocks, lease: Lease) {
    this.#max = max;
    this.#clocks = clocks;
    this.#lease = lease;
  }

  /** Questions that are not answered. */
  get asking(): number {
    return this.#asked.size;
  }

  /** limit takes how many values there may be from now on. */
  limit(max: number): void {
    this.#max = max;
    this.#makeRoom();
  }

  /** named gives the secrets whose values are named to another replica; none is held any more if all are to be forgotten. */
  named(isForgetting: boolean): bigint[] {
    for (const held of this.#held.values())
      if (isForgetting || held.stream > this.#lease.stream) this.#forget(held);
    return [...new Set([...this.#held.values()].map(({ value }) => value.secretId))];
  }

  /** access begins to ask for a value. It gives what to send, which is nothing while what was sent before is not answered. */
  access(
    stream: number,
    key: string,
    request: AccessSecretRequest,
    settle: SettleAccess,
  ): HoldAccess | undefined {
    const before = this.#byKey.get(key);
    if (before?.stream === stream) {
      before.later.push(settle);
      return undefined;
    }
    return this.#begin(stream, key, request, [settle]);
  }

  /**
   * accessed takes what was asked for, keeps what may be kept, and answers those who asked. It gives what to send for those who asked
   * later, where that was not kept.
   */
  accessed(stream: number, accessed: HoldAccessed): HoldAccess | undefined {
    const asked = this.#asked.get(accessed.id);
    if (asked?.stream !== stream) return undefined;
    const { key, request, later } = asked;
    const answer = this.#learn(asked, accessed);
    this.#settle(accessed.id, asked, answer);
    if (later.length === 0) return undefined;
    if (this.get(key) === undefined) return this.#begin(stream, key, request, later);
    for (const settle of later) settle(answer);
    return undefined;
  }

  /** get gives a value that is held, as long as that may be. */
  get(key: string): SecretValue | undefined {
    const held = this.#held.get(key);
    const { monotonicMs, wallMs } = momentOf(this.#clocks);
    if (held === undefined || !this.#lease.coversAt(held.stream, monotonicMs, wallMs)) return undefined;
    if (isOverAt(held.expires, monotonicMs, wallMs)) {
      this.#forget(held);
      return undefined;
    }
    held.uses += 1;
    held.lastUsedMs = monotonicMs;
    return held.value;
  }

  /** holds tells whether a value is held, under a lease or not. */
  holds(key: string): boolean {
    return this.#held.has(key);
  }

  /** invalidate forgets what it is told to, and gives the keys of it. */
  invalidate(invalidation: HoldInvalidation): string[] {
    this.#overtaking.add(invalidation);
    const { everything, allSecrets, secretIds } = invalidation;
    const ids = new Set(secretIds);
    const meant = [...this.#held.values()].filter(
      ({ value }) => everything || allSecrets || ids.has(value.secretId),
    );
    for (const held of meant) this.#forget(held);
    this.#forgetOvertakings();
    return meant.map(({ key }) => key);
  }

  /** takeUses gives what is to be told to the replica. */
  takeUses(nowMs: number): HoldSecretUse[] {
    const bySecret = new Map<bigint, HoldSecretUse>();
    for (const held of this.#held.values()) {
      const { secretId } = held.value;
      const before = bySecret.get(secretId);
      if (held.uses === 0 || (before === undefined && bySecret.size === MAX_REPORTED)) continue;
      const ago = Math.max(nowMs - held.lastUsedMs, 0);
      bySecret.set(secretId, {
        secretId,
        count: (before?.count ?? 0) + held.uses,
        lastUsedAgo: Math.min(before?.lastUsedAgo ?? ago, ago),
      });
      held.uses = 0;
    }
    return [...bySecret.values()];
  }

  clear(): string[] {
    const keys = [...this.#held.keys()];
    for (const held of this.#held.values()) this.#forget(held);
    return keys;
  }

  streamEnded(stream: number): void {
    for (const [id, asked] of this.#asked) {
      if (asked.stream !== stream) continue;
      this.#settle(id, asked, undefined);
      for (const settle of asked.later) settle(undefined);
    }
  }

  #begin(
    stream: number,
    key: string,
    request: AccessSecretRequest,
    settles: readonly SettleAccess[],
  ): HoldAccess {
    this.#ids += 1n;
    const since = this.#overtaking.now;
    const asked = { key, stream, sent: momentOf(this.#clocks), since, request, settles, later: [] };
    this.#asked.set(this.#ids, asked);
    this.#byKey.set(key, asked);
    return { id: this.#ids, request };
  }

  #learn(asked: Asked, { access, error, keep, expiresIn }: HoldAccessed): Accessed {
    if (access === undefined) return { error };
    const value = valueOf(access);
    const expires = expiresIn === undefined ? NEVER : after(asked.sent, expiresIn);
    const isOvertaken = this.#overtaking.mayHaveMeant(asked.since);
    if (keep && !isOvertaken && asked.stream === this.#lease.newest) {
      const before = this.#held.get(asked.key);
      if (before !== undefined) this.#forget(before);
      // Those who asked have the other one, which is theirs.
      const own = { ...value, bytes: Buffer.from(value.bytes) };
      const { key, stream } = asked;
      this.#held.set(key, { key, value: own, stream, expires, uses: 0, lastUsedMs: 0 });
      this.#makeRoom();
    }
    return { value };
  }

  #makeRoom(): void {
    for (const held of this.#held.values()) {
      if (this.#held.size <= this.#max) return;
      this.#forget(held);
    }
  }

  #forget(held: Held): void {
    held.value.bytes.fill(0);
    this.#held.delete(held.key);
  }

  #settle(id: bigint, asked: Asked, accessed: Accessed | undefined): void {
    this.#asked.delete(id);
    if (this.#byKey.get(asked.key) === asked) this.#byKey.delete(asked.key);
    this.#forgetOvertakings();
    for (const settle of asked.settles) settle(accessed);
  }

  #forgetOvertakings(): void {
    if (this.#asked.size === 0) this.#overtaking.nothingUnderWay();
  }
}
