import type { Knex } from 'knex';
import { query } from '../target-store.js';

/** What the platform has no place for, and how it is counted. */
const STAYING: Readonly<Record<string, string>> = {
  'accounts made in Keyward': `SELECT FROM accounts t WHERE NOT EXISTS
    (SELECT FROM import_records r WHERE r.kind = 'account' AND r.target_id = t.id)`,
  'users made in Keyward': `SELECT FROM users t WHERE NOT EXISTS
    (SELECT FROM import_records r WHERE r.kind = 'user' AND r.target_id = t.id)`,
  'user profiles made in Keyward': `SELECT FROM user_profiles t WHERE NOT EXISTS
    (SELECT FROM import_records r WHERE r.kind = 'user_profile' AND r.target_id = t.id)`,
  'scopes of tokens': `SELECT FROM tokens t WHERE t.scopes <> '{*}'`,
  'grants of secrets': 'SELECT FROM secret_grants',
  'references of secrets': 'SELECT FROM secret_references',
  'versions of secrets besides the newest that is enabled': `SELECT FROM secret_versions v
    WHERE v.ciphertext IS NOT NULL AND v.number IS DISTINCT FROM (SELECT max(n.number) FROM secret_versions n
      WHERE n.secret_id = v.secret_id AND n.state = 'ENABLED')`,
  'secrets of which no version is enabled': `SELECT FROM secrets t WHERE t.deleted_at IS NULL AND NOT EXISTS
    (SELECT FROM secret_versions v WHERE v.secret_id = t.id AND v.state = 'ENABLED')`,
};

/** stayingHere counts what the platform has no place for. */
export async function stayingHere(knex: Knex): Promise<{ readonly name: string; readonly values: number }[]> {
  const found: { name: string; values: number }[] = [];
  for (const [name, sql] of Object.entries(STAYING)) {
    const counted = `SELECT count(*)::integer AS count FROM (${sql}) staying`;
    const [row] = await query<{ count: number }>(knex, counted);
    if (row !== undefined && row.count > 0) found.push({ name, values: row.count });
  }
  return found;
}
