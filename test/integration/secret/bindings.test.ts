import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { Keyring } from '../../../src/crypto/keyring.js';
import { BindingRepository } from '../../../src/secret/binding/binding-repository.js';
import { BindingService } from '../../../src/secret/binding/binding-service.js';
import { ReencryptionRepository } from '../../../src/secret/reencryption/reencryption-repository.js';
import {
  ReencryptionService,
  type ReencryptionProgress,
} from '../../../src/secret/reencryption/reencryption-service.js';
import type { Secret } from '../../../src/secret/secret.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { testAuditLog } from '../../support/audit.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import { TEST_KEY } from '../../support/keyring.js';
import { byId, outcomes, SecretApi, text } from '../../support/secret-api.js';
import { newKey } from '../../support/stored-secrets.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});
afterAll(() => api.close());

/** asDatabaseWriter runs statements as somebody who may do everything with the database. */
async function asDatabaseWriter(...statements: readonly [string, ...string[]][]): Promise<void> {
  await api.knex.transaction(async (trx) => {
    await trx.raw('SET LOCAL session_replication_role = replica');
    for (const [sql, ...values] of statements) await trx.raw(sql, values);
  });
}

const id = (secret: Secret): string => String(secret.id);

/** expectMisplaced: nobody gets the value in any way, and each attempt is recorded. */
async function expectMisplaced(secret: Secret, version = 1): Promise<void> {
  await expect(api.access(api.as('owner'), secret, { version })).rejects.toMatchObject({
    reason: 'SECRET_MISPLACED',
    metadata: {},
  });
  expect((await api.events(secret.id)).at(-1)).toMatchObject({
    action: 'SECRET_ACCESSED',
    outcome: 'SECRET_MISPLACED',
    actor_username: 'owner',
    detail: { version: String(version) },
  });
}

/** copyRow puts all that another version's row holds of its value in the place of this one's. */
function copyRow(from: Secret, to: Secret, fromNumber = 1, toNumber = 1): Promise<void> {
  return asDatabaseWriter([
    `UPDATE secret_versions t SET format = f.format, key_id = f.key_id, ciphertext = f.ciphertext,
       binding = f.binding, binding_key_id = f.binding_key_id
     FROM secret_versions f WHERE f.secret_id = ? AND f.number = ${fromNumber}
       AND t.secret_id = ? AND t.number = ${toNumber}`,
    id(from),
    id(to),
  ]);
}

