import { within, type Timers } from '../lib/timers.js';
import { TTL_MS, type Lease } from './lease.js';
import type { Head, Session } from './ports.js';

/** From one renewal of the lease to the next. */
export const HEARTBEAT_MS = TTL_MS / 3;
/** A session that leaves a command unanswered for so long is given up: no frozen server or dead network reports itself. */
export const SILENCE_MS = 1_000;
/** After a longer absence the own registration may have been deleted as one that is no more, and is not looked for. */
const KNOWN_FOR_MS = 1_800_000;

/** LeaseRenewal renews the registration of a lease, and counts the renewals with the database. */
export class LeaseRenewal {
  readonly #lease: Lease;
  readonly #timers: Timers;
  /** How often the lease was renewed, as the database counts, and when that was told. */
  #renewed: { readonly times: bigint; readonly monotonicMs: number; readonly wallMs: number } | undefined;

  constructor(lease: Lease, timers: Timers) {
    this.#lease = lease;
    this.#timers = timers;
  }

  /**
   * renew registers the lease anew, with the head that was applied, and tells whether the database still knows of all
   * renewals before. The lease itself is extended by the replica, once it has applied what the head tells of.
   */
  async renew(session: Session, applied: Head | undefined): Promise<boolean> {
    const before = this.#renewed;
    const renewing = session.renew(this.#lease.terms(applied));
    const times = await within(this.#timers, SILENCE_MS, 'renewing the lease', renewing);
    const now = this.#lease.moment();
    this.#renewed = { times, ...now };
    if (before === undefined || times > before.times) return true;
    const away = Math.max(now.monotonicMs - before.monotonicMs, now.wallMs - before.wallMs);
    return times === 1n && away > KNOWN_FOR_MS;
  }
}
