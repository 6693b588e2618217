import type { Knex } from 'knex';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KeywardClient, RotateEncryptionKeyResponse } from '../../../src/client/index.js';
import type { Database } from '../../../src/db/knex.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import type { RequestOf } from '../../support/rpc.js';
import type { TestServer } from '../../support/server.js';
import {
  connectTo,
  newKey,
  sealed,
  storedVersions,
  storeSecrets,
  type StoredSecret,
} from '../../support/stored-secrets.js';
import { World } from '../../support/world.js';

const NEW_KEY = newKey();
const OLD_KEY = newKey();
const OLDEST_KEY = newKey();
const LOST_KEY = newKey();
const NEW_ID = fernetKey(NEW_KEY).id;
const OLD_ID = fernetKey(OLD_KEY).id;

let world: World;
let server: TestServer;
let admin: KeywardClient;
let knex: Database;

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url, 10);
  server = await world.startServer({ KEYWARD_FERNET_KEYS: `${NEW_KEY},${OLD_KEY},${OLDEST_KEY}` });
  admin = world.client(world.adminToken, server);
});

afterEach(async () => {
  await knex('secrets').delete();
});

afterAll(async () => {
  await knex.destroy();
  await world.close();
});

function store(secrets: readonly StoredSecret[]): Promise<bigint[]> {
  return storeSecrets(knex, world.profileOf('admin').id, OLD_KEY, secrets);
}

/** storeOld stores secrets of one version each that the old key encrypted: `value-<n>`. */
function storeOld(count: number): Promise<bigint[]> {
  return store(Array.from({ length: count }, (_, at) => ({ versions: [sealed(OLD_KEY, `value-${at}`)] })));
}

async function rotate(
  request: RequestOf<'rotateEncryptionKey'> = {},
  client = admin,
): Promise<RotateEncryptionKeyResponse[]> {
  const progress: RotateEncryptionKeyResponse[] = [];
  for await (const message of client.secrets.rotateEncryptionKey(request)) progress.push(message);
  return progress;
}

async function keyIds(): Promise<Set<string | null>> {
  return new Set((await storedVersions(knex)).map(({ key_id }) => key_id));
}

/** auditedVersions is how many versions the audit log says were encrypted anew. */
async function auditedVersions(): Promise<number> {
  const details = (await knex('audit_events').where('action', 'SECRETS_REENCRYPTED').pluck('detail')) as {
    key_id: string;
    versions: string;
  }[];
  return details.reduce((sum, { versions }) => sum + Number(versions), 0);
}

async function valueOf(id: bigint, version = 0, client = admin): Promise<string> {
  const secret = { selector: { $case: 'id', value: id } } as const;
  const { payload } = await client.secrets.accessSecret({ secret, version, includeExpired: true });
  return payload?.value?.$case === 'text' ? payload.value.value : '';
}

test('all that other keys encrypted is encrypted anew, with its value and its time, and destroyed stays destroyed', async () => {
  const [id = 0n] = await store([
    {
      versions: [
        sealed(OLDEST_KEY, 'first', 7n),
        { ...sealed(OLD_KEY, 'second'), isDisabled: true },
        { keyId: null, ciphertext: null },
        { ...sealed(OLD_KEY, 'fourth'), keyId: null },
        sealed(NEW_KEY, 'fifth'),
      ],
    },
    { versions: [sealed(OLD_KEY, 'deleted')], isDeleted: true },
  ]);
  const before = await storedVersions(knex);
  const audited = await auditedVersions();
  expect(await rotate()).toEqual([
    // The fifth is only bound anew.
    { done: 5n, total: 5n, failed: 0n, finished: false, primaryKeyId: NEW_ID },
    { done: 5n, total: 5n, failed: 0n, finished: true, primaryKeyId: NEW_ID },
  ]);

  const after = await storedVersions(knex);
  expect(after.map(({ key_id }) => key_id)).toEqual([NEW_ID, NEW_ID, null, NEW_ID, NEW_ID, NEW_ID]);
  expect(after.map(({ state }) => state)).toEqual(before.map(({ state }) => state));
  expect(after[2]?.ciphertext).toBeNull();
  expect(after[4]?.ciphertext).toEqual(before[4]?.ciphertext);
  const first = fernetKey(NEW_KEY).decrypt(after[0]?.ciphertext ?? Buffer.of());
  expect(first).toEqual({ plaintext: Buffer.from('first'), timestamp: 7n });
  expect(await Promise.all([1, 4, 5].map((version) => valueOf(id, version)))).toEqual([
    'first',
    'fourth',
    'fifth',
  ]);
  expect((await auditedVersions()) - audited).toBe(5);
});

