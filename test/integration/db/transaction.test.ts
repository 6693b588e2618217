import type { Knex } from 'knex';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { violatedForeignKey, violatedUnique } from '../../../src/db/pg-errors.js';
import { inTransaction, reading } from '../../../src/db/transaction.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { execute } from '../../support/sql.js';

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({
    url: database.url,
    poolSize: 4,
    connectTimeoutMs: 5_000,
    statementTimeoutMs: 20_000,
  });
  await execute(database.url, 'CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)');
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

beforeEach(async () => {
  await execute(database.url, 'TRUNCATE counters');
  await execute(database.url, 'INSERT INTO counters VALUES (1, 0), (2, 0)');
});

async function valueOf(id: number): Promise<unknown> {
  const [row] = await execute(database.url, 'SELECT n FROM counters WHERE id = $1', [id]);
  return row?.['n'];
}

/** increase raises a counter in a serializable transaction; `meanwhile` runs between its reading and its writing. */
function increase(meanwhile: () => Promise<unknown>): Promise<void> {
  return inTransaction(knex, async (trx) => {
    await trx.raw('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
    const row = await trx<{ id: number; n: number }>('counters').where('id', 1).first();
    await meanwhile();
    await trx('counters')
      .where('id', 1)
      .update({ n: (row?.n ?? 0) + 1 });
  });
}

/** interfere changes the counter from another session. */
function interfere(): Promise<unknown> {
  return execute(database.url, 'UPDATE counters SET n = n + 10 WHERE id = 1');
}

describe('a transaction within another', () => {
  test('is undone alone where it fails, and else told as done before the whole is committed', async () => {
    const told: string[] = [];
    await inTransaction(knex, async (trx) => {
      await inTransaction(
        trx,
        (part) => part('counters').where('id', 1).update({ n: 5 }),
        () => told.push('part'),
      );
      const failing = inTransaction(trx, async (part) => {
        await part('counters').where('id', 2).update({ n: 5 });
        throw new Error('given up');
      });
      await expect(failing).rejects.toThrow('given up');
      expect(await valueOf(1)).toBe(0);
      told.push('whole');
    });
    expect(told).toEqual(['part', 'whole']);
    expect([await valueOf(1), await valueOf(2)]).toEqual([5, 0]);
  });

  test('that loses against another session has the whole run again', async () => {
    const ran = { whole: 0, part: 0 };
    await inTransaction(knex, async (trx) => {
      ran.whole += 1;
      await trx.raw('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
      await trx('counters').where('id', 1).first();
      if (ran.whole === 1) await interfere();
      await inTransaction(trx, (part) => {
        ran.part += 1;
        return part('counters').where('id', 1).increment('n', 1);
      });
    });
    expect(ran).toEqual({ whole: 2, part: 2 });
    expect(await valueOf(1)).toBe(11);
  });
});

describe('conflicts', () => {
  test('a transaction that lost against another one runs again, on what the other left', async () => {
    let attempts = 0;
    await increase(async () => {
      attempts += 1;
      if (attempts === 1) await interfere();
    });
    expect(attempts).toBe(2);
    expect(await valueOf(1)).toBe(11);
  });

  test('two transactions that conflict with one another both take effect', async () => {
    let waiting = 0;
    let release: (() => void) | undefined;
    const bothHaveRead = new Promise<void>((resolve) => (release = resolve));
    const meet = (): Promise<void> => {
      waiting += 1;
      if (waiting === 2) release?.();
      return bothHaveRead;
    };
    await Promise.all([increase(meet), increase(meet)]);
    expect(waiting).toBe(3);
    expect(await valueOf(1)).toBe(2);
  });

  test('two transactions that wait for one another both take effect', async () => {
    let waiting = 0;
    let release: (() => void) | undefined;
    const bothHoldOne = new Promise<void>((resolve) => (release = resolve));
    const lock = (first: number, second: number): Promise<void> =>
      inTransaction(knex, async (trx) => {
        await trx.raw("SET LOCAL deadlock_timeout = '20ms'");
        await trx('counters').where('id', first).increment('n', 1);
        waiting += 1;
        if (waiting === 2) release?.();
        await bothHoldOne;
        await trx('counters').where('id', second).increment('n', 1);
      });
    await Promise.all([lock(1, 2), lock(2, 1)]);
    expect([await valueOf(1), await valueOf(2)]).toEqual([2, 2]);
  });

  test('a transaction that loses five times is a CONFLICT, and leaves nothing behind', async () => {
    let attempts = 0;
    const lost = increase(() => {
      attempts += 1;
      return interfere();
    });
    await expect(lost).rejects.toMatchObject({ reason: 'CONFLICT' });
    expect(attempts).toBe(5);
    expect(await valueOf(1)).toBe(50);
  });
});

describe('a database that is gone', () => {
  test('in the middle of a transaction is DATABASE_UNAVAILABLE, and the next transaction gets a new connection', async () => {
    const cut = inTransaction(knex, async (trx) => {
      await trx('counters').where('id', 1).update({ n: 1 });
      await trx.raw('SELECT pg_terminate_backend(pg_backend_pid())');
    });
    await expect(cut).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(await valueOf(1)).toBe(0);
    await increase(() => Promise.resolve());
    expect(await valueOf(1)).toBe(1);
  });

  test('between two queries is not noticed: the pool makes another connection', async () => {
    await reading(() => knex.raw('SELECT 1'));
    await execute(
      database.url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await expect
      .poll(
        () =>
          reading(() => knex('counters').count('* as n')).then(
            () => 'answered',
            () => 'not yet',
          ),
        { timeout: 5_000 },
      )
      .toBe('answered');
  });

  test.each([
    ['nobody listens', (url: URL) => (url.port = '1')],
    ['the host does not exist', (url: URL) => (url.hostname = 'db.invalid')],
    ['the database does not exist', (url: URL) => (url.pathname = '/keyward_no_such_database')],
  ])('%s', async (_, change) => {
    const url = new URL(database.url);
    url.search = '';
    if (url.hostname === '') url.hostname = '127.0.0.1';
    change(url);
    const unreachable = openDatabase({
      url: url.href,
      poolSize: 2,
      connectTimeoutMs: 2_000,
    });
    try {
      await expect(reading(() => unreachable.raw('SELECT 1'))).rejects.toMatchObject({
        reason: 'DATABASE_UNAVAILABLE',
      });
      await expect(inTransaction(unreachable, (trx) => trx.raw('SELECT 1'))).rejects.toMatchObject({
        reason: 'DATABASE_UNAVAILABLE',
      });
    } finally {
      await unreachable.destroy();
    }
  });

  test('a statement that takes too long is DATABASE_UNAVAILABLE', async () => {
    const impatient = openDatabase({
      url: database.url,
      poolSize: 2,
      connectTimeoutMs: 2_000,
      statementTimeoutMs: 50,
    });
    try {
      await expect(reading(() => impatient.raw('SELECT pg_sleep(10)'))).rejects.toMatchObject({
        reason: 'DATABASE_UNAVAILABLE',
      });
    } finally {
      await impatient.destroy();
    }
  });

  test('no free connection is DATABASE_UNAVAILABLE', async () => {
    const small = openDatabase({
      url: database.url,
      poolSize: 1,
      connectTimeoutMs: 100,
    });
    try {
      await inTransaction(small, async () => {
        await expect(reading(() => small.raw('SELECT 1'))).rejects.toMatchObject({
          reason: 'DATABASE_UNAVAILABLE',
        });
      });
    } finally {
      await small.destroy();
    }
  });
});

describe('other errors', () => {
  test('what the work throws comes out as it is, and nothing was written', async () => {
    const failure = new Error('no');
    const work = inTransaction(knex, async (trx) => {
      await trx('counters').where('id', 1).update({ n: 1 });
      throw failure;
    });
    await expect(work).rejects.toBe(failure);
    expect(await valueOf(1)).toBe(0);
  });

  test('broken constraints are known by name', async () => {
    const unique = await knex('counters')
      .insert({ id: 1, n: 1 })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(violatedUnique(unique)).toBe('counters_pkey');
    expect(violatedForeignKey(unique)).toBeUndefined();
    const foreign = await knex('user_profiles')
      .insert({ user_id: 1, account_id: 1, name: 'x' })
      .then(
        () => undefined,
        (error: unknown) => error,
      );
    expect(violatedForeignKey(foreign)).toMatch(/^user_profiles_(user|account)_id_fkey$/);
    expect(violatedUnique(foreign)).toBeUndefined();
  });

  test('the message of an error holds no value of its statement', async () => {
    const error = await knex('counters')
      .insert({ id: 'canary', n: 1 })
      .then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message.replace(/invalid input syntax.*$/, '')).not.toContain('canary');
  });
});

describe('what is remembered is forgotten', () => {
  test('once the change is committed, and before the caller knows', async () => {
    const forgotten: string[] = [];
    const forget = (result: string): void => {
      forgotten.push(result);
    };
    await inTransaction(knex, () => Promise.resolve('changed'), forget).then(() => {
      expect(forgotten).toEqual(['changed']);
    });
  });

  test('also where the connection is lost when the commit may have been under way', async () => {
    await knex.raw(`
      CREATE TABLE last_words (word text);
      CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER die_at_commit AFTER INSERT ON last_words
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();`);
    const forgotten: string[] = [];
    const change = inTransaction(
      knex,
      async (trx) => {
        await trx('last_words').insert({ word: 'farewell' });
        return 'changed, perhaps';
      },
      (result) => {
        forgotten.push(result);
      },
    );
    await expect(change).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(forgotten).toEqual(['changed, perhaps']);
  });

  test('but not where the change was certainly not made', async () => {
    const forgotten: string[] = [];
    const change = inTransaction<string>(
      knex,
      () => Promise.reject(new Error('refused')),
      (result) => {
        forgotten.push(result);
      },
    );
    await expect(change).rejects.toThrow('refused');
    expect(forgotten).toEqual([]);
  });
});
