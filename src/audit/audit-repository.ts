import type { Knex } from 'knex';
import type { Condition } from '../authz/reader-rows.js';
import { largePage, MOST_LOOKED_AT } from '../db/large-list.js';
import type { Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { AUDIT_COLUMNS, INDEXED_FIELDS } from './audit-columns.js';
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
    const whose = visible === 'everything' ? [] : whoseOf(visible);
    const seen = (query: Knex.QueryBuilder): Knex.QueryBuilder =>
      whose.length === 0
        ? query
        : query.where((either) => {
            for (const { sql, bindings } of whose) void either.orWhereRaw(sql, bindings);
          });
    const events = (): Knex.QueryBuilder => this.#knex('audit_events as e');
    const each = whose.map(({ bindings, column, whoever }) =>
      this.#knex
        .select('seen.id')
        .from(
          this.#knex.raw(
            `unnest(${whoever}) AS one (id) CROSS JOIN LATERAL (
               SELECT e.id FROM audit_events e WHERE ${column} = one.id LIMIT ${MOST_LOOKED_AT + 1}) seen`,
            bindings,
          ),
        )
        .limit(MOST_LOOKED_AT + 1),
    );
    return largePage<AuditEvent>(
      this.#knex,
      {
        table: 'audit_events',
        alias: 'e',
        columns: AUDIT_COLUMNS,
        indexed: INDEXED_FIELDS,
        select: () => seen(events().select('e.*')),
        visible: seen,
        narrow: each.length === 0 ? undefined : this.#knex.unionAll(each, true),
        fromRow: eventFromRow,
      },
      page,
    );
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

/** Whose are records that a caller may see for one reason: those with a column that is one of some ids, and not others of them. */
interface Whose extends Condition {
  readonly column: string;
  readonly whoever: string;
}

function whoseOf({ actorUserId, accountIds }: Exclude<VisibleEvents, 'everything'>): Whose[] {
  const whose = (
    kind: 'user' | 'account',
    ids: readonly bigint[],
    column: string,
    besides: string,
  ): Whose => ({
    sql: `(${column} = ANY (${EVER(kind)})${besides})`,
    bindings: [ids.map(String), ids.map(String)],
    column,
    whoever: EVER(kind),
  });
  return [
    whose('user', [actorUserId], 'e.actor_user_id', " AND e.outcome <> 'NOT_FOUND'"),
    whose('account', accountIds, 'e.resource_account_id', ''),
  ];
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