test('the progress is told for each batch, up to the total', async () => {
  await storeOld(25);
  const progress = await rotate({ batchSize: 10 });
  expect(progress.map(({ done, total, finished }) => [done, total, finished])).toEqual([
    [10n, 25n, false],
    [20n, 25n, false],
    [25n, 25n, false],
    [25n, 25n, true],
  ]);
  expect((await rotate()).map(({ done, total }) => [done, total])).toEqual([[0n, 0n]]);
});

test('values of any size are rotated in batches of any size', async () => {
  const sizes = [65_536, 1, 65_536, 40_000, 65_536];
  const values = Array.from({ length: 40 }, (_, at) => Buffer.alloc(sizes[at % sizes.length] ?? 1, at));
  const ids = await store(values.map((value) => ({ versions: [sealed(OLD_KEY, value)] })));
  await rotate({ batchSize: 33 });
  const after = await storedVersions(knex);
  expect(after.map(({ secret_id }) => secret_id)).toEqual(ids);
  const opened = after.map(
    ({ ciphertext }) => fernetKey(NEW_KEY).decrypt(ciphertext ?? Buffer.of()).plaintext,
  );
  expect(opened.every((value, at) => value.equals(values[at] ?? Buffer.of()))).toBe(true);
});

describe('a dry run', () => {
  test('changes nothing, and tells what would be done and what would fail', async () => {
    await storeOld(20);
    await store([{ versions: [{ ...sealed(LOST_KEY, 'lost'), keyId: null }] }]);
    const before = await storedVersions(knex);
    const audited = await auditedVersions();
    const progress = await rotate({ dryRun: true, batchSize: 10 });
    expect(progress.at(-1)).toMatchObject({ done: 21n, total: 21n, failed: 1n, finished: true });
    expect(progress).toHaveLength(4);
    expect(await storedVersions(knex)).toEqual(before);
    expect(await auditedVersions()).toBe(audited);
  });
});

describe('what cannot be decrypted', () => {
  let ids: bigint[];

  beforeEach(async () => {
    const [damaged, other] = [sealed(OLD_KEY, 'damaged'), sealed(OLD_KEY, 'other')];
    damaged.ciphertext[60] = damaged.ciphertext[60] === 65 ? 66 : 65;
    ids = await store([
      { versions: [sealed(LOST_KEY, 'key is missing')] },
      { versions: [{ ...sealed(LOST_KEY, 'nobody knows the key'), keyId: null }, other] },
      { versions: [damaged] },
      { versions: [{ keyId: OLD_ID, ciphertext: Buffer.from('no token') }] },
    ]);
  });

  test('stays as it is and is counted, and all else is rotated', async () => {
    const before = await storedVersions(knex);
    const progress = await rotate({ batchSize: 1 });
    expect(progress.at(-1)).toMatchObject({ done: 5n, total: 5n, failed: 4n, finished: true });
    const after = await storedVersions(knex);
    const rotated = after.findIndex(({ secret_id, number }) => secret_id === ids[1] && number === 2);
    expect(after[rotated]?.key_id).toBe(NEW_ID);
    expect(after.filter((_, at) => at !== rotated)).toEqual(before.filter((_, at) => at !== rotated));
  });

  test('is named by the status, with its cause', async () => {
    await rotate();
    const status = await admin.secrets.getRotationStatus({});
    expect(status.undecryptableCount).toBe(4n);
    expect(status.undecryptable).toEqual([
      { secretId: ids[0], version: 1, keyId: fernetKey(LOST_KEY).id, cause: 'KEY_MISSING' },
      { secretId: ids[1], version: 1, keyId: '', cause: 'NO_KEY_FITS' },
      { secretId: ids[2], version: 1, keyId: OLD_ID, cause: 'DAMAGED' },
      { secretId: ids[3], version: 1, keyId: OLD_ID, cause: 'MALFORMED' },
    ]);
  });

  test('is found under the primary key too', async () => {
    const damaged = sealed(NEW_KEY, 'damaged');
    damaged.ciphertext[60] = damaged.ciphertext[60] === 65 ? 66 : 65;
    const [id] = await store([{ versions: [damaged] }]);
    const { undecryptable } = await admin.secrets.getRotationStatus({});
    expect(undecryptable).toContainEqual({ secretId: id, version: 1, keyId: NEW_ID, cause: 'DAMAGED' });
  });

  test('of many, the first hundred are named', async () => {
    await knex('secrets').delete();
    const lost = await store(Array.from({ length: 101 }, () => ({ versions: [sealed(LOST_KEY, 'lost')] })));
    const { undecryptable, undecryptableCount } = await admin.secrets.getRotationStatus({});
    expect(undecryptableCount).toBe(101n);
    expect(undecryptable.map(({ secretId }) => secretId)).toEqual(lost.slice(0, 100));
  });
});