describe('a database writer who', () => {
  test("copies another secret's value into their own row gets nothing", async () => {
    const [mine, other] = [await api.newSecret(), await api.newSecret({}, text('of others'), 'admin')];
    await copyRow(other, mine);
    await expectMisplaced(mine);
    const cloning = api.services.clones.clone(
      api.as('owner'),
      byId(mine),
      { name: api.newName() },
      undefined,
    );
    await expect(cloning).rejects.toMatchObject({ reason: 'SECRET_MISPLACED' });
    expect((await api.events(mine.id)).at(-1)).toMatchObject({
      action: 'SECRET_CLONED',
      outcome: 'SECRET_MISPLACED',
    });
  });

  test('copies the ciphertext alone gets nothing', async () => {
    const [mine, other] = [await api.newSecret(), await api.newSecret({}, text('of others'), 'admin')];
    const columns = `(ciphertext, key_id) = (
      SELECT ciphertext, key_id FROM secret_versions WHERE secret_id = ? AND number = 1)`;
    await asDatabaseWriter([
      `UPDATE secret_versions SET ${columns} WHERE secret_id = ?`,
      id(other),
      id(mine),
    ]);
    await expectMisplaced(mine);
  });

  test("puts an old version's value in the place of the newest gets nothing, and the old one stays", async () => {
    const secret = await api.newSecret({}, text('old'));
    await api.services.versions.add(api.as('owner'), byId(secret), '', text('new'));
    await copyRow(secret, secret, 1, 2);
    await expectMisplaced(secret, 2);
    expect(await api.textOf(api.as('owner'), secret, { version: 1 })).toBe('old');
  });

  test.each([
    ['takes the binding off', 'binding = NULL, binding_key_id = NULL'],
    ['makes a binding up', "binding = sha256('x')"],
    ['makes a binding of another length', "binding = 'x'"],
    ['names another key for the binding', "binding_key_id = '0123456789abcdef'"],
    ['takes the key of the value away', 'key_id = NULL'],
    ['says that text is bytes', "format = 'BINARY'"],
    ['changes the ciphertext', "ciphertext = 'x'"],
  ])('%s gets nothing', async (_, assignment) => {
    const secret = await api.newSecret();
    await api.knex.raw('ALTER TABLE secret_versions DROP CONSTRAINT IF EXISTS secret_versions_binding_check');
    await asDatabaseWriter([`UPDATE secret_versions SET ${assignment} WHERE secret_id = ?`, id(secret)]);
    await expectMisplaced(secret);
  });

  test('swaps the numbers of two secrets gets neither value', async () => {
    const [one, two] = [await api.newSecret(), await api.newSecret()];
    const move = 'UPDATE secret_versions SET secret_id = ? WHERE secret_id = ?';
    await asDatabaseWriter([move, '1', id(one)], [move, id(one), id(two)], [move, id(two), '1']);
    await expectMisplaced(one);
    await expectMisplaced(two);
  });

  test("moves a whole row, or a copy of it, among another secret's versions gets nothing", async () => {
    const [mine, other] = [await api.newSecret(), await api.newSecret({}, text('of others'), 'admin')];
    await asDatabaseWriter(
      ['DELETE FROM secret_versions WHERE secret_id = ?', id(mine)],
      [
        `INSERT INTO secret_versions
         SELECT (json_populate_record(v, json_build_object('secret_id', ?::bigint, 'number', 5))).*
         FROM secret_versions v WHERE secret_id = ?`,
        id(mine),
        id(other),
      ],
    );
    await expectMisplaced(mine, 5);
    await asDatabaseWriter([
      'UPDATE secret_versions SET secret_id = ?, number = 6 WHERE secret_id = ?',
      id(mine),
      id(other),
    ]);
    await expectMisplaced(mine, 6);
  });
});

test('in a batch only what is misplaced is refused', async () => {
  const [good, bad] = [await api.newSecret({}, text('good')), await api.newSecret()];
  await copyRow(good, bad);
  const requests = [good, bad, good].map((secret) => {
    return { ref: byId(secret), version: null, includeExpired: false, skipAccessTime: false };
  });
  const results = await api.services.access.accessMany(api.as('owner'), requests);
  expect(results.map((result) => ('reason' in result ? result.reason : 'OK'))).toEqual([
    'OK',
    'SECRET_MISPLACED',
    'OK',
  ]);
});

describe('what the version before this one writes', () => {
  const code = (error: unknown): unknown => (error as { code?: unknown }).code;

  test('is refused as something to try again where it is a value, and nothing else is', async () => {
    const secret = await api.newSecret();
    const table = api.knex('secret_versions').where('secret_id', id(secret));
    const value = { ciphertext: Buffer.from('x'), key_id: api.keyring.primaryId };
    const inserting = api
      .knex('secret_versions')
      .insert({ secret_id: id(secret), number: 2, format: 'TEXT', ...value });
    expect(await inserting.catch(code)).toBe('57P03');
    expect(await table.clone().update(value).catch(code)).toBe('57P03');
    expect(await table.clone().update({ state: 'DISABLED' })).toBe(1);
    const destroyed = { state: 'DESTROYED', ciphertext: null, key_id: null, destroyed_at: new Date(0) };
    expect(await table.clone().update(destroyed)).toBe(1);
    expect(await table.clone().select('binding', 'binding_key_id')).toEqual([
      { binding: null, binding_key_id: null },
    ]);
  });
});

