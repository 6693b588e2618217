import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { loadConfig } from '../../src/config.js';
import { Keyring } from '../../src/crypto/keyring.js';
import { systemClock } from '../../src/lib/clock.js';
import { startServer, type RunningServer } from '../../src/server.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { freeLowPort } from './free-port.js';
import { TEST_KEY } from './keyring.js';
import { keyward } from './keyward-command.js';
import { execute } from './sql.js';

const Counts = z.object({ created: z.number(), updated: z.number(), merged: z.number() });
const Report = z.object({ counts: z.record(z.string(), Counts) });

/** Takeover is a Keyward that has taken a platform over by its own commands, as an operator would. */
export interface Takeover {
  readonly database: TestDatabase;
  /** host:port */
  readonly address: string;
  readonly adminToken: string;
  readonly reports: z.infer<typeof Report>[];
  run(args: readonly string[], input?: string): Promise<string>;
  connect(token: string): KeywardClient;
  /** issueToken makes a token for a user, whom it switches on; undefined for one without a profile. */
  issueToken(username: string): Promise<string | undefined>;
  /** stop and start are of the server, which keeps its port. */
  stop(): Promise<void>;
  start(): Promise<void>;
  end(): Promise<void>;
}

/** takeOver imports a platform, twice, and serves what it held. */
export async function takeOver(sourceUrl: string, smarterKeys: readonly string[]): Promise<Takeover> {
  const database = await createTestDatabase();
  const env = {
    ...process.env,
    DATABASE_URL: database.url,
    // New values shall be encrypted with a key of Keyward's own.
    KEYWARD_FERNET_KEYS: [TEST_KEY, ...smarterKeys].join(),
    KEYWARD_IMPORT_FROM: sourceUrl,
  };
  const adminToken = (await keyward(['bootstrap'], { env })).trim();
  const reports: z.infer<typeof Report>[] = [];
  for (let run = 1; run <= 2; run += 1) {
    reports.push(Report.parse(JSON.parse(await keyward(['import-smarter', '--json'], { env }))));
  }
  const port = await freeLowPort();
  const serve = (): Promise<RunningServer> => {
    const config = loadConfig({ ...env, KEYWARD_LISTEN: `127.0.0.1:${port}` });
    const keyring = new Keyring(config.fernetKeys, systemClock);
    const logger = createLogger('silent');
    return startServer({ config, databaseUrl: database.url, keyring, clock: systemClock, logger });
  };
  let server: RunningServer | undefined = await serve();
  const address = `127.0.0.1:${port}`;
  const clientEnv = { ...env, KEYWARD_SERVER: address, KEYWARD_TOKEN: adminToken };
  const stop = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  return {
    database,
    address,
    adminToken,
    reports,
    run: (args, input = '') => keyward(args, { env: clientEnv, input }),
    connect: (token) => connect({ server: address, token }),
    issueToken: async (username) => {
      const token = randomBytes(32).toString('hex');
      const made = await execute(
        database.url,
        `WITH owner AS (UPDATE users SET is_active = true WHERE username = $1 RETURNING id),
           profile AS (SELECT min(p.id) AS id FROM user_profiles p JOIN owner ON owner.id = p.user_id),
           token AS (INSERT INTO tokens (key_id, user_profile_id, name)
             SELECT gen_random_uuid(), id, $2 FROM profile WHERE id IS NOT NULL RETURNING id)
         INSERT INTO token_digests (digest, token_id, token_key)
         SELECT sha512($2::bytea), id, left($2, 15) FROM token RETURNING token_id`,
        [username, token],
      );
      return made.length === 0 ? undefined : token;
    },
    stop,
    start: async () => {
      server = await serve();
    },
    end: async () => {
      await stop();
      await database.drop();
    },
  };
}
