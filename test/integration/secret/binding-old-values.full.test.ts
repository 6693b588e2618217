import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { up } from '../../../src/db/migrations/0006-secret-bindings.js';
import { BindingRepository } from '../../../src/secret/binding/binding-repository.js';
import { BindingService } from '../../../src/secret/binding/binding-service.js';
import type { Secret } from '../../../src/secret/secret.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { testAuditLog, verify } from '../../support/audit.js';
import { startTestServer } from '../../support/server.js';
import { existing } from '../../support/world.js';
import { byId, outcomes, RETENTION_DAYS, SecretApi, text } from '../../support/secret-api.js';

/** Values that were stored before there were bindings, and what becomes of them. */

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});

beforeEach(async () => {
  // As it is before the first start of a service that binds.
  await api.knex.raw('TRUNCATE audit_events, audit_chains');
});

afterEach(async () => {
  await api.knex('secrets').delete();
});

afterAll(() => api.close());

/** replica is the binding of another process. */
function replica(of = api, bindings = new BindingRepository()): BindingService {
  const { knex, keyring, clock } = of;
  const audit = testAuditLog(knex, clock);
  return new BindingService({ knex, keyring, audit, bindings, logger: createLogger('fatal') });
}

/** unbind takes bindings off, as somebody could who may do everything with the database. */
async function unbind(secrets: readonly Secret[]): Promise<void> {
  await api
    .knex('secret_versions')
    .whereIn(
      'secret_id',
      secrets.map(({ id }) => String(id)),
    )
    .update({ binding: null, binding_key_id: null, created_by_user_id: null });
}

async function old(count: number): Promise<Secret[]> {
  const secrets: Secret[] = [];
  while (secrets.length < count) {
    const batch = Array.from({ length: Math.min(50, count - secrets.length) }, (_, at) =>
      api.newSecret({}, text(`value-${secrets.length + at}`)),
    );
    secrets.push(...(await Promise.all(batch)));
  }
  await unbind(secrets);
  return secrets;
}

async function countUnbound(): Promise<number> {
  const rows: unknown[] = await api
    .knex('secret_versions')
    .select('number')
    .whereRaw('ciphertext IS NOT NULL AND binding IS NULL');
  return rows.length;
}

async function markers(): Promise<unknown[]> {
  return (await api.knex('audit_events').where('action', 'SECRETS_BOUND')) as unknown[];
}