describe('a rotation', () => {
  const LATER_KEY = newKey();

  /** rotation is that of a replica whose first key is a new one. */
  function rotation(): ReencryptionService {
    const { knex, clock } = api;
    const keyring = new Keyring([LATER_KEY, TEST_KEY].map(fernetKey), clock);
    const audit = testAuditLog(knex);
    const bindings = new BindingService({
      ...{ knex, keyring, audit, logger: createLogger('fatal') },
      bindings: new BindingRepository(),
    });
    const versions = new ReencryptionRepository(knex);
    const rightsReader = new CallerRightsRepository(knex);
    return new ReencryptionService({
      knex,
      versions,
      keyring,
      bindings,
      rightsReader,
      audit,
      stopping: new AbortController().signal,
    });
  }

  async function rotate(): Promise<ReencryptionProgress | undefined> {
    let last: ReencryptionProgress | undefined;
    const options = { dryRun: false, batchSize: 0 };
    for await (const progress of rotation().rotate(api.as('admin'), options)) last = progress;
    return last;
  }

  test('gives nothing that is misplaced a binding, tells of it, and moves the bindings of what nobody can read', async () => {
    await api.knex('secrets').delete();
    const [good, moved, unbound, unreadable] = [
      await api.newSecret(),
      await api.newSecret(),
      await api.newSecret(),
      await api.newSecret(),
    ];
    await copyRow(good, moved);
    await asDatabaseWriter([
      'UPDATE secret_versions SET binding = NULL, binding_key_id = NULL WHERE secret_id = ?',
      id(unbound),
    ]);
    await api.store(unreadable, Buffer.from('nobody can read this'), null);
    const before = await api.knex('secret_versions').whereIn('secret_id', [id(moved), id(unbound)]);

    expect(await rotate()).toMatchObject({ done: 4, total: 4, failed: 3, isFinished: true });
    expect(await rotate()).toMatchObject({ done: 3, total: 3, failed: 3 });

    expect(await api.knex('secret_versions').whereIn('secret_id', [id(moved), id(unbound)])).toEqual(before);
    const status = await rotation().status(api.as('admin'));
    expect(status.undecryptable).toEqual([
      { secretId: moved.id, number: 1, keyId: fernetKey(TEST_KEY).id, cause: 'MISPLACED' },
      { secretId: unbound.id, number: 1, keyId: fernetKey(TEST_KEY).id, cause: 'MISPLACED' },
      { secretId: unreadable.id, number: 1, keyId: null, cause: 'MALFORMED' },
    ]);
    await expectMisplaced(moved);
    await expectMisplaced(unbound);
    // Once those two are gone, the key before is needed by nothing: not to read, nor to bind.
    await api
      .knex('secrets')
      .whereIn('id', [id(moved), id(unbound)])
      .delete();
    const { keys } = await rotation().status(api.as('admin'));
    expect(keys.map(({ keyId, versionCount }) => [keyId, versionCount])).toEqual([
      [fernetKey(LATER_KEY).id, 2n],
      [fernetKey(TEST_KEY).id, 0n],
      ['', 1n],
    ]);
    await api.knex('secrets').delete();
  });

  test('reports the same in a dry run', async () => {
    const [good, moved] = [await api.newSecret(), await api.newSecret()];
    await copyRow(good, moved);
    let last: ReencryptionProgress | undefined;
    const options = { dryRun: true, batchSize: 0 };
    for await (const progress of rotation().rotate(api.as('admin'), options)) last = progress;
    expect(last).toMatchObject({ done: 2, failed: 1 });
    await api.knex('secrets').delete();
  });
});

test('a value has the same outcome for all who may have it, and none for those who may not', async () => {
  const [good, moved] = [await api.newSecret(), await api.newSecret()];
  await copyRow(good, moved);
  expect(
    await outcomes(
      (['owner', 'staff-a', 'admin', 'reader', 'staff-b'] as const).map((who) =>
        api.access(api.as(who), moved),
      ),
    ),
  ).toEqual(['SECRET_MISPLACED', 'SECRET_MISPLACED', 'SECRET_MISPLACED', 'NOT_PERMITTED', 'NOT_FOUND']);
});
