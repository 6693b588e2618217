import { connect } from '../../src/client/index.js';
import type { ServerProcess } from './processes.js';
import { startLoad, type Scenario } from './scenario.js';
import { accessExchange, fillSecrets, readExchange } from './secrets.js';
import { plaintextOf } from './tokens.js';

const GET = '/keyward.secret.v1.SecretService/GetSecret';
const ACCESS = '/keyward.secret.v1.SecretService/AccessSecret';
/** Of each kind: the metadata of a secret shows that it was accessed, so those that are read are others. */
const SECRETS = 500;
/** 64 calls under way. */
const LOAD = { connections: 8, inFlight: 8 };

/** secretScenarios makes secrets, and loads that read their metadata (e) and their values (f). */
export async function secretScenarios(
  server: ServerProcess,
  databaseUrl: string,
): Promise<{ e: Scenario; f: Scenario }> {
  await fillSecrets(databaseUrl, 2 * SECRETS);
  const numbers = Array.from({ length: SECRETS }, (_, secret) => secret);
  const client = connect({ server: `127.0.0.1:${server.port}`, token: plaintextOf(0) });
  try {
    const reads = await Promise.all(numbers.map((secret) => readExchange(client, secret)));
    const accesses = numbers.map((secret) => accessExchange(SECRETS + secret));
    return {
      e: await startLoad(server, { ...LOAD, path: GET, asked: { exchanges: reads } }),
      f: await startLoad(server, { ...LOAD, path: ACCESS, asked: { exchanges: accesses } }),
    };
  } finally {
    client.close();
  }
}
