import type { Knex } from 'knex';
import { expect } from 'vitest';
import { openDatabase } from '../../src/db/knex.js';
import { parsePgTimestamp, type Instant } from '../../src/lib/instant.js';
import { hashedId } from '../../src/lib/public-id.js';
import { importSmarter, type ImportOptions } from '../../src/smarter/import-smarter.js';
import type { ImportReport } from '../../src/smarter/report.js';
import { createTestDatabase } from './database.js';
import { readExpected, type StoredToken } from './smarter-source.js';

/** NO_ROWS are counts to which a test adds what it expects. */
export const NO_ROWS = { created: 0, updated: 0, unchanged: 0, merged: 0, leftOut: 0 };

/** ImportTarget is a database of Keyward that a test imports into. */
export interface ImportTarget {
  readonly url: string;
  readonly knex: Knex;
  run(sourceUrl: string, options?: Partial<ImportOptions>): Promise<ImportReport>;
  /** tokens are all tokens, by key id. */
  tokens(): Promise<Map<string, TokenRow>>;
  /** contents is everything an import writes, apart from the numbers of tokens. */
  contents(): Promise<unknown>;
  /** newestWrites changes whenever a row is written. */
  newestWrites(): Promise<unknown>;
  /** expectEverythingTaken compares every row with what Smarter's own software told of it. */
  expectEverythingTaken(): Promise<void>;
  drop(): Promise<void>;
}

interface TokenRow {
  key_id: string;
  user_profile_id: bigint;
  name: string;
  description: string;
  version: string;
  tags: string[];
  annotations: Record<string, string>;
  scopes: string[];
  prefix: string;
  is_active: boolean;
  expires_at: Instant | null;
  last_used_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
  digest: string;
  token_key: string;
}

export async function createImportTarget(): Promise<ImportTarget> {
  const database = await createTestDatabase();
  const knex = openDatabase({
    url: database.url,
    poolSize: 4,
    connectTimeoutMs: 5000,
    statementTimeoutMs: 0,
  });
  return {
    url: database.url,
    knex,
    run: (sourceUrl, options) => importSmarter({ sourceUrl, target: knex, dryRun: false, ...options }),
    tokens: () => readTokens(knex),
    contents: () => readContents(knex),
    newestWrites: () => readNewestWrites(knex),
    expectEverythingTaken: () => expectEverythingTaken(knex),
    drop: async () => {
      await knex.destroy();
      await database.drop();
    },
  };
}

async function readTokens(knex: Knex): Promise<Map<string, TokenRow>> {
  const { rows } = await knex.raw<{ rows: TokenRow[] }>(`
    SELECT t.*, encode(d.digest, 'hex') AS digest, d.token_key
    FROM tokens t JOIN token_digests d ON d.token_id = t.id WHERE d.retires_at IS NULL`);
  return new Map(rows.map((row) => [row.key_id, row]));
}

async function readContents(knex: Knex): Promise<unknown> {
  const tables: Record<string, unknown> = {};
  for (const table of ['accounts', 'users', 'user_profiles']) tables[table] = await knex(table).orderBy('id');
  const records = await knex('import_records')
    .select('kind', 'source_key', 'fields')
    .orderBy(['kind', 'source_key']);
  const tokens = [...(await readTokens(knex)).values()].sort((a, b) => a.key_id.localeCompare(b.key_id));
  return { ...tables, records, tokens: tokens.map((token) => ({ ...token, id: undefined })) };
}

function instant(text: string | null): Instant | null {
  return text === null ? null : parsePgTimestamp(text.replace('T', ' ').replace('Z', '+00'));
}

/** mapOf is how Python would merge Smarter's annotations, with values as Keyward keeps them. */
function mapOf(annotations: StoredToken['annotations']): Record<string, string> {
  const objects = annotations === null ? [] : Array.isArray(annotations) ? annotations : [annotations];
  const entries = objects.flatMap((object) => Object.entries(object));
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  );
}

async function expectEverythingTaken(knex: Knex): Promise<void> {
  const expected = await readExpected();
  const tokens = await readTokens(knex);
  expect(tokens.size).toBe(expected.tokens.length);
  for (const token of expected.tokens) {
    expect(tokens.get(token.key_id), token.name).toMatchObject({
      digest: token.digest,
      token_key: token.token_key,
      user_profile_id: BigInt(token.user_profile_id),
      description: token.description ?? '',
      version: token.version ?? '',
      tags: token.tags,
      annotations: mapOf(token.annotations),
      scopes: ['*'],
      prefix: '',
      is_active: token.is_active,
      expires_at: instant(token.expiry),
      last_used_at: instant(token.last_used_at),
      created_at: instant(token.created_at ?? token.created),
      updated_at: instant(token.updated_at),
    });
  }
  for (const { id, hashed_id, ...account } of expected.accounts) {
    expect(await knex('accounts').where({ id }).first(), account.name).toMatchObject(account);
    expect(hashedId(BigInt(id))).toBe(hashed_id);
  }
  for (const { id, ...user } of expected.users) {
    expect(await knex('users').where({ id }).first(), user.username).toMatchObject(user);
  }
  for (const { id, hashed_id, user_id, account_id, ...profile } of expected.user_profiles) {
    const row: unknown = await knex('user_profiles').where({ id }).first();
    expect(row).toMatchObject({ ...profile, user_id: BigInt(user_id), account_id: BigInt(account_id) });
    expect(hashedId(BigInt(id))).toBe(hashed_id);
  }
}

async function readNewestWrites(database: Knex): Promise<unknown> {
  const tables = ['accounts', 'users', 'user_profiles', 'tokens', 'token_digests', 'import_records'];
  const versions: unknown[] = [];
  for (const table of tables) {
    const { rows } = await database.raw<{ rows: unknown[] }>(
      `SELECT max(xmin::text::bigint) AS newest, count(*) AS rows FROM ${table}`,
    );
    versions.push(rows);
  }
  return versions;
}
