import { createHash } from 'node:crypto';
import type pg from 'pg';

/** What tests write by SQL alone: the account, user and profile with the number 1, and tokens of that profile. */
export const OWNER_ROWS = `
  INSERT INTO accounts (id, account_number, name) VALUES (1, '0000-0000-0001', 'one');
  INSERT INTO users (id, username, is_staff) VALUES (1, 'one', true);
  INSERT INTO user_profiles (id, user_id, account_id, name) VALUES (1, 1, 1, 'one')`;

/** insertTokens makes tokens with numbers from one to another in one statement each for tokens and digests. */
export async function insertTokens(client: pg.ClientBase, first: number, last: number): Promise<void> {
  await client.query(
    `INSERT INTO tokens (id, key_id, user_profile_id, name)
     SELECT id, gen_random_uuid(), 1, 'token-' || id FROM generate_series($1::bigint, $2) AS id`,
    [first, last],
  );
  await client.query(
    `INSERT INTO token_digests (digest, token_id, token_key)
     SELECT sha512(id::text::bytea), id, '' FROM generate_series($1::bigint, $2) AS id`,
    [first, last],
  );
}

/** digestOfToken is the digest of a token made by `insertTokens`. */
export function digestOfToken(id: number): string {
  return createHash('sha512').update(String(id)).digest('hex');
}
