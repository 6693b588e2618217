import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { AuditLog, OPERATOR } from '../../../src/audit/audit-log.js';
import { ChainRepository } from '../../../src/audit/chain-repository.js';
import type { AuditReport } from '../../../src/audit/verify.js';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { Keyring } from '../../../src/crypto/keyring.js';
import { systemClock, type Clock } from '../../../src/lib/clock.js';
import { ReencryptionRepository } from '../../../src/secret/reencryption/reencryption-repository.js';
import { ReencryptionService } from '../../../src/secret/reencryption/reencryption-service.js';
import { anEntry } from '../../support/audit-records.js';
import { testKeyring, verify } from '../../support/audit.js';
import { SecretApi } from '../../support/secret-api.js';
import { execute } from '../../support/sql.js';
import { existing } from '../../support/world.js';

const [oldest, old, present, next] = Array.from({ length: 4 }, () =>
  existing(FernetKey.parse(FernetKey.generate())),
) as [FernetKey, FernetKey, FernetKey, FernetKey];

let api: SecretApi;
let knex: Knex;

beforeAll(async () => {
  api = await SecretApi.open();
  knex = api.knex;
});

afterAll(() => api.close());

beforeEach(async () => {
  await execute(api.database.url, 'TRUNCATE audit_events, audit_chains, replicas RESTART IDENTITY');
});

/** logWith is the log of a process that has these keys. */
function logWith(keys: readonly FernetKey[], clock: Clock = systemClock): AuditLog {
  return new AuditLog({ chains: new ChainRepository(knex), keys: new Keyring(keys, systemClock), clock });
}

function retire(log: AuditLog): Promise<void> {
  return knex.transaction((trx) => log.retireOlderKeys(trx, OPERATOR));
}

function check(): Promise<AuditReport> {
  return verify(knex, [], new Keyring([present, old, oldest, next], systemClock));
}

/** retired are the keys that each record of a retirement names. */
async function retired(): Promise<unknown[]> {
  const rows = await execute(
    api.database.url,
    "SELECT detail->>'retired' AS retired FROM audit_events WHERE action = 'KEYS_RETIRED' ORDER BY id",
  );
  return rows.map((row) => row['retired']);
}

/** changeKey is what a change of keys by the book leaves: chains of the old key, then those of the new one. */
async function changeKey(): Promise<AuditLog> {
  await logWith([oldest]).append(anEntry());
  await logWith([old, oldest]).append(anEntry());
  const log = logWith([present, old, oldest]);
  await log.append(anEntry());
  await retire(log);
  await log.append(anEntry());
  return log;
}

test('a change of keys by the book is recorded, and the log is intact', async () => {
  await changeKey();
  expect(await retired()).toEqual([[old.id, oldest.id].sort().join()]);
  expect(await check()).toMatchObject({ isIntact: true, records: 5n });
});

test('a chain that is begun with a retired key is refused', async () => {
  await changeKey();
  await logWith([old]).append(anEntry());
  const report = await check();
  expect(report.isIntact).toBe(false);
  expect(report.faults).toMatchObject([{ kind: 'KEY_RETIRED', seq: null }]);
  expect(report.chains.at(-1)).toMatchObject({ keyId: old.id, vouched: null, faults: 1 });
});

test('a chain that claims to be older than the retirement is refused for its numbers', async () => {
  await changeKey();
  const before = { now: () => systemClock.now() - 86_400_000 };
  await knex.transaction((trx) => logWith([old], before).record(trx, [anEntry()]));
  expect((await check()).faults).toMatchObject([{ kind: 'KEY_RETIRED' }]);
});

test('a chain that was begun before the retirement and goes on after it is refused', async () => {
  const log = logWith([old]);
  await log.append(anEntry());
  await changeKey();
  // The next record may still have a number that was drawn with the first, a moment before the retirement.
  await log.append(anEntry());
  await expect
    .poll(
      async () => {
        await log.append(anEntry());
        return (await check()).faults;
      },
      { timeout: 10_000 },
    )
    .toMatchObject([{ kind: 'KEY_RETIRED' }]);
});

test('a key that is added for the next change is not retired before its time', async () => {
  const log = logWith([present, next]);
  await log.append(anEntry());
  await logWith([next, present]).append(anEntry());
  await retire(log);
  expect(await retired()).toEqual([]);
  await retire(logWith([next, present]));
  expect(await retired()).toEqual([present.id]);
  expect((await check()).isIntact).toBe(true);
});

test('no retirement is recorded while a replica has another key first, or may have', async () => {
  await logWith([old]).append(anEntry());
  const log = logWith([present, old]);
  const replica = (keyId: string | null, lease: string) =>
    execute(
      api.database.url,
      `INSERT INTO replicas (id, lease_expires_at, max_stale, applied, key_id)
       VALUES (gen_random_uuid(), now() + $2::interval, '0', 0, $1)`,
      [keyId, lease],
    );
  await replica(present.id, '1 hour');
  await replica(old.id, '-1 second');
  for (const keyId of [old.id, null]) {
    await replica(keyId, '1 hour');
    await retire(log);
    expect(await retired()).toEqual([]);
    await execute(api.database.url, 'DELETE FROM replicas WHERE key_id IS DISTINCT FROM $1', [present.id]);
  }
  await retire(log);
  expect(await retired()).toEqual([old.id]);
});

test('a record that somebody changed retires no key', async () => {
  await changeKey();
  const innocent = logWith([old]);
  await execute(
    api.database.url,
    `UPDATE audit_events SET detail = jsonb_set(detail, '{retired}', to_jsonb($1::text)) WHERE action = 'KEYS_RETIRED'`,
    [oldest.id],
  );
  await innocent.append(anEntry());
  expect((await check()).faults).toMatchObject([{ kind: 'CHANGED' }]);
});

test('a rotation that has ended retires the keys before, and one that only tries does not', async () => {
  await logWith([old]).append(anEntry());
  const keyring = testKeyring(api.clock);
  const log = new AuditLog({ chains: new ChainRepository(knex), keys: keyring, clock: systemClock });
  const rotation = new ReencryptionService({
    knex,
    keyring,
    bindings: api.services.bindings,
    versions: new ReencryptionRepository(knex),
    rightsReader: new CallerRightsRepository(knex),
    audit: log,
    stopping: new AbortController().signal,
  });
  const rotate = async (dryRun: boolean): Promise<void> => {
    for await (const progress of rotation.rotate(api.as('admin'), { dryRun, batchSize: 0 })) {
      if (progress.isFinished) return;
    }
  };
  await rotate(true);
  expect(await retired()).toEqual([]);
  await rotate(false);
  expect(await retired()).toEqual([old.id]);
});
