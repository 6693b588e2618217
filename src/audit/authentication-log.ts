import type { Caller } from '../account/caller.js';
import type { Clock } from '../lib/clock.js';
import { Repetition } from '../lib/repetition.js';
import type { Logger } from '../telemetry/logger.js';
import { actorOf, SERVICE, type Actor, type AuditEntry } from './audit-entry.js';
import type { AuditLog } from './audit-log.js';

type Outcome = 'OK' | 'CREDENTIALS_REFUSED';

/** Counted stands for many authentications of one caller, or many refusals of one host. */
interface Counted {
  readonly actor: Actor;
  readonly outcome: Outcome;
  /** Milliseconds since 1970 of the first of them. */
  since: number;
  count: number;
}

/** Different callers and hosts that are told apart between two writes. */
const MOST_TOLD_APART = 1000;
const INTERVAL_MS = 60_000;
const MANY: Actor = { ...SERVICE, username: '', peer: 'many' };

/**
 * AuthenticationLog counts who was recognised and who was refused, and appends a record a minute for each: a record
 * of every call would cost more than most calls. A crash loses the counts of the last minute.
 */
export class AuthenticationLog {
  readonly #audit: Pick<AuditLog, 'append'>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #counts = new Map<string, Counted>();
  readonly #writing = new Repetition(() => this.#write());

  constructor(audit: Pick<AuditLog, 'append'>, clock: Clock, logger: Logger) {
    this.#audit = audit;
    this.#clock = clock;
    this.#logger = logger;
  }

  succeeded(caller: Caller): void {
    const { keyId, userId, origin } = caller;
    const key = `OK ${keyId ?? `${userId} ${origin.certificate ?? ''}`}`;
    this.#count(key, 'OK', () => ({ ...actorOf(caller), requestId: undefined }));
  }

  /** failed counts a refusal by the host of its peer: ports differ with every connection. */
  failed(peer: string): void {
    const host = hostOf(peer);
    this.#count(`REFUSED ${host}`, 'CREDENTIALS_REFUSED', () => ({ ...MANY, peer: host }));
  }

  /** start writes every minute, until stopped. */
  start(): void {
    this.#writing.start(INTERVAL_MS);
  }

  /** stop writes what is left. */
  async stop(): Promise<void> {
    await this.#writing.stop();
    await this.flush();
  }

  /** flush writes all counts so far. What cannot be written is kept for the next time. */
  flush(): Promise<void> {
    return this.#writing.run();
  }

  async #write(): Promise<void> {
    const counts = this.#counts;
    this.#counts = new Map();
    const written = await Promise.allSettled(
      [...counts.values()].map((counted) => this.#audit.append(entryOf(counted))),
    );
    const kept = [...counts].filter((_, index) => written[index]?.status === 'rejected');
    if (kept.length === 0) return;
    const failure = written.find((result) => result.status === 'rejected');
    this.#logger.warn(
      { err: failure?.reason as unknown, records: kept.length },
      'authentications are kept for later',
    );
    for (const [key, { outcome, actor, since, count }] of kept) {
      this.#count(key, outcome, () => actor, since, count);
    }
  }

  #count(key: string, outcome: Outcome, actor: () => Actor, since = this.#clock.now(), count = 1): void {
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.count += count;
      known.since = Math.min(known.since, since);
    } else if (this.#counts.size < MOST_TOLD_APART || key === outcome) {
      this.#counts.set(key, { actor: actor(), outcome, since, count });
    } else {
      this.#count(outcome, outcome, () => MANY, since, count);
    }
  }
}

function entryOf({ actor, outcome, since, count }: Counted): AuditEntry {
  return {
    actor,
    action: outcome === 'OK' ? 'AUTHENTICATION_SUCCEEDED' : 'AUTHENTICATION_FAILED',
    outcome,
    resource: { kind: 'service', id: null },
    detail: { count: String(count), since: new Date(since).toISOString() },
  };
}

/** hostOf leaves the port out of a peer, `<IPv4>:<port>` or `[<IPv6>]:<port>`. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}