describe('the first start', () => {
  test('binds what there is, also what is destroyed, deleted or of an unknown key, and records it once', async () => {
    const secrets = await old(450);
    const [destroyed, unreadable] = [await api.newSecret(), await api.newSecret()];
    await api.services.versions.setState(api.as('owner'), byId(destroyed), 1, '', 'DESTROYED');
    await api.store(unreadable, Buffer.from('unknown'), null);
    await unbind([unreadable]);
    await replica().complete();
    await replica().complete();
    expect([await countUnbound(), (await markers()).length]).toEqual([0, 1]);
    const values = await Promise.all(secrets.map((secret) => api.textOf(api.as('owner'), secret)));
    expect(values).toEqual(secrets.map((_, at) => `value-${at}`));
    expect(await outcomes([api.access(api.as('owner'), unreadable)])).toEqual(['SECRET_UNDECRYPTABLE']);
  });

  test('records it where there is nothing to bind, so that nothing is bound later', async () => {
    await replica().complete();
    expect(await markers()).toHaveLength(1);
    const [secret] = await old(1);
    await replica().complete();
    expect(await countUnbound()).toBe(1);
    expect(await outcomes([api.access(api.as('owner'), existing(secret))])).toEqual(['SECRET_MISPLACED']);
  });

  test('of several replicas at once binds each value once and records it once', async () => {
    await old(450);
    let bound = 0;
    class Counting extends BindingRepository {
      override async write(...args: Parameters<BindingRepository['write']>): Promise<void> {
        bound += args[1].length;
        await super.write(...args);
      }
    }
    await Promise.all(Array.from({ length: 4 }, () => replica(api, new Counting()).complete()));
    expect([bound, await countUnbound(), (await markers()).length]).toEqual([450, 0, 1]);
  });

  test('that breaks off is gone on with by the next', async () => {
    await old(450);
    class Failing extends BindingRepository {
      #batches = 0;
      override async write(...args: Parameters<BindingRepository['write']>): Promise<void> {
        this.#batches += 1;
        if (this.#batches === 2) throw new Error('killed');
        await super.write(...args);
      }
    }
    await expect(replica(api, new Failing()).complete()).rejects.toThrow('killed');
    expect([await countUnbound(), await markers()]).toEqual([250, []]);
    await replica().complete();
    expect([await countUnbound(), (await markers()).length]).toEqual([0, 1]);
  });

  test('that comes late binds nothing that has lost its binding since all was bound', async () => {
    const secrets = await old(1);
    let isLate = true;
    class Late extends BindingRepository {
      override async lockCompletion(...args: Parameters<BindingRepository['lockCompletion']>): Promise<void> {
        if (isLate) {
          isLate = false;
          await replica().complete();
          await unbind(secrets);
        }
        await super.lockCompletion(...args);
      }
    }
    await replica(api, new Late()).complete();
    expect([await countUnbound(), (await markers()).length]).toEqual([1, 1]);
  });

  test('waits for a value that a change has locked before it records that all is bound', async () => {
    const [secret] = await old(3);
    const changing = await api.knex.transaction();
    await changing('secret_versions').where('secret_id', String(secret?.id)).forUpdate().pluck('number');
    const completing = replica().complete();
    await api.waiting(1);
    expect([await countUnbound(), await markers()]).toEqual([1, []]);
    await changing.commit();
    await completing;
    expect([await countUnbound(), (await markers()).length]).toEqual([0, 1]);
  });
});

describe('until all is bound', () => {
  test('what is not can be read and copied, and from then on what has lost its binding cannot', async () => {
    const starting = await SecretApi.open(RETENTION_DAYS, false);
    try {
      const secret = await starting.newSecret();
      const owner = starting.as('owner');
      const unbindAll = () =>
        starting.knex('secret_versions').update({ binding: null, binding_key_id: null });
      const outcomesOf = () =>
        outcomes([
          starting.access(owner, secret),
          starting.services.clones.clone(owner, byId(secret), starting.newName(), undefined),
        ]);
      await unbindAll();
      expect(await outcomesOf()).toEqual(['OK', 'OK']);
      // Another process completes: this one knows from then on.
      await replica(starting).complete();
      expect(await outcomesOf()).toEqual(['OK', 'OK']);
      await unbindAll();
      expect(await outcomesOf()).toEqual(['SECRET_MISPLACED', 'SECRET_MISPLACED']);
    } finally {
      await starting.close();
    }
  });

  test('a service that starts finishes before it answers, where there is little to bind', async () => {
    const secrets = await old(3);
    const server = await startTestServer({ databaseUrl: api.database.url, clock: api.clock });
    expect([await countUnbound(), (await markers()).length]).toEqual([0, 1]);
    await server.stop();
    expect(await api.textOf(api.as('owner'), existing(secrets[0]))).toBe('value-0');
  });

  test('a start that cannot bind goes on in the background', async () => {
    const [secret] = await old(1);
    const changing = await api.knex.transaction();
    await changing('secret_versions').where('secret_id', String(secret?.id)).forUpdate().pluck('number');
    const starting = replica();
    await starting.start(20, 50);
    expect(await markers()).toEqual([]);
    await changing.commit();
    await vi.waitFor(async () => expect(await markers()).toHaveLength(1), { timeout: 10_000 });
    await starting.stop();
  });
});

test('a database of the version before is migrated with what is in it, and loses nothing', async () => {
  const before = await SecretApi.open(RETENTION_DAYS, false);
  try {
    const { knex } = before;
    const secrets = [
      await before.newSecret({}, text('one')),
      await before.newSecret({}, text('two'), 'staff-b'),
    ];
    for (const [secret, granter] of [
      [secrets[0], 'owner'],
      [secrets[1], 'staff-b'],
    ] as const) {
      const grantee = { by: 'id', id: before.profileId('reader') } as const;
      await before.services.grants.grant(before.as(granter), byId(existing(secret)), grantee, null);
    }
    await knex.raw(`
      DROP FUNCTION keyward_require_binding CASCADE;
      ALTER TABLE secret_versions DROP COLUMN binding, DROP COLUMN binding_key_id, DROP COLUMN created_by_user_id;
      ALTER TABLE secret_grants DROP COLUMN granted_by_user_id, DROP COLUMN names_grantee;
      UPDATE secret_grants SET created_at = '1970-01-01' WHERE granted_by = 'staff-b'`);
    await up(knex);
    await before.services.bindings.complete();
    const values = secrets.map((secret) => before.textOf(before.as('reader'), secret));
    expect(await Promise.all(values)).toEqual(['one', 'two']);
    // The user who is called staff-b now was made after that grant.
    expect(await knex('secret_grants').orderBy('secret_id').pluck('granted_by_user_id')).toEqual([
      before.as('owner').userId,
      null,
    ]);
  } finally {
    await before.close();
  }
});

test('who gave an old value is found by the name, unless that has come to another user since', async () => {
  const [mine, reborn] = await old(2);
  // The user of this name was made after the value.
  await api.knex.transaction(async (trx) => {
    await trx.raw('SET LOCAL session_replication_role = replica');
    await trx('secret_versions')
      .where('secret_id', String(reborn?.id))
      .update({ created_at: new Date(0), created_by: 'owner' });
  });
  await replica().complete();
  const [one, other] = await Promise.all(
    [mine, reborn].map(async (secret) => {
      const query = api.knex('secret_versions').where('secret_id', String(secret?.id));
      return (await query.pluck('created_by_user_id'))[0] as bigint | null;
    }),
  );
  expect([one, other]).toEqual([api.as('owner').userId, null]);
});

test('the record that all is bound cannot be taken away unseen', async () => {
  const started = await SecretApi.open();
  try {
    await started.newSecret();
    expect((await verify(started.knex)).isIntact).toBe(true);
    await started.knex('audit_events').where('action', 'SECRETS_BOUND').delete();
    expect((await verify(started.knex)).isIntact).toBe(false);
  } finally {
    await started.close();
  }
});
