import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KeywardClient } from '../../src/client/index.js';
import { registerCanary } from '../support/canaries.js';
import { extent } from '../support/extent.js';
import { Random } from '../support/random.js';
import { framed, RawHttp2, type RawAnswer } from '../support/raw-http2.js';
import { byId } from '../support/requests.js';
import { encodeRequest, pathOf } from '../support/rpc.js';
import { ServerProcess } from '../support/server-process.js';
import { execute } from '../support/sql.js';
import { existing, newValue, textOf, World } from '../support/world.js';
import { hostileRequest, type HostileRequest, type Victims } from './hostile-requests.js';

const REQUESTS = extent('FUZZ_REQUESTS', 1_000, 60_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** Requests until there are new victims: those before have been destroyed by then. */
const ROUND = 2_500;
const IN_FLIGHT = 50;
const LIMIT_MS = 20_000;
/** What the process may hold more at the end than after the first quarter. */
const MAX_GROWTH = 60 * 1024 * 1024;
/** Statuses that tell of a fault: of the service, or of the wire. */
const FAULTS = ['INTERNAL', 'UNKNOWN', 'UNIMPLEMENTED', 'DATA_LOSS', 'no status', 'no answer'];
/** The library's own answers to a frame that is none, or compressed without saying how. */
const FRAME_ERRORS = ['INTERNAL', 'UNIMPLEMENTED'];

let world: World;
let server: ServerProcess;
let wire: RawHttp2;
let caller: Readonly<Record<string, string>>;
let victimMaker: KeywardClient;

beforeAll(async () => {
  world = await World.create();
  server = await ServerProcess.start(world.database.url, {
    KEYWARD_LOG_LEVEL: 'error',
    KEYWARD_CACHE_MAX_ENTRIES: '1000',
    KEYWARD_DATABASE_TIMEOUT_SECONDS: '15',
  });
  wire = await RawHttp2.open(server.port);
  const token = await makeCaller();
  caller = { authorization: `Bearer ${token}` };
  victimMaker = world.client(token);
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

/** makeVictims works as the caller: nobody else is sure to be there still. */
async function makeVictims(): Promise<Victims> {
  const { accounts, secrets, tokens } = victimMaker;
  const newAccount = async () => existing((await accounts.createAccount({ name: world.newName() })).account);
  const newToken = async (profile: { readonly id: bigint }) => {
    const made = await tokens.createToken({ owner: byId(profile), name: world.newName() });
    return { id: existing(made.token).id, plaintext: registerCanary(made.plaintext) };
  };
  const newSecret = async (profile: { readonly id: bigint }) => {
    const payload = textOf(newValue());
    const made = await secrets.createSecret({ owner: byId(profile), name: world.newName(), payload });
    return existing(made.secret).id;
  };
  const home = byId(await newAccount());
  const profiles = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const { user } = await accounts.createUser({ username: world.newName(), isStaff: true });
      const made = await accounts.createUserProfile({ user: byId(existing(user)), account: home });
      return existing(made.userProfile);
    }),
  );
  const issued = await Promise.all([...profiles, ...profiles, ...profiles].map(newToken));
  return {
    tokens: issued.map(({ id }) => id),
    secrets: await Promise.all([...profiles, ...profiles].map(newSecret)),
    users: profiles.map(({ userId }) => userId),
    profiles: profiles.map(({ id }) => id),
    accounts: await Promise.all(Array.from({ length: 20 }, async () => (await newAccount()).id)),
    plaintexts: issued.map(({ plaintext }) => plaintext),
  };
}

async function passes(): Promise<boolean> {
  const body = framed(encodeRequest('listTokens', { pageSize: 1 }));
  return (await wire.call(pathOf('listTokens'), body, caller, LIMIT_MS)).code === 'OK';
}

test(
  `${REQUESTS} hostile requests (seed ${SEED}): no crash, no fault, no hang, and memory stays flat`,
  { timeout: 600_000 },
  async () => {
    const random = new Random(SEED);
    let victims: Victims;
    const seen = new Map<string, number>();
    const faults: string[] = [];
    let sent = 0;
    let until = 0;

    const judge = (request: HostileRequest, { code, message }: RawAnswer): void => {
      seen.set(code, (seen.get(code) ?? 0) + 1);
      if (!FAULTS.includes(code)) return;
      const isFrameError = FRAME_ERRORS.includes(code) && !message.includes('request id');
      if (!request.isFramed && isFrameError) return;
      faults.push(`${code} ${message}: ${request.method} ${request.body.toString('hex').slice(0, 400)}`);
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
    while (sent < REQUESTS) {
      // Node closes a connection on which a client has cancelled too many calls, as each watch is here.
      wire.close();
      wire = await RawHttp2.open(server.port);
      victims = await makeVictims();
      until = Math.min(REQUESTS, sent + ROUND);
      await Promise.all(Array.from({ length: IN_FLIGHT }, sendUntilDone));
      expect(faults, server.output()).toEqual([]);
      expect(server.isRunning).toBe(true);
      expect(await passes()).toBe(true);
      memory.push(await server.memory());
    }
    const [first, last] = [existing(memory[Math.floor((memory.length - 1) / 4)]), existing(memory.at(-1))];
    const codes = [...seen].map(([code, count]) => `${code} ${count}`).join(', ');
    const megabytes = memory.map((bytes) => Math.round(bytes / 2 ** 20)).join(', ');
    console.log(`seed ${SEED}: ${codes}; resident MB: ${megabytes}`);
    expect(seen.get('OK')).toBeGreaterThan(REQUESTS / 50);
    expect(last - first).toBeLessThan(MAX_GROWTH);
  },
);
