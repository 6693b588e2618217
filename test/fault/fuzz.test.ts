import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../support/random.js';
import { RawHttp2, type RawAnswer } from '../support/raw-http2.js';
import { encodeRequest, pathOf } from '../support/rpc.js';
import { framed } from '../support/raw-http2.js';
import { ServerProcess } from '../support/server-process.js';
import { execute } from '../support/sql.js';
import { existing, World } from '../support/world.js';
import { hostileRequest, type HostileRequest, type Victims } from './hostile-requests.js';

const REQUESTS = Number(process.env['FUZZ_REQUESTS'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const IN_FLIGHT = 50;
const LIMIT_MS = 20_000;
/** What the process may hold more at the end than after the first quarter. */
const MOST_GROWTH = 60 * 1024 * 1024;
const FAULTS: readonly number[] = [
  status.INTERNAL,
  status.UNKNOWN,
  status.UNIMPLEMENTED,
  status.DATA_LOSS,
  -1,
  -2,
];

let world: World;
let server: ServerProcess;
let wire: RawHttp2;
let caller: Readonly<Record<string, string>>;

beforeAll(async () => {
  world = await World.create();
  server = await ServerProcess.start(world.database.url, {
    KEYWARD_LOG_LEVEL: 'error',
    KEYWARD_CACHE_MAX_ENTRIES: '1000',
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '15',
  });
  wire = await RawHttp2.open(server.port);
  caller = { authorization: `Bearer ${await makeCaller()}` };
});

afterAll(async () => {
  wire.close();
  await server.stop();
  await world.close();
});

/** makeCaller makes a superuser whom no request can name, for all of them may be destroyed. */
async function makeCaller(): Promise<string> {
  const account = await world.newAccount();
  const { profile, plaintext, id } = await world.issueTo({ isSuperuser: true });
  const far = (offset: bigint) => String(7_777_777_777_777_000n + offset);
  const update = (statement: string, ...values: unknown[]) => execute(world.database.url, statement, values);
  await update(
    'UPDATE accounts SET id = $2, account_number = $3 WHERE id = $1',
    String(account.id),
    far(1n),
    '7777-7777-7777',
  );
  await update('UPDATE user_profiles SET account_id = $2 WHERE id = $1', String(profile.id), far(1n));
  await update('UPDATE user_profiles SET id = $2 WHERE id = $1', String(profile.id), far(2n));
  await update(
    "UPDATE users SET id = $2, username = 'whom nobody can name' WHERE id = $1",
    String(profile.userId),
    far(3n),
  );
  await update('ALTER TABLE token_digests DROP CONSTRAINT token_digests_token_id_fkey');
  await update('UPDATE token_digests SET token_id = $2 WHERE token_id = $1', String(id), far(4n));
  await update('UPDATE tokens SET id = $2 WHERE id = $1', String(id), far(4n));
  await update(
    'ALTER TABLE token_digests ADD CONSTRAINT token_digests_token_id_fkey FOREIGN KEY (token_id) REFERENCES tokens (id) ON DELETE CASCADE',
  );
  return plaintext;
}

async function makeVictims(): Promise<Victims> {
  const tokens = await Promise.all(Array.from({ length: 40 }, () => world.issue('owner-a')));
  const owners = await Promise.all(Array.from({ length: 20 }, () => world.issueTo()));
  const accounts = await Promise.all(Array.from({ length: 20 }, () => world.newAccount()));
  return {
    tokens: [...tokens, ...owners].map(({ id }) => id),
    users: owners.map(({ profile }) => profile.userId),
    profiles: [...owners.map(({ profile }) => profile.id), world.profileOf('owner-a').id],
    accounts: accounts.map(({ id }) => id),
    plaintexts: [...tokens, ...owners].map(({ plaintext }) => plaintext),
    usernames: owners.map(({ profile }) => profile.username),
  };
}

async function passes(): Promise<boolean> {
  const body = framed(encodeRequest('listTokens', { pageSize: 1 }));
  return (await wire.call(pathOf('listTokens'), body, caller, LIMIT_MS)).status === status.OK;
}

test(
  `${REQUESTS} hostile requests (seed ${SEED}): no crash, no fault, no hang, and memory stays flat`,
  { timeout: 600_000 },
  async () => {
    const random = new Random(SEED);
    let victims = await makeVictims();
    const seen = new Map<number, number>();
    const faults: string[] = [];
    let sent = 0;
    let until = 0;

    const judge = (request: HostileRequest, answer: RawAnswer): void => {
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      if (!FAULTS.includes(answer.status)) return;
      // gRPC's own answer to a frame that is none, or compressed without saying how.
      if (
        !request.isFramed &&
        [status.INTERNAL, status.UNIMPLEMENTED].includes(answer.status) &&
        !/request id/.test(answer.message)
      )
        return;
      faults.push(
        `${answer.status} ${answer.message}: ${request.method} ${request.body.toString('hex').slice(0, 400)}`,
      );
    };
    const sendUntilDone = async (): Promise<void> => {
      while (sent < until && faults.length < 20) {
        sent += 1;
        const request = hostileRequest(random, victims);
        const headers = random.chance(0.95)
          ? caller
          : { authorization: random.pick(['Bearer x', 'Basic eA==', '', 'Bearer']) };
        judge(request, await wire.call(request.path, request.body, headers, LIMIT_MS));
      }
    };

    const memory: number[] = [];
    for (let quarter = 1; quarter <= 4; quarter += 1) {
      until = Math.floor((REQUESTS * quarter) / 4);
      await Promise.all(Array.from({ length: IN_FLIGHT }, sendUntilDone));
      expect(faults, server.output()).toEqual([]);
      expect(server.isRunning).toBe(true);
      expect(await passes()).toBe(true);
      memory.push(await server.memory());
      victims = await makeVictims();
    }
    const [first, last] = [existing(memory[0]), existing(memory[3])];
    console.log(
      `seed ${SEED}: ${[...seen].map(([code, count]) => `${status[code] ?? code} ${count}`).join(', ')}; resident MB: ${memory.map((bytes) => Math.round(bytes / 2 ** 20)).join(', ')}`,
    );
    expect(seen.get(status.OK)).toBeGreaterThan(REQUESTS / 50);
    expect(last - first).toBeLessThan(MOST_GROWTH);
  },
);
