import type { Knex } from 'knex';
import { PLATFORM_ACCOUNT_NUMBER } from '../authz/rights.js';
import { differing, isNumbered, presentValues, recordOf } from './comparison.js';
import { VALUE_VERSION } from './secret-rows.js';
import { textField, type Fields } from './source-rows.js';
import { query } from './target-store.js';
import type { TargetTable } from './target-tables.js';
import type { Kind } from './report.js';

/** VanishedRow is an imported row that the source no longer has, as it is in Keyward. */
export interface VanishedRow {
  readonly key: string;
  readonly id: string;
  /** What the report calls it. */
  readonly label: string;
  readonly isActive: boolean;
  /** What was changed in Keyward since; empty if nothing was. */
  readonly changedHere: readonly string[];
  /** Keyward had it before the import, or cannot do without it. */
  readonly isKeywards: boolean;
}

const NEWEST_VERSION = '(SELECT max(v.number) FROM secret_versions v WHERE v.secret_id = t.id)';

/** What else than columns tells that a row was changed in Keyward. */
const CHANGED_BESIDES: Readonly<Partial<Record<Kind, string>>> = {
  token: `CASE WHEN NOT EXISTS (SELECT FROM token_digests d WHERE d.token_id = t.id AND d.retires_at IS NULL
    AND encode(d.digest, 'hex') = r.fields ->> 'digest') THEN 'digest' END`,
  secret: `CASE WHEN ${NEWEST_VERSION}::text IS DISTINCT FROM r.fields ->> '${VALUE_VERSION}' THEN 'value' END`,
};

/** Rows that are needed to get into Keyward at all. */
const NEEDED: Readonly<Partial<Record<Kind, string>>> = {
  account: `t.account_number = '${PLATFORM_ACCOUNT_NUMBER}'`,
  user: `t.username = 'admin'`,
  user_profile: `EXISTS (SELECT FROM users u, accounts a WHERE u.id = t.user_id AND a.id = t.account_id
    AND u.username = 'admin' AND a.account_number = '${PLATFORM_ACCOUNT_NUMBER}')`,
};

const LABELS: Readonly<Partial<Record<Kind, string>>> = { account: 't.account_number', user: 't.username' };

/** lockVanished reads those of the rows that Keyward still has, and locks them. */
export async function lockVanished(
  trx: Knex.Transaction,
  table: TargetTable,
  keys: readonly string[],
): Promise<VanishedRow[]> {
  const { kind, present } = table;
  const rows = await query<{
    key: string;
    id: string;
    label: string;
    fields: Fields;
    differing: string[];
    besides: string | null;
    now: Fields;
    isKeywards: boolean;
  }>(
    trx,
    `SELECT r.source_key AS key, t.id::text AS id, ${LABELS[kind] ?? 'r.source_key'} AS label, r.fields,
       ${differing(table, 'f')} AS differing, ${CHANGED_BESIDES[kind] ?? 'NULL'} AS besides,
       ${presentValues(table)} AS now, r.merged AND r.kind <> 'token' OR ${NEEDED[kind] ?? 'false'} AS "isKeywards"
     FROM import_records r JOIN ${table.table} t ON t.id = r.target_id AND ${present}
     CROSS JOIN LATERAL ${recordOf(table, 'r.fields', 'f')}
     WHERE r.kind = ? AND r.source_key = ANY (?::text[])
     ORDER BY t.id FOR UPDATE OF t`,
    [kind, [...keys]],
  );
  return rows.map(({ key, id, label, fields, differing: columns, besides, now, isKeywards }) => ({
    ...{ key, id, label, isKeywards, isActive: now['is_active'] === true },
    changedHere: [
      ...columns.filter((column) => !isNoObstacle(column, fields, now)),
      ...(besides === null ? [] : [besides]),
    ],
  }));
}

/** isNoObstacle is true of what an import made itself, and of what was switched off: that it is gone agrees with it. */
function isNoObstacle(column: string, fields: Fields, now: Fields): boolean {
  if (column === 'is_active') return now['is_active'] === false;
  return column === 'name' && isNumbered(now['name'], textField(fields, 'name'));
}
