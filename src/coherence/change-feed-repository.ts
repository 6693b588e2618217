import { prepare } from '../db/prepared.js';
import type { Database, Transaction } from '../db/knex.js';
import { reading } from '../db/transaction.js';
import type { Instant } from '../lib/instant.js';
import type { Change, Revision } from './change.js';
import { TTL_MS } from './lease.js';
import { readNotice } from './notice.js';
import type { Barriers, Eviction, Head, Outcome, Registered, Registrations } from './ports.js';

interface ChangeRow {
  readonly kind: Change['kind'];
  readonly op: Change['op'];
  readonly id: string | null;
  readonly key_id?: string | null;
  readonly profile_id?: string | null;
  readonly user_id?: string | null;
  readonly account_id?: string | null;
  readonly grantees?: readonly string[];
}

interface FeedRow {
  readonly epoch: string;
  readonly head: bigint;
  readonly revision: bigint | null;
  readonly committed_at: Instant;
  readonly changes: readonly ChangeRow[];
}

interface NoticeRow {
  readonly epoch: string;
  readonly revision: bigint | null;
  readonly notice: object;
}

interface ReplicaRow {
  /** The present one, and how long ago it began; null for the first. */
  readonly epoch: string;
  readonly age_ms: bigint | null;
  readonly server: string;
  readonly id: string | null;
  /** The one in which the replica registered; null of the version that knew none. */
  readonly own_epoch: string | null;
  readonly left_ms: bigint;
  readonly max_stale_ms: bigint;
  readonly applied: bigint;
  readonly renewals: bigint;
}

/**
 * The epoch is read after the rows that a statement sees, so rows of an epoch before are never taken for present ones.
 * Times are whole numbers: how exactly others are written is a setting.
 */
const REGISTERED = `e.epoch, ceil(e.age_ms)::bigint AS age_ms, e.server, r.*
  FROM keyward_epoch() e LEFT JOIN (
    SELECT id, epoch AS own_epoch, applied, renewals,
      ceil(extract(epoch FROM lease_expires_at - clock_timestamp()) * 1000)::bigint AS left_ms,
      ceil(extract(epoch FROM max_stale) * 1000)::bigint AS max_stale_ms
    FROM replicas
  ) r ON true`;

/** How long changes are kept, and how many at most. */
const KEPT = "interval '24 hours'";
const MAX_KEPT = 1_000_000;
/** Rows of the feed that are looked at in one statement. */
const PRUNED_AT_ONCE = 10_000;
/** Changes after which no further revision is read at once. */
const MAX_CHANGES = 10_000;
/** How long after its commit a writer may ask for its revision. */
const BARRIERS_KEPT = "interval '10 minutes'";
/** How long after it was last of any account a replica is still listed. */
const REPLICAS_KEPT = "interval '1 hour'";

/** ChangeFeedRepository is every statement about the change feed that needs no session of its own. */
export class ChangeFeedRepository implements Barriers, Registrations {
  readonly #knex: Database;
  readonly #outcome: (values: unknown[]) => Promise<(ReplicaRow & { readonly revision: bigint | null })[]>;
  readonly #after: (values: unknown[]) => Promise<FeedRow[]>;

