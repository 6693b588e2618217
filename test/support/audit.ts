import type { Knex } from 'knex';
import { AuditLog } from '../../src/audit/audit-log.js';
import type { AuditKeys } from '../../src/audit/audit-record.js';
import { AuditRepository } from '../../src/audit/audit-repository.js';
import { ChainRepository } from '../../src/audit/chain-repository.js';
import { verifyAudit, type AuditReport, type SavedHead } from '../../src/audit/verify.js';
import { FernetKey } from '../../src/crypto/fernet.js';
import { Keyring } from '../../src/crypto/keyring.js';
import { systemClock, type Clock } from '../../src/lib/clock.js';
import { TEST_KEY } from './keyring.js';
import { execute } from './sql.js';

/** testKeyring is the keyring of every test server that is given no other. */
export function testKeyring(clock: Clock = systemClock): Keyring {
  const key = FernetKey.parse(TEST_KEY);
  if (key === undefined) throw new Error('the tests have no key');
  return new Keyring([key], clock);
}

/** testAuditLog is the audit log of a process of its own, with the keys of the test servers. */
export function testAuditLog(knex: Knex, clock: Clock = systemClock): AuditLog {
  return new AuditLog({ chains: new ChainRepository(knex), keys: testKeyring(clock), clock });
}

/** StoredEvent is what tests look at of a record. */
export interface StoredEvent {
  readonly id: bigint;
  readonly action: string;
  readonly outcome: string;
  readonly actor: string;
  readonly kind: string;
  readonly resourceId: bigint | null;
  readonly detail: Readonly<Record<string, string>>;
}

/** readEvents reads the records after one, but for those that a timer writes, in the order of their numbers. */
export async function readEvents(databaseUrl: string, after = 0n): Promise<StoredEvent[]> {
  const rows = await execute(
    databaseUrl,
    "SELECT * FROM audit_events WHERE id > $1 AND action NOT LIKE 'AUTHENTICATION%' ORDER BY id",
    [String(after)],
  );
  return rows.map((row) => ({
    id: BigInt(row['id'] as string),
    action: row['action'] as string,
    outcome: row['outcome'] as string,
    actor: row['actor_username'] as string,
    kind: row['resource_kind'] as string,
    resourceId: row['resource_id'] === null ? null : BigInt(row['resource_id'] as string),
    detail: row['detail'] as StoredEvent['detail'],
  }));
}

/** newestEvent is the number of the newest record. */
export async function newestEvent(databaseUrl: string): Promise<bigint> {
  const [row] = await execute(databaseUrl, 'SELECT coalesce(max(id), 0) AS id FROM audit_events');
  return BigInt(row?.['id'] as string);
}

/** verify checks the whole log with the keys of the test servers. */
export function verify(
  knex: Knex,
  savedHeads: readonly SavedHead[] = [],
  keys: AuditKeys = testKeyring(),
): Promise<AuditReport> {
  return verifyAudit({ events: new AuditRepository(knex), keys, savedHeads });
}
