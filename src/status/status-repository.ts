import type { ClientGroup } from '../coherence/ports.js';
import type { Database } from '../db/knex.js';
import { reading } from '../db/transaction.js';
import type { Replicas } from './replica-status.js';

interface StatusRow {
  readonly epoch: string;
  readonly head: bigint;
  readonly id: string | null;
  readonly version: string | null;
  readonly left_ms: bigint;
  readonly revision: bigint;
  readonly clients: number;
  readonly groups: readonly ClientGroup[];
}

/** StatusRepository reads what replicas have registered. */
export class StatusRepository {
  readonly #knex: Database;

  constructor(knex: Database) {
    this.#knex = knex;
  }

  async replicas(): Promise<Replicas> {
    const { rows } = await reading(() =>
      this.#knex.raw<{ rows: StatusRow[] }>(`
        SELECT h.epoch, h.revision AS head, r.id, r.version, r.clients, r.client_groups AS groups,
          ceil(extract(epoch FROM r.lease_expires_at - clock_timestamp()) * 1000)::bigint AS left_ms,
          CASE WHEN r.epoch = h.epoch THEN r.applied ELSE 0 END AS revision
        FROM keyward_head() h LEFT JOIN replicas r ON true ORDER BY r.id`),
    );
    const [first] = rows;
    if (first === undefined) throw new Error('there is always an epoch');
    const replicas = rows.flatMap(({ id, version, left_ms, revision, clients, groups }) =>
      id === null
        ? []
        : [{ id, version: version ?? '', leaseLeftMs: Number(left_ms), revision, clients, groups }],
    );
    return { epoch: first.epoch, revision: first.head, replicas };
  }
}
