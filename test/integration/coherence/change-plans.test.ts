import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { insertTokens, OWNER_ROWS } from '../../support/token-rows.js';

/** Enough that rows of them fill many pages. */
const TOKENS = 1_000;

let database: TestDatabase;
let client: pg.Client;
/** The plans of all statements, those of functions too. */
const plans: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  client.on('notice', ({ message = '' }) => plans.push(message));
  await client.connect();
  await client.query(OWNER_ROWS);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

/** fewRowsInManyPages is what autovacuum finds, now and then, before very many rows come. */
async function fewRowsInManyPages(): Promise<void> {
  await insertTokens(client, 1, TOKENS);
  await client.query('DELETE FROM tokens WHERE id > 5');
  await client.query('VACUUM (ANALYZE, TRUNCATE false) tokens, token_digests');
}

test('many rows are noted by look-ups in an index, though the statistics tell of few', async () => {
  await fewRowsInManyPages();
  await client.query(`
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET client_min_messages = log`);
  await insertTokens(client, TOKENS + 1, 2 * TOKENS);
  await client.query('UPDATE token_digests SET issued_by_user_id = 1');
  await client.query('UPDATE tokens SET is_active = false');
  await client.query('DELETE FROM tokens');
  const noting = plans.filter((plan) => /INSERT INTO public\.pending_/.test(plan));
  expect(noting.some((plan) => plan.includes('Index Scan using tokens_pkey'))).toBe(true);
  expect(noting.filter((plan) => /Materialize|Seq Scan on (?!new_rows|old_rows)/.test(plan))).toEqual([]);
});
