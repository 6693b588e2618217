import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type KeywardClient } from '../../src/client/index.js';
import { execute } from '../support/sql.js';
import { otherDatabase } from './against.js';
import type { Extent } from './hot-path.js';
import { KEYWARD, startKeyward, stop, type ServerProcess } from './processes.js';
import { median } from './report.js';
import { measured } from './scenario.js';
import { fillSecrets, KEY } from './secrets.js';
import { FIRST_ID, plaintextOf } from './tokens.js';

/** Under way at once. */
const IN_FLIGHT = 32;
const SECRETS = 500;
const TICKS_A_SECOND = 100;

type Call = (client: KeywardClient, number: bigint) => Promise<unknown>;

/** The names of calls that a caller who is not a superuser makes, and what they ask for. */
const CALLS: Readonly<Record<string, Call>> = {
  GetSecret: ({ secrets }, n) => secrets.getSecret({ secret: { selector: { $case: 'id', value: idOf(n) } } }),
  GetToken: ({ tokens }, n) => tokens.getToken({ token: { selector: { $case: 'id', value: idOf(n) } } }),
  ListGrants: ({ secrets }, n) =>
    secrets.listGrants({ secret: { selector: { $case: 'id', value: idOf(n) } } }),
  ListTokens: ({ tokens }) => tokens.listTokens({ orderBy: 'name desc' }),
  'DeactivateToken, ActivateToken': async ({ tokens }, n) => {
    const selector = { selector: { $case: 'id', value: idOf(n) } } as const;
    await tokens.deactivateToken({ selector });
    await tokens.activateToken({ selector });
  },
};

interface Cost {
  readonly service: number;
  readonly postgres: number;
}

/** measureReads compares what calls cost this build and another, in microseconds of CPU, in rounds of both. */
export async function measureReads(directory: string, databaseUrl: string, extent: Extent): Promise<string> {
  const other = join(directory, 'dist/cli/main.js');
  const builds = [
    { program: KEYWARD, url: databaseUrl },
    { program: other, url: await otherDatabase(other, databaseUrl, extent) },
  ];
  const postmaster = await postmasterOf(databaseUrl);
  const servers: ServerProcess[] = [];
  const clients: KeywardClient[] = [];
  try {
    for (const { program, url } of builds) {
      await fillSecrets(url, SECRETS);
      await execute(url, 'UPDATE users SET is_superuser = true WHERE id = $1', [FIRST_ID]);
      const server = await startKeyward({ DATABASE_URL: url, KEYWARD_FERNET_KEYS: KEY }, { program });
      servers.push(server);
      clients.push(connect({ server: `127.0.0.1:${server.port}`, token: plaintextOf(0) }));
    }
    const lines = [
      'us of CPU for a call, the median of the rounds',
      row('', ['service', 'the other', 'ratio', 'PostgreSQL', 'the other', 'ratio']),
    ];
    for (const [name, call] of Object.entries(CALLS))
      lines.push(row(name, await compare(call, servers, clients, postmaster, extent)));
    return lines.join('\n');
  } finally {
    for (const client of clients) client.close();
    for (const server of servers) await stop(server);
  }
}

async function compare(
  call: Call,
  servers: readonly ServerProcess[],
  clients: readonly KeywardClient[],
  postmaster: string,
  { rounds, seconds }: Extent,
): Promise<string[]> {
  const costs: Cost[][] = servers.map(() => []);
  for (let round = 0; round <= rounds; round += 1) {
    for (const [index, server] of servers.entries()) {
      const client = clients[index];
      if (client === undefined) throw new Error('each server has a client');
      const cost = await costOf(server, postmaster, () => run(call, client, seconds));
      // The first is to warm up.
      if (round > 0) costs[index]?.push(cost);
    }
  }
  return (['service', 'postgres'] as const).flatMap((part) => {
    const [own = NaN, other = NaN] = costs.map((each) => median(each.map((cost) => cost[part])));
    const ratios = (costs[0] ?? []).map((cost, index) => cost[part] / (costs[1]?.[index]?.[part] ?? NaN));
    return [own.toFixed(0), other.toFixed(0), median(ratios).toFixed(2)];
  });
}

async function costOf(server: ServerProcess, postmaster: string, work: () => Promise<number>): Promise<Cost> {
  const before = await postgresSeconds(postmaster);
  const { result: calls, spent } = await measured(server, work);
  const after = await postgresSeconds(postmaster);
  return { service: (spent.busy * 1e6) / calls, postgres: ((after - before) * 1e6) / calls };
}

async function run(call: Call, client: KeywardClient, seconds: number): Promise<number> {
  const end = performance.now() + seconds * 1000;
  let calls = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      calls += 1;
      await call(client, BigInt(calls % SECRETS));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return calls;
}

/** postmasterOf is the process that PostgreSQL's others are children of. */
async function postmasterOf(url: string): Promise<string> {
  const [row] = await execute(url, 'SELECT split_part(pg_read_file($1), chr(10), 1) AS postmaster', [
    'postmaster.pid',
  ]);
  return String(row?.['postmaster']);
}

/** postgresSeconds is the CPU time of all processes of PostgreSQL, those that have ended included. */
async function postgresSeconds(postmaster: string): Promise<number> {
  let ticks = 0;
  for (const pid of await readdir('/proc')) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (pid !== postmaster && fields[1] !== postmaster) continue;
    for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks / TICKS_A_SECOND;
}

function idOf(number: bigint): bigint {
  return BigInt(FIRST_ID) + number;
}

function row(title: string, cells: readonly string[]): string {
  return title.padEnd(32) + cells.map((cell) => cell.padStart(12)).join('');
}
