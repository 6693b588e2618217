import { readFile } from 'node:fs/promises';
import type { Knex } from 'knex';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { Keyring } from '../../../src/crypto/keyring.js';
import { openDatabase } from '../../../src/db/knex.js';
import { migrate } from '../../../src/db/migrate.js';
import { up } from '../../../src/db/migrations/0007-audit-accounts.js';
import { systemClock } from '../../../src/lib/clock.js';
import { anEntry } from '../../support/audit-records.js';
import { testAuditLog, testKeyring, verify } from '../../support/audit.js';
import { createEmptyDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';
import { existing } from '../../support/world.js';

/** The key of the chains in the fixture, which the first version of Keyward wrote. */
const OLD_KEY = existing(FernetKey.parse(`${Buffer.alloc(32, 1).toString('base64url')}=`));

let database: TestDatabase;
let knex: Knex;

beforeEach(async () => {
  database = await createEmptyDatabase();
  await migrate(database.url);
  knex = openDatabase({ url: database.url, poolSize: 4, connectTimeoutMs: 10_000 });
});

afterEach(async () => {
  await knex.destroy();
  await database.drop();
});

function sql(statement: string, values: readonly unknown[] = []): Promise<Record<string, unknown>[]> {
  return execute(database.url, statement, values);
}

/** writeOldChains writes the fixture's rows as that version did: it knew neither formats nor ids of accounts. */
async function writeOldChains(): Promise<void> {
  const fixture = await readFile(new URL('../../fixtures/audit/format-1.json', import.meta.url), 'utf8');
  await sql(
    `INSERT INTO audit_chains (chain, purpose, key_id, started_at, seq, mac)
     SELECT chain, purpose, key_id, to_timestamp(0) + started_at_us * interval '1 microsecond', seq, decode(mac, 'hex')
     FROM json_to_recordset($1) AS c (chain uuid, purpose text, key_id text, started_at_us bigint, seq bigint, mac text)`,
    [fixture],
  );
  await sql(
    `INSERT INTO audit_events (occurred_at, chain, seq, mac, action, outcome, actor_key_id, actor_user_id, actor_username,
       actor_account_number, actor_peer, request_id, resource_kind, resource_id, resource_profile_id,
       resource_account_number, detail)
     SELECT to_timestamp(0) + occurred_at_us * interval '1 microsecond', c.chain, e.seq, decode(e.mac, 'hex'), action,
       outcome, actor_key_id, actor_user_id, actor_username, actor_account_number, actor_peer, request_id,
       resource_kind, resource_id, resource_profile_id, resource_account_number, detail
     FROM json_to_recordset($1) AS c (chain uuid, events json), json_to_recordset(c.events) AS e (
       occurred_at_us bigint, seq bigint, mac text, action text, outcome text, actor_key_id text, actor_user_id bigint,
       actor_username text, actor_account_number text, actor_peer text, request_id text, resource_kind text,
       resource_id bigint, resource_profile_id bigint, resource_account_number text, detail jsonb)
     ORDER BY c.chain, e.seq`,
    [fixture],
  );
}

async function addAccount(id: number, number: string, createdAt: string | null): Promise<void> {
  await sql('INSERT INTO accounts (id, account_number, name, created_at) VALUES ($1, $2, $3, $4)', [
    id,
    number,
    number,
    createdAt,
  ]);
}

/** addRecord writes a record that tells the number of an account alone. */
async function addRecord(number: string, at: string, action = 'TOKEN_EDITED', kind = 'token'): Promise<void> {
  await sql(
    `INSERT INTO audit_events (occurred_at, chain, seq, mac, action, outcome, actor_username, actor_peer, resource_kind,
       resource_id, resource_account_number, detail)
     SELECT $2, '00000000-0000-4000-8000-000000000000', count(*) + 1, decode(repeat('00', 32), 'hex'), $3, 'OK', '', '',
       $4, 77, $1, '{}' FROM audit_events`,
    [number, at, action, kind],
  );
}

async function accountIds(): Promise<unknown[]> {
  const rows = await sql('SELECT resource_account_id FROM audit_events ORDER BY id');
  return rows.map((row) => row['resource_account_id']);
}

test('chains that the first version wrote verify beside new ones, and any change of them is found', async () => {
  await writeOldChains();
  await testAuditLog(knex).append(anEntry());
  const keys = new Keyring([OLD_KEY], systemClock);
  const both = {
    derive: keys.derive.bind(keys),
    deriveFrom: (keyId: string, purpose: string) =>
      keys.deriveFrom(keyId, purpose) ?? testKeyring().deriveFrom(keyId, purpose),
  };
  expect(await verify(knex, [], both)).toMatchObject({ isIntact: true, records: 7n });
  await sql("UPDATE audit_events SET outcome = 'NOT_FOUND' WHERE seq = 2");
  expect((await verify(knex, [], both)).faults).toMatchObject([
    { kind: 'CHANGED', seq: 2n },
    { kind: 'CHANGED', seq: 2n },
  ]);
});

test('a record that the version before writes meanwhile gets the id of the account that has the number', async () => {
  await addAccount(5, '2222-2222-2222', null);
  await writeOldChains();
  expect(await accountIds()).toEqual(Array.from({ length: 6 }, () => '5'));
  await sql('DELETE FROM accounts');
  await addRecord('2222-2222-2222', '2026-02-01', 'ACCOUNT_DELETED', 'account');
  await addRecord('2222-2222-2222', '2026-02-01', 'SECRET_PURGED', 'secret');
  expect((await accountIds()).slice(6)).toEqual(['77', null]);
});

test('older records get the id of an account with their number that was there before them, and no other', async () => {
  await sql('ALTER TABLE audit_events DISABLE TRIGGER USER');
  await addRecord('1111-1111-1111', '2025-12-31');
  await addRecord('1111-1111-1111', '2026-02-01');
  await addRecord('2222-2222-2222', '2026-02-01');
  await addRecord('2222-2222-2222', '2026-03-01', 'ACCOUNT_DELETED', 'account');
  await addRecord('2222-2222-2222', '2026-03-02');
  await addRecord('3333-3333-3333', '2026-02-01');
  await addRecord('4444-4444-4444', '2026-02-01');
  await addRecord('1111-1111-1111', '2025-12-31', 'ACCOUNT_CREATED', 'account');
  await addAccount(1, '1111-1111-1111', '2026-01-01');
  // Imported after another one with its number was deleted, with the age that it had elsewhere.
  await addAccount(2, '2222-2222-2222', '2020-01-01');
  await addAccount(4, '4444-4444-4444', null);
  await up(knex);
  expect(await accountIds()).toEqual([null, '1', null, '77', '2', null, '4', '77']);
});
