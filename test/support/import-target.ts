import { isUtf8 } from 'node:buffer';
import type { Knex } from 'knex';
import { expect } from 'vitest';
import { FernetKey } from '../../src/crypto/fernet.js';
import { Keyring } from '../../src/crypto/keyring.js';
import { openDatabase } from '../../src/db/knex.js';
import { systemClock } from '../../src/lib/clock.js';
import { parsePgTimestamp, type Instant } from '../../src/lib/instant.js';
import { foldName, rfc1034Name } from '../../src/lib/text.js';
import { hashedId, recordLocator } from '../../src/lib/public-id.js';
import { importSmarter, type ImportOptions } from '../../src/smarter/import-smarter.js';
import type { ImportReport } from '../../src/smarter/report.js';
import { testAuditLog } from './audit.js';
import { createTestDatabase } from './database.js';
import { keysOf, readExpected, type StoredSecret, type StoredToken } from './smarter-source.js';

/** NO_ROWS are counts to which a test adds what it expects. */
export const NO_ROWS = { created: 0, updated: 0, unchanged: 0, merged: 0, leftOut: 0 };

/** ImportTarget is a database of Keyward that a test imports into. */
export interface ImportTarget {
  readonly url: string;
  readonly knex: Knex;
  run(sourceUrl: string, options?: Partial<ImportOptions>): Promise<ImportReport>;
  /** tokens are all tokens, by key id. */
  tokens(): Promise<Map<string, TokenRow>>;
  /** secrets are all secrets, by their number, with their versions. */
  secrets(): Promise<Map<number, ImportedSecret>>;
  /** contents is everything an import writes, apart from the numbers of tokens. */
  contents(): Promise<unknown>;
  /** newestWrites changes whenever a row is written. */
  newestWrites(): Promise<unknown>;
  /** expectEverythingTaken compares every row with what Smarter's own software told of it. */
  expectEverythingTaken(): Promise<void>;
  /** clear removes everything that an import writes. */
  clear(): Promise<void>;
  drop(): Promise<void>;
}

export interface ImportedSecret {
  id: bigint;
  user_profile_id: bigint;
  name: string;
  name_key: string;
  description: string;
  version: string;
  tags: string[];
  annotations: Record<string, string>;
  expires_at: Instant | null;
  last_accessed_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  row_version: bigint;
  /** In the order of their numbers. */
  versions: SecretVersionRow[];
}

