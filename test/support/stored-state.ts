import { execute } from './sql.js';
import { existing } from './world.js';

/** storedSecrets is all that is stored about secrets, but for the times of accesses. */
export async function storedSecrets(databaseUrl: string): Promise<unknown> {
  const [row] = await execute(
    databaseUrl,
    `SELECT (SELECT json_agg(to_jsonb(s) - 'last_accessed_at' ORDER BY id) FROM secrets s) AS secrets,
            (SELECT json_agg(v ORDER BY secret_id, number) FROM secret_versions v) AS versions,
            (SELECT json_agg(r ORDER BY id) FROM secret_references r) AS uses,
            (SELECT json_agg(g ORDER BY secret_id, user_profile_id) FROM secret_grants g) AS grants`,
  );
  return existing(row);
}
