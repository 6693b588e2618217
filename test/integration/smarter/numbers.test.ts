import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Knex } from 'knex';
import { openDatabase } from '../../../src/db/knex.js';
import { insertNumbered, isFree, takenNumbers } from '../../../src/smarter/numbers.js';
import { TARGET_TABLES } from '../../../src/smarter/target-tables.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 10_000 });
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

const NUMBERS = ['0000-0000-0001', '0000-0000-0002', '0000-0000-0003', '0000-0000-0004'];

/** made is the number that Keyward gives a new account. */
async function made(accountNumber: string): Promise<string> {
  const rows = await knex('accounts')
    .insert({ account_number: accountNumber, name: 'a' })
    .returning<{ id: bigint }[]>('id');
  return String(rows[0]?.id);
}

test('a number that Keyward gave is never that of another row, even when its row was deleted', async () => {
  const numbers = [await made('0000-0000-0001'), await made('0000-0000-0002'), await made('0000-0000-0003')];
  await knex('accounts').whereIn('account_number', NUMBERS.slice(1)).delete();
  const above = String(BigInt(numbers[2] ?? 0) + 1n);
  await knex.transaction(async (trx) => {
    const taken = await takenNumbers(trx, TARGET_TABLES.account, ['5', ...numbers, above]);
    expect(['5', ...numbers, above].filter((id) => isFree(id, taken))).toEqual(['5', above]);
  });
});

test('a row that keeps a high number does not make Keyward give numbers again', async () => {
  const last = await made('0000-0000-0004');
  await knex('accounts').where('account_number', '0000-0000-0004').delete();
  const columns = { account_number: '0000-0000-0009', name: 'kept', company_name: '', is_active: true };
  const described = { ...columns, description: '', version: '', tags: [], annotations: {}, created_at: null };
  const row = { key: '100000002', label: 'kept', fields: {}, findings: [], leftOut: undefined };
  const kept = { row, columns: { ...described, updated_at: null }, id: row.key };
  await knex.transaction((trx) => insertNumbered(trx, TARGET_TABLES.account, [kept]));
  expect(BigInt(await made('0000-0000-0005'))).toBeGreaterThan(BigInt(last));
});