interface SecretVersionRow {
  secret_id: bigint;
  number: number;
  state: string;
  format: string;
  key_id: string | null;
  ciphertext: Buffer | null;
  created_at: Instant | null;
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

/** ringOf is a keyring of these keys, the first of which encrypts. */
export function ringOf(...keys: readonly string[]): Keyring {
  return new Keyring(
    keys.flatMap((key) => FernetKey.parse(key) ?? []),
    systemClock,
  );
}

/** createImportTarget gives a target whose imports have the keys of the Smarter database, if they are given no others. */
export async function createImportTarget(): Promise<ImportTarget> {
  const smarterKeys = ringOf(...keysOf(await readExpected()));
  const database = await createTestDatabase();
  const knex = openDatabase({
    url: database.url,
    poolSize: 4,
    connectTimeoutMs: 5000,
  });
  return {
    url: database.url,
    knex,
    run: (sourceUrl, options = {}) => {
      const { keyring = smarterKeys } = options;
      const audit = testAuditLog(knex);
      const defaults = { clock: systemClock, dryRun: false, keepTokens: false };
      return importSmarter({ sourceUrl, target: knex, keyring, audit, ...defaults, ...options });
    },
    tokens: () => readTokens(knex),
    secrets: () => readSecrets(knex),
    contents: () => readContents(knex),
    newestWrites: () => readNewestWrites(knex),
    expectEverythingTaken: () => expectEverythingTaken(knex),
    clear: async () => {
      await knex.raw('TRUNCATE accounts, users, user_profiles, tokens, secrets, import_records CASCADE');
    },
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

async function readSecrets(knex: Knex): Promise<Map<number, ImportedSecret>> {
  const secrets = await knex('secrets').orderBy('id').select<ImportedSecret[]>();
  const versions = await knex('secret_versions')
    .orderBy(['secret_id', 'number'])
    .select<SecretVersionRow[]>();
  const versionsOf = (id: bigint) => versions.filter(({ secret_id }) => secret_id === id);
  return new Map(
    secrets.map((secret) => [Number(secret.id), { ...secret, versions: versionsOf(secret.id) }]),
  );
}

async function readContents(knex: Knex): Promise<unknown> {
  const tables: Record<string, unknown> = {};
  for (const table of ['accounts', 'users', 'user_profiles']) tables[table] = await knex(table).orderBy('id');
  const records = await knex('import_records')
    .select('kind', 'source_key', 'fields')
    .orderBy(['kind', 'source_key']);
  const tokens = [...(await readTokens(knex)).values()].sort((a, b) => a.key_id.localeCompare(b.key_id));
  const secrets = [...(await readSecrets(knex)).values()];
  return { ...tables, records, secrets, tokens: tokens.map((token) => ({ ...token, id: undefined })) };
}

function instant(text: string | null): Instant | null {
  return text === null ? null : parsePgTimestamp(text.replace('T', ' ').replace('Z', '+00'));
}

/** mapOf is Smarter's annotations as Keyward keeps them: the values of a key that is there several times as a list. */
function mapOf(annotations: StoredToken['annotations']): Record<string, string> {
  const objects = annotations === null ? [] : Array.isArray(annotations) ? annotations : [annotations];
  const values = new Map<string, unknown[]>();
  for (const [key, value] of objects.flatMap((object) => Object.entries(object)))
    values.set(key, [...(values.get(key) ?? []), value]);
  const asText = ([only, ...others]: unknown[]): string => {
    if (others.length > 0) return `[ ${[only, ...others].map((each) => JSON.stringify(each)).join(', ')} ]`;
    return typeof only === 'string' ? only : JSON.stringify(only);
  };
  return Object.fromEntries([...values].map(([key, all]) => [key, asText(all)]));
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
  const secrets = await readSecrets(knex);
  expect(secrets.size).toBe(expected.secrets.length);
  const keyring = ringOf(...keysOf(expected));
  for (const secret of expected.secrets) expectSecret(secrets.get(secret.id), secret, keyring);
}

function expectSecret(stored: ImportedSecret | undefined, secret: StoredSecret, keyring: Keyring): void {
  expect(stored, secret.case).toMatchObject({
    user_profile_id: BigInt(secret.user_profile_id),
    name: secret.name,
    name_key: foldName(secret.name),
    description: secret.description ?? '',
    version: secret.version ?? '',
    annotations: mapOf(secret.annotations),
    expires_at: instant(secret.expires_at),
    last_accessed_at: instant(secret.last_accessed),
    created_at: instant(secret.created_at),
    updated_at: instant(secret.updated_at),
  });
  expect(new Set(stored?.tags), secret.case).toEqual(new Set(secret.tags));
  expect(recordLocator('secret', BigInt(secret.id))).toBe(secret.record_locator);
  expect(hashedId(BigInt(secret.id))).toBe(secret.hashed_id);
  expect(rfc1034Name(secret.name)).toBe(secret.rfc1034_name ?? '');
  expect(stored?.versions, secret.case).toHaveLength(1);
  expect(stored?.versions[0], secret.case).toMatchObject({ number: 1, state: 'ENABLED', format: 'TEXT' });
  expect(plaintextOf(stored, keyring)?.toString('base64') ?? null, secret.case).toBe(secret.plaintext_b64);
  const keyId = secret.encrypted_with && keyring.keyIds[KEY_ORDER.indexOf(secret.encrypted_with)];
  if (keyId) expect(stored?.versions[0]?.key_id, secret.case).toBe(keyId);
}

/** The names that the Smarter database's own description gives to its keys, the one in use first. */
const KEY_ORDER = ['current', 'previous', 'oldest'];

/** plaintextOf is the newest value of a secret, undefined where no key opens it or it is not the text it should be. */
export function plaintextOf(secret: ImportedSecret | undefined, keyring: Keyring): Buffer | undefined {
  const version = secret?.versions.at(-1);
  if (!version?.ciphertext || version.key_id === null) return undefined;
  const { plaintext } = keyring.decrypt(version.ciphertext, version.key_id);
  return isUtf8(plaintext) ? plaintext : undefined;
}

async function readNewestWrites(database: Knex): Promise<unknown> {
  const tables = ['accounts', 'users', 'user_profiles', 'tokens', 'token_digests'];
  tables.push('secrets', 'secret_versions', 'import_records', 'audit_events');
  const versions: unknown[] = [];
  for (const table of tables) {
    const { rows } = await database.raw<{ rows: unknown[] }>(
      `SELECT max(xmin::text::bigint) AS newest, count(*) AS rows FROM ${table}`,
    );
    versions.push(rows);
  }
  return versions;
}
