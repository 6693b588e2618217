import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { migrate } from '../../src/db/migrate.js';
import { makeDataDir, removeDataDir } from '../support/data-dir.js';
import { DjangoWeb, hasWeb } from '../support/django-web.js';
import { keyward } from '../support/keyward-command.js';
import { execute, withDatabaseName } from '../support/sql.js';
import { startKeyward, stop } from './processes.js';
import { KEY } from './secrets.js';

/**
 * Measures requests to a project of REST framework by gunicorn with four workers, on a platform's database that was taken
 * over: with Keyward, with the platform's own classes, and without authentication, by turns in one run. `--seconds` (1) of
 * each turn, `--rounds` (20).
 */
const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '1' }, rounds: { type: 'string', default: '20' } },
});
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const AT_A_TIME = 8;
const WARM_UP_REQUESTS = 200;
/** Of the times in /proc, on every machine that Linux runs on today. */
const TICKS_PER_SECOND = 100;
const FIXTURES = new URL('../fixtures/smarter/', import.meta.url);
const Oracle = z.object({
  tokens: z.array(z.object({ token: z.string(), expected: z.object({ valid: z.boolean() }) })),
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
});

interface Turn {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

interface Way {
  readonly name: string;
  readonly web: DjangoWeb;
  readonly path: string;
  readonly turns: Turn[];
}

if (!hasWeb())
  throw new Error('KEYWARD_TEST_PYTHON must name a Python with all that CI installs for the tests');
await measure();

async function measure(): Promise<void> {
  const closing: (() => Promise<void>)[] = [];
  try {
    const dataDir = await makeDataDir();
    closing.unshift(() => removeDataDir(dataDir));
    const database = await startEmbeddedPostgres({ dataDir });
    closing.unshift(() => database.stop());
    const oracle = Oracle.parse(JSON.parse(await readFile(new URL('expected.json', FIXTURES), 'utf8')));
    const platform = withDatabaseName(database.url, 'platform');
    await execute(database.url, `CREATE DATABASE platform TEMPLATE template0 ENCODING 'UTF8'`);
    await execute(platform, await readFile(new URL('smarter-db.sql', FIXTURES), 'utf8'));
    await migrate(database.url);
    const { current, previous } = oracle.fernet_keys;
    const settings = {
      DATABASE_URL: database.url,
      KEYWARD_FERNET_KEYS: [KEY, current, ...previous].join(),
      KEYWARD_HTTP_LISTEN: '',
    };
    const env = { ...process.env, ...settings, KEYWARD_IMPORT_FROM: platform };
    const adminToken = (await keyward(['bootstrap'], { env })).trim();
    await keyward(['import-smarter', '--json'], { env });
    const server = await startKeyward(settings);
    closing.unshift(() => stop(server));
    const serve = async (own: NodeJS.ProcessEnv): Promise<DjangoWeb> => {
      const web = await DjangoWeb.start('gunicorn', {
        PLATFORM_DATABASE: platform,
        SMARTER_FERNET_ENCRYPTION_KEY: current,
        KEYWARD_SERVER: `127.0.0.1:${server.port}`,
        KEYWARD_TOKEN: adminToken,
        ...own,
      });
      closing.unshift(() => web.stop());
      return web;
    };
    const reading = await serve({});
    const remembering = await serve({ USER_SECONDS: '10' });
    const principals = await serve({ KEYWARD_USER: 'principal' });
    const ways = [
      wayOf('no authentication', reading, 'open'),
      wayOf('a class that asks nobody', reading, 'nobody'),
      wayOf('Keyward, user of the verdict', principals, 'keyward'),
      wayOf('Keyward, user of Django, read every 10 s', remembering, 'keyward'),
      wayOf('Keyward, user of Django, read every time', reading, 'keyward'),
      wayOf('knox', reading, 'knox'),
      wayOf("the platform's class", reading, 'platform'),
    ];
    const key = oracle.tokens.find(({ expected }) => expected.valid)?.token ?? '';
    for (const way of ways) await ask(way, key, (asked) => asked < WARM_UP_REQUESTS);
    for (let round = 0; round < ROUNDS; round += 1)
      for (const way of ways) way.turns.push(await turn(way, key));
    report(ways);
  } finally {
    for (const close of closing) await close();
  }
}

function wayOf(name: string, web: DjangoWeb, path: string): Way {
  return { name, web, path, turns: [] };
}

async function turn(way: Way, key: string): Promise<Turn> {
  const before = cpuSeconds(way.web);
  const startedAt = performance.now();
  const until = startedAt + SECONDS * 1_000;
  const asked = await ask(way, key, () => performance.now() < until);
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    perSecond: asked / seconds,
    cpuMicros: ((cpuSeconds(way.web) - before) / asked) * 1e6,
  };
}

/** ask asks with a key, some at a time, and gives how often. */
async function ask({ web, path }: Way, key: string, isMore: (asked: number) => boolean): Promise<number> {
  let asked = 0;
  const asking = Array.from({ length: AT_A_TIME }, async () => {
    while (isMore(asked)) {
      asked += 1;
      const { status } = await web.get(path, path === 'open' ? undefined : key);
      if (status !== 200) throw new Error(`/${path} answered ${status}`);
    }
  });
  await Promise.all(asking);
  return asked;
}

/** cpuSeconds are of all processes that serve. */
function cpuSeconds({ pid }: DjangoWeb): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return children.reduce((sum, child) => sum + secondsOf(child), 0);
}

function secondsOf(pid: string): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function report(ways: readonly Way[]): void {
  const [open, nobody, principals] = ways;
  const load = loadavg().map((each) => each.toFixed(1));
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, load ${load.join(' ')}; Node.js ${process.version}`,
  );
  console.log(`${ROUNDS} rounds of ${SECONDS} s by turns, ${AT_A_TIME} at a time; the medians`);
  console.log('| how a request is let in | requests a second | CPU of a request | to no authentication |');
  console.log('| --- | --- | --- | --- |');
  for (const way of ways) {
    const perSecond = median(way.turns.map((each) => each.perSecond)).toFixed(0);
    const micros = median(way.turns.map((each) => each.cpuMicros)).toFixed(0);
    console.log(`| ${way.name} | ${perSecond} | ${micros} µs | ${ratio(way, open).toFixed(2)} |`);
  }
  const own = (100 * (1 - ratio(nobody, principals))).toFixed(1);
  console.log(`Of a request, Keyward takes ${own} % beyond a class that asks nobody`);
}

/** ratio is of the CPU of two ways in the same round: what else the machine does changes from round to round. */
function ratio(of: Way | undefined, to: Way | undefined): number {
  const ratios = of?.turns.map(({ cpuMicros }, round) => cpuMicros / (to?.turns[round]?.cpuMicros ?? NaN));
  return median(ratios ?? []);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