  constructor(knex: Database) {
    this.#knex = knex;
    this.#outcome = prepare(
      knex,
      'change-outcome',
      `SELECT (SELECT revision FROM change_barriers WHERE id = $1) AS revision, ${REGISTERED}`,
    );
    this.#after = prepare(
      knex,
      'change-after',
      `SELECT e.epoch, (SELECT coalesce(max(revision), 0) FROM change_feed) AS head, f.*
       FROM keyward_epoch() e LEFT JOIN (
         SELECT revision, committed_at, changes FROM (
           SELECT *, sum(jsonb_array_length(changes)) OVER (ORDER BY revision) - jsonb_array_length(changes) AS before
           FROM (SELECT revision, committed_at, changes FROM change_feed WHERE revision > $1 ORDER BY revision LIMIT $2) next
         ) counted WHERE before < ${MAX_CHANGES}
       ) f ON true ORDER BY f.revision`,
    );
  }

  async place(trx: Transaction, id: string, writer: string): Promise<void> {
    await trx.raw(
      `INSERT INTO pending_revisions (barriers) VALUES (?::jsonb)
       ON CONFLICT (txid) DO UPDATE SET barriers = pending_revisions.barriers || excluded.barriers`,
      [JSON.stringify([{ id, writer }])],
    );
  }

  async outcome(barrier: string): Promise<Outcome> {
    const rows = await this.#outcome([barrier]);
    const revision = rows[0]?.revision;
    if (revision == null) throw new Error('a barrier that no committed transaction has placed');
    return { revision, ...registeredFromRows(rows) };
  }

  async registered(): Promise<Registered> {
    const { rows } = await reading(() => this.#knex.raw<{ rows: ReplicaRow[] }>(`SELECT ${REGISTERED}`));
    return registeredFromRows(rows);
  }

  /** remove takes a replica that is no more off the list of those that writers wait for. */
  async remove(replica: string): Promise<void> {
    await reading(() => this.#knex.raw('DELETE FROM replicas WHERE id = ?', [replica]));
  }

  /**
   * changesAfter reads the next revisions: at most `limit`, and after the first 10,000 changes no further one. 'pruned'
   * if some are gone, or there was no such revision; 'another epoch' if that of the head is over.
   */
  async changesAfter(
    { epoch, revision }: Head,
    limit: number,
  ): Promise<readonly Revision[] | 'pruned' | 'another epoch'> {
    const rows = await this.#after([String(revision), limit]);
    const [first] = rows;
    if (first?.epoch !== epoch) return 'another epoch';
    const revisions = rows.flatMap(revisionFromRow);
    const next = revisions[0]?.revision ?? first.head;
    const isComplete = next === (revisions.length === 0 ? revision : revision + 1n);
    return isComplete ? revisions : 'pruned';
  }

  /** evictionsAfter reads what was changed after a head, up to another of its epoch; undefined if some of it is gone. */
  async evictionsAfter({ epoch, revision }: Head, upTo: Head): Promise<readonly Eviction[] | undefined> {
    const { rows } = await reading(() =>
      this.#knex.raw<{ rows: NoticeRow[] }>(
        `SELECT e.epoch, f.* FROM keyward_epoch() e LEFT JOIN (
           SELECT revision, notice FROM change_feed WHERE revision > ? AND revision <= ?
         ) f ON true ORDER BY f.revision`,
        [String(revision), String(upTo.revision)],
      ),
    );
    const evictions = rows.flatMap((row) =>
      row.revision === null
        ? []
        : (readNotice(JSON.stringify({ ...row.notice, revision: String(row.revision), epoch }))?.eviction ??
          []),
    );
    const isWhole = rows[0]?.epoch === epoch && BigInt(evictions.length) === upTo.revision - revision;
    return isWhole ? evictions : undefined;
  }

  /** oldestRevision is the lowest after which all changes are kept. */
  async oldestRevision(): Promise<bigint> {
    const { rows } = await reading(() =>
      this.#knex.raw<{ rows: { oldest: bigint }[] }>(
        'SELECT coalesce(min(revision) - 1, 0) AS oldest FROM change_feed',
      ),
    );
    return rows[0]?.oldest ?? 0n;
  }

  /** head is the latest revision that is committed, with its epoch. */
  async head(): Promise<Head> {
    const { rows } = await reading(() =>
      this.#knex.raw<{ rows: [Head] }>('SELECT epoch, revision FROM keyward_head()'),
    );
    return rows[0];
  }

  /** prune deletes what is kept long enough; several may do so at once. The latest revision always stays. */
  async prune(): Promise<void> {
    await reading(async () => {
      let pruned: number;
      do pruned = await this.#pruneFeed();
      while (pruned > 0);
      await this.#knex.raw(
        `DELETE FROM change_barriers WHERE committed_at < clock_timestamp() - ${BARRIERS_KEPT}`,
      );
      await this.#knex.raw(
        `DELETE FROM replicas WHERE lease_expires_at + max_stale < clock_timestamp() - ${REPLICAS_KEPT}`,
      );
    });
  }

  async #pruneFeed(): Promise<number> {
    const { rowCount } = await this.#knex.raw<{ rowCount: number }>(
      `DELETE FROM change_feed WHERE revision <= (
         SELECT max(revision) FROM (
           SELECT revision, committed_at, (SELECT max(revision) FROM change_feed) AS head
           FROM change_feed ORDER BY revision LIMIT ${PRUNED_AT_ONCE}
         ) oldest
         WHERE revision < head
           AND (committed_at < clock_timestamp() - ${KEPT} OR revision <= head - ${MAX_KEPT}))`,
    );
    return rowCount;
  }
}

/**
 * registeredFromRows leaves out what was registered in another epoch: it is as old as the rest of a copy. Replicas of
 * the version before tell none, and are believed as they always were.
 */
function registeredFromRows(rows: readonly ReplicaRow[]): Registered {
  const [first] = rows;
  if (first === undefined) throw new Error('there is always an epoch');
  const { epoch, age_ms, server } = first;
  const present = rows.filter(({ own_epoch }) => own_epoch === null || own_epoch === epoch);
  const replicas = present.flatMap(({ id, own_epoch, left_ms, max_stale_ms, applied, renewals }) =>
    id === null
      ? []
      : [
          {
            replica: id,
            leftMs: Math.min(Number(left_ms), TTL_MS),
            maxStaleMs: Number(max_stale_ms),
            applied,
            renewals: own_epoch === null ? undefined : renewals,
          },
        ],
  );
  return { epoch, epochAgeMs: age_ms === null ? undefined : Number(age_ms), server, replicas };
}

function revisionFromRow({ revision, committed_at, changes }: FeedRow): Revision[] {
  if (revision === null) return [];
  return [{ revision, committedAt: committed_at, changes: changes.map(changeFromRow) }];
}

function changeFromRow(row: ChangeRow): Change {
  return {
    kind: row.kind,
    op: row.op,
    id: idFrom(row.id),
    keyId: row.key_id ?? undefined,
    profileId: idFrom(row.profile_id),
    userId: idFrom(row.user_id),
    accountId: idFrom(row.account_id),
    granteeIds: row.grantees?.map(BigInt) ?? [],
  };
}

function idFrom(text: string | null | undefined): bigint | undefined {
  return text == null ? undefined : BigInt(text);
}
