import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect, KeywardCallError, type KeywardClient } from '../../src/client/index.js';
import type { Database } from '../../src/db/knex.js';
import { extent } from '../support/extent.js';
import { fernetKey } from '../support/fernet-vectors.js';
import { ServerProcess } from '../support/server-process.js';
import { connectTo, newKey, sealed, storedVersions, storeSecrets } from '../support/stored-secrets.js';
import { World } from '../support/world.js';

const SECRETS = extent('REENCRYPTION_SECRETS', 60, 5_000);
const BATCH = Math.min(200, Math.ceil(SECRETS / 50));
/** The shares of the work after which the process that does it is killed. */
const KILLED_AT = [0.2, 0.5];

const NEW_KEY = newKey();
const OLD_KEY = newKey();
const NEW_ID = fernetKey(NEW_KEY).id;

let world: World;
let knex: Database;
let ids: bigint[];
const servers: ServerProcess[] = [];
const clients: KeywardClient[] = [];

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url);
  const secrets = Array.from({ length: SECRETS }, (_, at) => ({ versions: [sealed(OLD_KEY, valueAt(at))] }));
  ids = await storeSecrets(knex, world.profileOf('admin').id, OLD_KEY, secrets);
}, 120_000);

afterAll(async () => {
  for (const client of clients) client.close();
  for (const server of servers) await server.stop();
  await knex.destroy();
  await world.close();
});

function valueAt(at: number): string {
  return `value-${at}`;
}

async function start(keys: string): Promise<{ server: ServerProcess; client: KeywardClient }> {
  const server = await ServerProcess.start(world.database.url, {
    KEYWARD_FERNET_KEYS: keys,
    KEYWARD_LOG_LEVEL: 'warn',
  });
  servers.push(server);
  const client = connect({ server: `127.0.0.1:${server.port}`, token: world.adminToken, timeoutMs: 60_000 });
  clients.push(client);
  return { server, client };
}

async function read(client: KeywardClient, id: bigint, version = 0): Promise<string> {
  const secret = { selector: { $case: 'id', value: id } } as const;
  const { payload } = await client.secrets.accessSecret({ secret, version });
  return payload?.value?.$case === 'text' ? payload.value.value : '';
}

/** Load reads and writes until it is ended, and keeps what was acknowledged. */
class Load {
  reads = 0;
  /** The values written, by secret and version. */
  readonly written = new Map<string, string>();
  #isOver = false;
  readonly #running: Promise<void>[] = [];

  /** read reads secrets at random, and compares. */
  read(client: KeywardClient): void {
    this.#repeat(async () => {
      const at = randomInt(ids.length);
      expect(await read(client, ids[at] ?? 0n, 1)).toBe(valueAt(at));
      this.reads += 1;
    });
  }

  /** write adds versions to secrets at random. */
  write(client: KeywardClient): void {
    this.#repeat(async () => {
      const id = ids[randomInt(ids.length)] ?? 0n;
      const value = `written-${randomInt(2 ** 40)}`;
      const { version } = await client.secrets.addSecretVersion({
        selector: { selector: { $case: 'id', value: id } },
        payload: { value: { $case: 'text', value } },
      });
      this.written.set(`${id}/${version?.number}`, value);
    });
  }

  /** end waits for what is under way, and fails if anything did. */
  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  #repeat(work: () => Promise<void>): void {
    const run = async (): Promise<void> => {
      while (!this.#isOver) await work();
    };
    const running = run();
    // It is `end` that reports it.
    running.catch(() => undefined);
    this.#running.push(running);
  }
}

async function countLeft(): Promise<number> {
  const { rows } = await knex.raw<{ rows: { count: bigint }[] }>(
    'SELECT count(*) FROM secret_versions WHERE key_id IS DISTINCT FROM ?',
    [NEW_ID],
  );
  return Number(rows[0]?.count);
}

/** rotateUntilKilled rotates in a process of its own, which is killed once no more than `leave` versions are left. */
async function rotateUntilKilled(leave: number, load: Load): Promise<void> {
  const { server, client } = await start(`${NEW_KEY},${OLD_KEY}`);
  const own = new Load();
  own.write(client);
  own.read(client);
  const rotation = (async () => {
    for await (const { done, total } of client.secrets.rotateEncryptionKey({ batchSize: BATCH })) {
      if (Number(total - done) <= leave) await server.kill();
    }
  })();
  await expect(rotation).rejects.toBeInstanceOf(KeywardCallError);
  await expect(own.end()).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
  for (const [version, value] of own.written) load.written.set(version, value);
}

test(
  `a rotation of ${SECRETS} secrets, killed twice and begun again under load, reaches all; no read fails, no write is lost`,
  { timeout: 120_000 + SECRETS * 6 },
  async () => {
    const { client } = await start(`${NEW_KEY},${OLD_KEY}`);
    const load = new Load();
    for (let reader = 0; reader < 2; reader += 1) load.read(client);
    for (let writer = 0; writer < 2; writer += 1) load.write(client);
    for (const share of KILLED_AT) {
      await rotateUntilKilled(SECRETS * (1 - share), load);
      const left = await countLeft();
      expect(left).toBeGreaterThan(0);
      expect(left).toBeLessThan(SECRETS);
    }
    const second = await start(`${NEW_KEY},${OLD_KEY}`);
    let last;
    for await (const progress of second.client.secrets.rotateEncryptionKey({})) last = progress;
    expect(last).toMatchObject({ failed: 0n, finished: true });
    await load.end();

    expect(load.reads).toBeGreaterThan(100);
    expect(load.written.size).toBeGreaterThan(100);
    const newKey = fernetKey(NEW_KEY);
    const stored = new Map(
      (await storedVersions(knex)).map(({ secret_id, number, key_id, ciphertext }) => {
        expect(key_id).toBe(NEW_ID);
        return [`${secret_id}/${number}`, newKey.decrypt(ciphertext ?? Buffer.of()).plaintext.toString()];
      }),
    );
    ids.forEach((id, at) => expect(stored.get(`${id}/1`)).toBe(valueAt(at)));
    for (const [version, value] of load.written) expect(stored.get(version)).toBe(value);

    const { rows } = await knex.raw<{ rows: { versions: bigint }[] }>(
      "SELECT sum((detail->>'versions')::bigint)::bigint AS versions FROM audit_events WHERE action = 'SECRETS_REENCRYPTED'",
    );
    expect(rows[0]?.versions).toBe(BigInt(SECRETS));

    const withoutOld = await start(NEW_KEY);
    expect(await read(withoutOld.client, ids[0] ?? 0n, 1)).toBe(valueAt(0));
  },
);