test('the status tells which keys are still needed, in the order of the configuration, and which are not there', async () => {
  await storeOld(3);
  await store([
    { versions: [sealed(LOST_KEY, 'a'), { keyId: null, ciphertext: null }] },
    { versions: [sealed(OLD_KEY, 'deleted')], isDeleted: true },
    { versions: [{ ...sealed(LOST_KEY, 'b'), keyId: null }] },
  ]);
  const usage = async () => {
    const { keys, primaryKeyId } = await admin.secrets.getRotationStatus({});
    expect(primaryKeyId).toBe(NEW_ID);
    return keys;
  };
  const configured = { isConfigured: true, isPrimary: false };
  const oldest = { keyId: fernetKey(OLDEST_KEY).id, versionCount: 0n, ...configured };
  const others = [
    { keyId: fernetKey(LOST_KEY).id, versionCount: 1n, isConfigured: false, isPrimary: false },
    { keyId: '', versionCount: 1n, isConfigured: false, isPrimary: false },
  ];
  expect(await usage()).toEqual([
    { keyId: NEW_ID, versionCount: 0n, isConfigured: true, isPrimary: true },
    // Those of the lost key are bound by the old one.
    { keyId: OLD_ID, versionCount: 6n, ...configured },
    oldest,
    ...others,
  ]);
  await rotate();
  expect(await usage()).toEqual([
    { keyId: NEW_ID, versionCount: 6n, isConfigured: true, isPrimary: true },
    { keyId: OLD_ID, versionCount: 0n, ...configured },
    oldest,
    ...others,
  ]);
});

test('abandoned in the middle, it keeps what is done, and the next rotation does the rest', async () => {
  await storeOld(100);
  const audited = await auditedVersions();
  for await (const { done } of admin.secrets.rotateEncryptionKey({ batchSize: 10 })) {
    if (done >= 30n) break;
  }
  expect(await keyIds()).toEqual(new Set([NEW_ID, OLD_ID]));
  const last = (await rotate({ batchSize: 10 })).at(-1);
  expect(last).toMatchObject({ failed: 0n, finished: true });
  expect(last?.total).toBeLessThanOrEqual(70n);
  expect(await keyIds()).toEqual(new Set([NEW_ID]));
  expect((await auditedVersions()) - audited).toBe(100);
});

test('two rotations at once share the work: each version is encrypted anew once', async () => {
  const ids = await storeOld(300);
  const audited = await auditedVersions();
  const other = await world.startServer({ KEYWARD_FERNET_KEYS: `${NEW_KEY},${OLD_KEY}` });
  const ends = await Promise.all(
    [admin, admin, world.client(world.adminToken, other)].map(async (client) => {
      return (await rotate({ batchSize: 7 }, client)).at(-1);
    }),
  );
  for (const end of ends) expect(end).toMatchObject({ failed: 0n, finished: true });
  expect(ends.reduce((sum, end) => sum + (end?.done ?? 0n), 0n)).toBe(300n);
  expect((await auditedVersions()) - audited).toBe(300);
  expect(await keyIds()).toEqual(new Set([NEW_ID]));
  expect(await valueOf(ids[299] ?? 0n)).toBe('value-299');
});

describe('while another transaction holds a version', () => {
  let other: Knex.Transaction;

  beforeEach(async () => {
    other = await knex.transaction();
  });

  afterEach(async () => {
    if (!other.isCompleted()) await other.rollback();
  });

  test('it is passed over, then waited for', async () => {
    const ids = await storeOld(20);
    await other('secret_versions').where('secret_id', String(ids[3])).update({ state: 'DISABLED' });
    const progress: bigint[] = [];
    const rotation = (async () => {
      for await (const { done } of admin.secrets.rotateEncryptionKey({ batchSize: 5 })) progress.push(done);
    })();
    await vi.waitFor(() => expect(progress).toContain(19n));
    await other.commit();
    await rotation;
    expect(progress.at(-1)).toBe(20n);
    expect(await keyIds()).toEqual(new Set([NEW_ID]));
    const states = (await storedVersions(knex)).map(({ state }) => state);
    expect(states.filter((state) => state === 'DISABLED')).toHaveLength(1);
  });

  test('and destroys it, it stays destroyed', async () => {
    const [id = 0n] = await storeOld(1);
    await other('secret_versions')
      .where('secret_id', String(id))
      .update({ state: 'DESTROYED', ciphertext: null, key_id: null, destroyed_at: other.fn.now() });
    const rotation = rotate();
    const waiting = () =>
      knex('pg_stat_activity').where('wait_event_type', 'Lock').whereRaw("query LIKE '%secret_versions%'");
    await vi.waitFor(async () => expect(await waiting()).toHaveLength(1));
    await other.commit();
    expect((await rotation).at(-1)).toMatchObject({ done: 0n, failed: 0n, finished: true });
    expect(await storedVersions(knex)).toMatchObject([
      { state: 'DESTROYED', ciphertext: null, key_id: null },
    ]);
  });
});

