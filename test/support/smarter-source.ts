import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inject } from 'vitest';
import { z } from 'zod';
import { execute, withDatabaseName } from './sql.js';

const FIXTURES = new URL('../fixtures/smarter/', import.meta.url);

export interface SmarterDatabase {
  readonly url: string;
  /** run sends SQL to the database. */
  run(sql: string): Promise<unknown>;
  drop(): Promise<void>;
}

/** readFixture is the text of a file of `test/fixtures/smarter`. */
export function readFixture(name: string): Promise<string> {
  return readFile(new URL(name, FIXTURES), 'utf8');
}

/** TEMPLATE is restored by the first test of a run that needs it; the others copy it. */
const TEMPLATE = 'smarter_template';

/** createSmarterDatabase makes a database of a real Smarter platform in PostgreSQL. */
export async function createSmarterDatabase(): Promise<SmarterDatabase> {
  const serverUrl = inject('databaseServerUrl');
  const [template] = await execute(serverUrl, 'SELECT FROM pg_database WHERE datname = $1', [TEMPLATE]);
  if (template === undefined) await makeTemplate(serverUrl);
  const name = newDatabaseName();
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  const url = withDatabaseName(serverUrl, name);
  return {
    url,
    run: (sql) => execute(url, sql),
    drop: async () => {
      await execute(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

/** makeTemplate gives the template its name when it is whole; of two processes that make one, one does so. */
async function makeTemplate(serverUrl: string): Promise<void> {
  const name = newDatabaseName();
  await execute(serverUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  await execute(withDatabaseName(serverUrl, name), await readFixture('smarter-db.sql'));
  try {
    await execute(serverUrl, `ALTER DATABASE ${name} RENAME TO ${TEMPLATE}`);
  } catch {
    await execute(serverUrl, `DROP DATABASE ${name}`);
  }
}

function newDatabaseName(): string {
  return `smarter_test_${randomBytes(6).toString('hex')}`;
}

const Annotations = z.union([
  z.null(),
  z.record(z.string(), z.unknown()),
  z.array(z.record(z.string(), z.unknown())),
]);

const StoredToken = z.object({
  digest: z.string(),
  token_key: z.string(),
  key_id: z.uuid(),
  name: z.string(),
  description: z.string().nullable(),
  version: z.string().nullable(),
  tags: z.array(z.string()),
  annotations: Annotations,
  owner: z.string(),
  account_number: z.string(),
  user_profile_id: z.number(),
  is_active: z.boolean(),
  created: z.string(),
  created_at: z.string().nullable(),
  updated_at: z.string().nullable(),
  last_used_at: z.string().nullable(),
  expiry: z.string().nullable(),
});
export type StoredToken = z.infer<typeof StoredToken>;

const StoredSecret = z.object({
  case: z.string(),
  id: z.number(),
  hashed_id: z.string(),
  record_locator: z.string(),
  rfc1034_name: z.string().nullable(),
  name: z.string(),
  description: z.string().nullable(),
  version: z.string().nullable(),
  tags: z.array(z.string()),
  annotations: Annotations,
  user_profile_id: z.number(),
  expires_at: z.string().nullable(),
  created_at: z.string().nullable(),
  updated_at: z.string().nullable(),
  last_accessed: z.string().nullable(),
  plaintext_b64: z.string().nullable(),
  encrypted_with: z.enum(['current', 'previous', 'oldest']).nullable(),
  expected: z.enum(['ok', 'expired', 'undecryptable']),
});
export type StoredSecret = z.infer<typeof StoredSecret>;

const Expected = z.object({
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
  accounts: z.array(
    z.object({
      id: z.number(),
      account_number: z.string(),
      name: z.string(),
      company_name: z.string(),
      is_active: z.boolean(),
      hashed_id: z.string(),
      tags: z.array(z.string()),
    }),
  ),
  users: z.array(
    z.object({
      id: z.number(),
      username: z.string(),
      email: z.string(),
      first_name: z.string(),
      last_name: z.string(),
      is_active: z.boolean(),
      is_staff: z.boolean(),
      is_superuser: z.boolean(),
    }),
  ),
  user_profiles: z.array(
    z.object({
      id: z.number(),
      user_id: z.number(),
      account_id: z.number(),
      name: z.string(),
      hashed_id: z.string(),
      tags: z.array(z.string()),
    }),
  ),
  tokens: z.array(StoredToken),
  secrets: z.array(StoredSecret),
  quirk_tokens: z.array(z.union([StoredToken, z.object({ key_id: z.null() })])),
});

/** readExpected is what the rows of the Smarter database mean, as its own software told. */
export async function readExpected() {
  const { quirk_tokens, ...expected } = Expected.parse(JSON.parse(await readFixture('expected.json')));
  const tokens = [
    ...expected.tokens,
    ...quirk_tokens.filter((token): token is StoredToken => token.key_id !== null),
  ];
  return { ...expected, tokens, knoxOnly: quirk_tokens.filter((token) => token.key_id === null).length };
}

export type Expected = Awaited<ReturnType<typeof readExpected>>;

/** keysOf are the keys that the secrets of the Smarter database were encrypted with, the one in use first. */
export function keysOf({ fernet_keys: { current, previous } }: Expected): string[] {
  return [current, ...previous];
}

/** lastToken is the token that comes last in the file. */
export function lastToken({ tokens }: Expected): StoredToken {
  const token = tokens.at(-1);
  if (!token) throw new Error('there are no tokens');
  return token;
}
