import type { Knex } from 'knex';
import { listPage } from '../db/list-query.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { AUDIT_COLUMNS } from './audit-columns.js';
import type { ChainFormat, ChainHead, ChainHeader, ChainPurpose } from './audit-record.js';
import { eventFromRow, type AuditEvent, type EventRow } from './audit-rows.js';

/** VisibleEvents says whose records a caller may see. */
export type VisibleEvents =
  | 'everything'
  | {
      /**
       * Records of what this user did. Not what was NOT_FOUND: the record knows whether there was such a resource, and
       * the caller must not.
       */
      readonly actorUserId: bigint;
      /** Records about what belongs to these accounts. */
      readonly accountIds: readonly bigint[];
    };

/** StoredChain is a chain's row. */
export interface StoredChain extends ChainHeader, ChainHead {}

interface ChainRow {
  chain: string;
  purpose: ChainPurpose;
  key_id: string;
  started_at: Instant;
  format: ChainFormat;
  seq: bigint;
  mac: Buffer;
}

/** AuditSnapshot is the audit log at one moment. */
export interface AuditSnapshot {
  chains(): Promise<StoredChain[]>;
  /** events gives all records, a chain after the other and each in its order, in pieces. */
  events(): AsyncGenerator<AuditEvent[]>;
}

const PIECE = 2000;

/** EVER is the SQL of the ids that some accounts or users have and had. Its two values are the ids that they have. */
const EVER = (kind: 'account' | 'user'): string =>
  `?::bigint[] || ARRAY(SELECT former_id FROM former_ids WHERE kind = '${kind}' AND id = ANY (?::bigint[]))`;

/** AuditRepository is every SQL statement that reads the audit log. */
export class AuditRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async list(visible: VisibleEvents, page: PageQuery): Promise<Page<AuditEvent>> {
    const query = this.#knex('audit_events as e').select('e.*');
    if (visible !== 'everything') {
      const { actorUserId, accountIds } = visible;
      void query.whereRaw(
        `((e.actor_user_id = ANY (${EVER('user')}) AND e.outcome <> 'NOT_FOUND')
           OR e.resource_account_id = ANY (${EVER('account')}))`,
        [[String(actorUserId)], [String(actorUserId)], accountIds.map(String), accountIds.map(String)],
      );
    }
    return listPage<AuditEvent>(this.#knex, query, AUDIT_COLUMNS, page, eventFromRow);
  }

  /** atOneMoment reads a state of the log that nothing changes meanwhile; writers do not wait for it. */
  async atOneMoment<T>(read: (snapshot: AuditSnapshot) => Promise<T>): Promise<T> {
    const options = { isolationLevel: 'repeatable read', readOnly: true } as const;
    return this.#knex.transaction(
      (trx) => read({ chains: () => readChains(trx), events: () => readEvents(trx) }),
      options,
    );
  }
}

async function readChains(trx: Knex.Transaction): Promise<StoredChain[]> {
  const rows = (await trx('audit_chains').orderBy(['started_at', 'chain'])) as ChainRow[];
  return rows.map(({ key_id: keyId, started_at: startedAt, ...row }) => ({ ...row, keyId, startedAt }));
}

/** readEvents walks one query: a query for each piece would depend on a good plan every time. */
async function* readEvents(trx: Knex.Transaction): AsyncGenerator<AuditEvent[]> {
  await trx.raw('DECLARE walk NO SCROLL CURSOR FOR SELECT * FROM audit_events ORDER BY chain, seq, id');
  for (;;) {
    const { rows } = await trx.raw<{ rows: EventRow[] }>(`FETCH ${PIECE} FROM walk`);
    if (rows.length === 0) return;
    yield rows.map(eventFromRow);
  }
}