test('readers and writers go on during a rotation: no read fails, nothing written is lost', async () => {
  const ids = await storeOld(300);
  let isOver = false;
  const until = async (work: (id: bigint, round: number) => Promise<void>, mine: readonly bigint[]) => {
    for (let round = 0; !isOver; round += 1) {
      for (const id of mine) await work(id, round);
    }
  };
  const read = ids.slice(0, 100);
  const added = ids.slice(100, 150);
  const destroyed = ids.slice(150, 170);
  const newest = new Map<bigint, string>();
  const selector = (id: bigint) => ({ selector: { $case: 'id', value: id } }) as const;
  const writers = [
    until(async (id) => expect(await valueOf(id)).toBe(`value-${ids.indexOf(id)}`), read),
    until(async (id, round) => {
      const value = `added-${id}-${round}`;
      await admin.secrets.addSecretVersion({
        selector: selector(id),
        payload: { value: { $case: 'text', value } },
      });
      newest.set(id, value);
      expect(await valueOf(id)).toBe(value);
      expect(await valueOf(id, 1)).toBe(`value-${ids.indexOf(id)}`);
    }, added),
    (async () => {
      for (const id of destroyed) {
        await admin.secrets.destroySecretVersion({ selector: selector(id), version: 1 });
      }
    })(),
  ];
  const progress = await rotate({ batchSize: 10 }).finally(() => {
    isOver = true;
  });
  await Promise.all(writers);
  expect(progress.at(-1)).toMatchObject({ failed: 0n, finished: true });
  const rows = await storedVersions(knex);
  for (const { secret_id, state, key_id } of rows) {
    expect(key_id).toBe(state === 'DESTROYED' ? null : NEW_ID);
    expect(state).toBe(destroyed.includes(secret_id) ? 'DESTROYED' : 'ENABLED');
  }
  expect(newest.size).toBeGreaterThan(0);
  for (const [id, value] of newest) expect(await valueOf(id)).toBe(value);
  for (const id of read) expect(await valueOf(id)).toBe(`value-${ids.indexOf(id)}`);
});

describe('it is refused', () => {
  test('to whoever is no superuser, before anything is counted', async () => {
    const staff = world.client(world.tokenOf('staff-a'), server);
    for (const dryRun of [true, false]) {
      await expect(rotate({ dryRun }, staff)).rejects.toMatchObject({ reason: 'NOT_PERMITTED' });
    }
    await expect(staff.secrets.getRotationStatus({})).rejects.toMatchObject({ reason: 'NOT_PERMITTED' });
  });

  test('from the batch on before which the caller ceased to be one', async () => {
    await storeOld(100);
    const { profile, plaintext } = await world.issueTo({ isSuperuser: true });
    const superuser = world.client(plaintext, server);
    const user = { selector: { $case: 'username', value: profile.username } } as const;
    const rotation = (async () => {
      for await (const { done } of superuser.secrets.rotateEncryptionKey({ batchSize: 1 })) {
        if (done !== 1n) continue;
        await admin.accounts.updateUser({
          selector: user,
          user: { isSuperuser: false },
          updateMask: ['is_superuser'],
        });
      }
    })();
    await expect(rotation).rejects.toMatchObject({ reason: 'NOT_PERMITTED' });
    expect(await keyIds()).toEqual(new Set([NEW_ID, OLD_ID]));
  });

  test.each([-1, 1001])('with a batch size of %i', async (batchSize) => {
    await expect(rotate({ batchSize })).rejects.toMatchObject({
      reason: 'INVALID_FIELDS',
      violations: [{ field: 'batch_size', rule: 'must be 0 to 1000' }],
    });
  });
});
