import { Client, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { channelArguments } from '../../support/channel-arguments.js';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { changeFor, requestFor } from '../../support/requests.js';
import { encodeRequest, METHOD_NAMES, pathOf, type MethodName } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';

const PATIENCE = { timeout: 60_000, interval: 10 };
/** Of calls that are to be answered. */
const LIMIT_MS = 60_000;
const READS_OR_LASTS = /^(?:get|list|watch|access|batch|validate|stream|hold|resolve|rotateEncryptionKey)/;
const CHANGES = METHOD_NAMES.filter((name) => !READS_OR_LASTS.test(name));

let world: World;
let client: Client;

beforeAll(async () => {
  world = await World.create({ KEYWARD_DATABASE_TIMEOUT_SECONDS: '60' });
  client = new Client(...channelArguments({ server: world.server.address }));
});

afterAll(async () => {
  client.close();
  await world.close();
});

/** holdChanges makes every change wait just before its end, where it is recorded, until what it gives is run. */
async function holdChanges(): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: world.database.url });
  await holder.connect();
  await holder.query("BEGIN; SELECT FROM audit_chains WHERE purpose = 'CHANGES' FOR UPDATE");
  return () => holder.end();
}

/** sessions are the process numbers of those for which the condition is true. */
async function sessions(condition: string): Promise<unknown[]> {
  const rows = await execute(
    world.database.url,
    `SELECT pid FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND ${condition}`,
  );
  return rows.map(({ pid }) => pid);
}

async function changeWaits(): Promise<void> {
  await vi.waitFor(async () => expect(await sessions("wait_event_type = 'Lock'")).toHaveLength(1), PATIENCE);
}

async function nothingRuns(): Promise<void> {
  await vi.waitFor(async () => expect(await sessions('xact_start IS NOT NULL')).toEqual([]), PATIENCE);
}

/** records counts the changes that were ever committed: each has its record. */
async function records(): Promise<unknown> {
  const [row] = await execute(world.database.url, 'SELECT count(*) FROM audit_events');
  return row?.['count'];
}

function send(name: MethodName, bytes: Buffer): { cancel: () => void; ended: Promise<number> } {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${world.adminToken}`);
  const same = (value: Buffer): Buffer => value;
  let cancel = (): void => undefined;
  const ended = new Promise<number>((resolve) => {
    const call = client.makeUnaryRequest(
      pathOf(name),
      same,
      same,
      bytes,
      metadata,
      (error: ServiceError | null) => {
        resolve(error?.code ?? status.OK);
      },
    );
    cancel = () => {
      call.cancel();
    };
  });
  return { cancel, ended };
}

describe('a call whose client is gone before the commit changes nothing', () => {
  test.each(CHANGES)('%s', async (name) => {
    const bytes = encodeRequest(name, await changeFor(name, world));
    const before = await records();
    const release = await holdChanges();
    const call = send(name, bytes);
    try {
      await changeWaits();
      call.cancel();
      expect(await call.ended).toBe(status.CANCELLED);
      // It follows the cancelled call on the same connection: when it is answered, that has come.
      const next = send('listAccounts', encodeRequest('listAccounts', {}));
      expect(await next.ended).toBe(status.OK);
    } finally {
      await release();
    }
    await nothingRuns();
    expect(await records()).toBe(before);
  });
});

describe('a list whose client is gone is given up by the database', () => {
  test.each([
    ['listTokens', 'tokens', {}],
    ['listTokens', 'tokens', { pageSize: 5 }],
    ['listSecrets', 'secrets', {}],
    ['listAuditEvents', 'audit_events', {}],
    ['listImportConflicts', 'import_conflicts', {}],
  ] as const)('%s of %s, %j', async (name, table, request) => {
    const holder = new pg.Client({ connectionString: world.database.url });
    await holder.connect();
    await holder.query(`BEGIN; LOCK TABLE ${table}`);
    try {
      const calls = [1, 2, 3].map(() => send(name, encodeRequest(name, request)));
      // Times of use are written meanwhile, and wait as well.
      const waiting = () => sessions("wait_event_type = 'Lock' AND query NOT LIKE '%UPDATE tokens%'");
      await vi.waitFor(async () => expect(await waiting()).toHaveLength(calls.length), PATIENCE);
      for (const call of calls) call.cancel();
      // The lock is still held, and the limit of a statement is far.
      await vi.waitFor(async () => expect(await waiting()).toEqual([]), { timeout: 20_000, interval: 10 });
      for (const call of calls) expect(await call.ended).toBe(status.CANCELLED);
    } finally {
      await holder.end();
    }
    expect(await send(name, encodeRequest(name, request)).ended).toBe(status.OK);
  });
});

describe('deadlines', () => {
  let connection: RawHttp2;

  beforeAll(async () => {
    connection = await RawHttp2.open(Number(world.server.address.split(':')[1]));
  });

  afterAll(() => {
    connection.close();
  });

  function call(name: MethodName, bytes: Buffer, timeout: string): ReturnType<RawHttp2['call']> {
    const headers = { authorization: `Bearer ${world.adminToken}`, 'grpc-timeout': timeout };
    return connection.call(pathOf(name), framed(bytes), headers, LIMIT_MS);
  }

  test('a change that is not committed by its deadline is not made', async () => {
    const bytes = encodeRequest('createToken', await requestFor('createToken', world));
    const before = await records();
    const release = await holdChanges();
    try {
      // Its own deadline ends it: this client does not cancel.
      expect((await call('createToken', bytes, '500m')).code).toBe('DEADLINE_EXCEEDED');
      await changeWaits();
    } finally {
      await release();
    }
    await nothingRuns();
    expect(await records()).toBe(before);
  });

  // From 2^31 milliseconds, 24.86 days, on; and where the library's 32 bits begin anew.
  test.each([
    '2147484S',
    '3000000S',
    '35792M',
    '60000M',
    '597H',
    '1200H',
    '99999999S',
    '99999999M',
    '99999999H',
  ])('a call with %s to go is served', async (timeout) => {
    const bytes = encodeRequest('createToken', await requestFor('createToken', world));
    expect(await call('createToken', bytes, timeout)).toMatchObject({ code: 'OK' });
  });

  test('a timeout that is none is refused as before', async () => {
    const bytes = encodeRequest('listAccounts', {});
    expect((await call('listAccounts', bytes, 'soon')).code).toBe('INTERNAL');
  });
});
