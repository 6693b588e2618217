import { randomUUID } from 'node:crypto';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { execute } from '../support/sql.js';
import { startKeyward, stop } from './processes.js';
import { KEY } from './secrets.js';
import { FIRST_ID, ownerIdOf, plaintextOf } from './tokens.js';

/** Owner of the many tokens: a user and a profile with this id, beside those of the other tokens. */
const OWNER_ID = FIRST_ID - 1;
const TIMEOUT_MS = 3_600_000;

/**
 * measureRevocation lets one call switch off, and another one delete, very many tokens of one user, while other callers
 * of the same process validate tokens that are remembered, and others that are not, and create tokens. It tells how long
 * all of that takes.
 */
export async function measureRevocation(databaseUrl: string, tokens: number): Promise<string> {
  await giveOneUser(databaseUrl, tokens);
  const server = await startKeyward({ DATABASE_URL: databaseUrl, KEYWARD_FERNET_KEYS: KEY });
  const client = (token: number): KeywardClient =>
    connect({ server: `127.0.0.1:${server.port}`, token: plaintextOf(token), timeoutMs: TIMEOUT_MS });
  const [superuser, other] = [client(0), client(1)];
  const user = { $case: 'id', value: BigInt(OWNER_ID) } as const;
  try {
    const quiet = await undisturbed(other, () => new Promise((resolve) => setTimeout(resolve, 3_000)));
    const off = await undisturbed(other, () =>
      superuser.accounts.updateUser({
        selector: { selector: user },
        user: { isActive: false },
        updateMask: ['is_active'],
      }),
    );
    const gone = await undisturbed(other, () =>
      superuser.tokens.revokeUserTokens({ user: { selector: user } }),
    );
    const { revokedCount, propagation } = gone.result;
    return [
      `no change for ${quiet.seconds.toFixed(1)} s`,
      quiet.meanwhile,
      `${tokens} tokens switched off with their user in ${off.seconds.toFixed(1)} s`,
      off.meanwhile,
      `${revokedCount} tokens deleted in ${gone.seconds.toFixed(1)} s, propagation ${
        propagation?.complete === true ? 'complete' : 'not complete'
      }`,
      gone.meanwhile,
    ].join('\n');
  } finally {
    superuser.close();
    other.close();
    await stop(server);
  }
}

/** giveOneUser makes a user with many tokens, and a superuser of the one who calls. */
async function giveOneUser(databaseUrl: string, tokens: number): Promise<void> {
  const run = (statement: string, values: readonly unknown[]) => execute(databaseUrl, statement, values);
  await run('UPDATE users SET is_superuser = true WHERE id = $1', [ownerIdOf(0)]);
  await run("INSERT INTO users (id, username, is_staff) VALUES ($1, 'many', true)", [OWNER_ID]);
  await run("INSERT INTO user_profiles (id, user_id, account_id, name) VALUES ($1, $1, $2, 'many')", [
    OWNER_ID,
    FIRST_ID,
  ]);
  await run(
    `WITH made AS (
       INSERT INTO tokens (id, key_id, user_profile_id, name)
       SELECT 10000000 + n, gen_random_uuid(), $1, 'many-' || n FROM generate_series(1::bigint, $2) n
       RETURNING id, name)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(name::bytea), id, '' FROM made`,
    [OWNER_ID, tokens],
  );
  await run('VACUUM ANALYZE', []);
}

interface Undisturbed<T> {
  readonly result: T;
  readonly seconds: number;
  /** How long each kind of call of others took meanwhile. */
  readonly meanwhile: string;
}

/** undisturbed lets others call, one call of each kind after the other, for as long as some work takes. */
async function undisturbed<T>(client: KeywardClient, work: () => Promise<T>): Promise<Undisturbed<T>> {
  const state = { isOver: false };
  const began = performance.now();
  const working = work().finally(() => {
    state.isOver = true;
  });
  const repeated = async (what: string, pauseMs: number, call: (n: number) => Promise<unknown>) => {
    const micros: number[] = [];
    while (!state.isOver) {
      const at = performance.now();
      await call(micros.length);
      micros.push((performance.now() - at) * 1000);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    return `  ${latencies(micros.sort((a, b) => a - b))} of ${micros.length} ${what}`;
  };
  const lines = await Promise.all([
    repeated('validations from memory', 2, async (n) => {
      const { valid } = await client.tokens.validateToken({ token: plaintextOf(n % 1000) });
      if (!valid) throw new Error('a token of someone else is refused');
    }),
    repeated('validations by the database', 10, () => client.tokens.validateToken({ token: randomUUID() })),
    repeated('tokens created', 50, () =>
      client.tokens.createToken({
        owner: { selector: { $case: 'id', value: BigInt(ownerIdOf(1)) } },
        name: randomUUID(),
      }),
    ),
  ]);
  const result = await working;
  return { result, seconds: (performance.now() - began) / 1000, meanwhile: lines.join('\n') };
}

function latencies(micros: readonly number[]): string {
  const at = (part: number): string =>
    ((micros[Math.min(micros.length - 1, Math.floor(micros.length * part))] ?? NaN) / 1000).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}
