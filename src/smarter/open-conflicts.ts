import type { Knex } from 'knex';
import { parsePgTimestamp, type Instant } from '../lib/instant.js';
import { codePoints } from '../lib/text.js';
import { ROW, type Side } from './conflicts.js';
import type { Kind } from './report.js';
import { query } from './target-store.js';

/** OpenConflict is a conflict that nobody has settled. */
export interface OpenConflict {
  readonly id: bigint;
  readonly kind: Kind;
  /** The key of the row in the source. */
  readonly key: string;
  /** The column, `value` for that of a secret, or `row` where the source has the row no longer. */
  readonly field: string;
  /** Whose value is in Keyward now. */
  readonly kept: Side;
  /** The values on either side, as JSON that may be cut short; empty for values of secrets and for rows. */
  readonly keywardValue: string;
  readonly sourceValue: string;
  readonly foundAt: Instant;
}

const LONGEST_VALUE = 200;

/** listConflicts lists conflicts in the order of their numbers, those after `after`. */
export async function listConflicts(knex: Knex, after: bigint, most: number): Promise<OpenConflict[]> {
  const rows = await query<
    Omit<OpenConflict, 'id' | 'keywardValue' | 'sourceValue' | 'foundAt'> & {
      id: string;
      here: string | null;
      there: string | null;
      found: string;
    }
  >(
    knex,
    `SELECT id::text AS id, kind, source_key AS key, field, kept, left(keyward_value::text, ${LONGEST_VALUE + 1}) AS here,
       left(source_value::text, ${LONGEST_VALUE + 1}) AS there, found_at::text AS found
     FROM import_conflicts WHERE id > ? AND decision IS NULL ORDER BY id LIMIT ?`,
    [String(after), most],
  );
  return rows.map(({ id, kind, key, field, kept, here, there, found }) => {
    const hasValues = field !== ROW && field !== 'value' && field !== 'annotations';
    const [keywardValue, sourceValue] = hasValues ? [clipped(here), clipped(there)] : ['', ''];
    const foundAt = parsePgTimestamp(found);
    return { id: BigInt(id), kind, key, field, kept, keywardValue, sourceValue, foundAt };
  });
}

function clipped(json: string | null): string {
  if (json === null) return 'null';
  return codePoints(json) > LONGEST_VALUE ? `${Array.from(json).slice(0, LONGEST_VALUE).join('')}…` : json;
}
