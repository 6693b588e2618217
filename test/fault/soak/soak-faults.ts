import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardClient } from '../../../src/client/index.js';
import { framed, RawHttp2 } from '../../support/raw-http2.js';
import { Random } from '../../support/random.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { UnfinishedBodies } from '../../support/unfinished-bodies.js';
import type { DurablePostgres } from '../campaign/durable-postgres.js';
import { drawDuration, inflict, MEANS, shuffled, type FaultPlan, type Means } from '../campaign/faults.js';
import { FAULT_KINDS, SOAK_KINDS, TURN_KINDS } from '../campaign/history.js';
import { PUBLISH_LOCK } from '../../../src/db/advisory-locks.js';

type SoakMeans = Pick<Means, 'inflict' | 'isForAll'>;

/** Any number; it is that of the migrations. */
const SETTINGS = [
  "DateStyle TO 'German, DMY'",
  "IntervalStyle TO 'sql_standard'",
  'array_nulls TO off',
  "bytea_output TO 'escape'",
  'standard_conforming_strings TO off',
  'extra_float_digits TO -15',
  "default_transaction_isolation TO 'serializable'",
  'transform_null_equals TO on',
  "client_encoding TO 'LATIN1'",
  "TimeZone TO 'Pacific/Apia'",
  'synchronous_commit TO off',
  "lock_timeout TO '1ms'",
  "statement_timeout TO '1ms'",
  "idle_in_transaction_session_timeout TO '1ms'",
  "idle_session_timeout TO '300ms'",
];
const COLUMNS = ['users ALTER username', 'token_digests ALTER token_key', 'accounts ALTER name'];
const TABLES = ['tokens', 'users', 'accounts', 'secrets'];
const GONE_CONNECTIONS = 40;
const UNFINISHED = { connections: 20, callsOfEach: 20 };
const OVERLOAD_CALLS = 300;
const MAX_OVERLOAD_MS = 3_000;

export interface SoakFaultOptions {
  readonly seed: number;
  /** Names of the kinds of faults; all kinds if there are none. */
  readonly only: readonly string[];
  /** Token of a user who owns secrets. */
  readonly user: string;
  /** onFailure is told of a fault that could not be made, or not be ended. */
  readonly onFailure: (kind: string, error: unknown) => void;
  /** Clients of somebody else, one for each replica, with short deadlines. */
  readonly crowd: readonly KeywardClient[];
}

/** soakMeans are the faults of the soak alone. */
function soakMeans(
  { user, crowd }: SoakFaultOptions,
  random: Random,
): Record<(typeof SOAK_KINDS)[number], SoakMeans> {
  const next = {
    settings: dealer(SETTINGS, random),
    column: dealer(COLUMNS, random),
    table: dealer(TABLES, random),
  };
  return {
    'open connections blackholed': {
      inflict: async (_postgres, site, durationMs) => {
        site.pool?.silenceOpen();
        await delay(durationMs);
        site.pool?.mend();
      },
    },
    'backends paused': {
      inflict: async (postgres, { poolName }, durationMs) => {
        const pids = await postgres.backends(poolName);
        for (const pid of pids) process.kill(pid, 'SIGSTOP');
        await delay(durationMs);
        for (const pid of pids) resume(pid);
      },
    },
    'connections cut': {
      inflict: async (_postgres, { pool, listen }, durationMs) => {
        for (const way of [pool, listen]) way?.cut();
        await delay(durationMs);
        for (const way of [pool, listen]) way?.mend();
      },
    },
    'answers to COMMIT lost': {
      inflict: async (_postgres, { pool }, durationMs) => {
        pool?.loseAnswersTo('COMMIT');
        await delay(durationMs);
        pool?.mend();
      },
    },
    'synchronous standby lost': {
      isForAll: true,
      inflict: async (postgres, _site, durationMs) => {
        await setStandbys(postgres, 'nobody');
        await delay(durationMs);
        await setStandbys(postgres, '');
      },
    },
    'settings changed': {
      isForAll: true,
      inflict: (postgres, _site, durationMs) =>
        changeSettings(postgres, 'DATABASE keyward', next.settings(), durationMs),
    },
    'settings of the role changed': {
      isForAll: true,
      inflict: (postgres, _site, durationMs) =>
        changeSettings(postgres, 'ROLE CURRENT_USER', next.settings(), durationMs),
    },
    'audit chains locked': {
      isForAll: true,
      inflict: (postgres, _site, durationMs) =>
        postgres.holding('SELECT 1 FROM audit_chains FOR UPDATE', durationMs),
    },
    'column changed': {
      isForAll: true,
      inflict: async (postgres, _site, durationMs) => {
        const column = next.column();
        await postgres.execute(`ALTER TABLE ${column} TYPE varchar(400)`);
        await delay(durationMs);
        await postgres.execute(`ALTER TABLE ${column} TYPE text`);
      },
    },
    'publish lock held': {
      isForAll: true,
      inflict: (postgres, _site, durationMs) =>
        postgres.holding(`SELECT pg_advisory_xact_lock(${PUBLISH_LOCK})`, durationMs),
    },
    'rows locked': {
      isForAll: true,
      inflict: (postgres, _site, durationMs) =>
        postgres.holding(`SELECT 1 FROM ${next.table()} FOR UPDATE`, durationMs),
    },
    'clients gone': {
      inflict: async (_postgres, { port }) => {
        const body = framed(encodeRequest('listSecrets', { pageSize: 1_000 }));
        for (let each = 0; each < GONE_CONNECTIONS; each += 1) {
          const wire = await RawHttp2.open(port);
          void wire.call(pathOf('listSecrets'), body, { authorization: `Bearer ${user}` }, MAX_OVERLOAD_MS);
          await delay(random.below(10));
          wire.close();
        }
      },
    },
    'unfinished bodies': {
      inflict: async (_postgres, { port }, durationMs) => {
        const address = `127.0.0.1:${port}`;
        const path = pathOf('validateToken');
        const bodies = await UnfinishedBodies.send({ address, path, headers: {}, ...UNFINISHED });
        await delay(durationMs);
        bodies.close();
      },
    },
    overload: {
      inflict: async (_postgres, { index }, durationMs) => {
        const until = performance.now() + Math.min(durationMs, MAX_OVERLOAD_MS);
        const client = crowd[index];
        const ask = async (number: number): Promise<void> => {
          while (performance.now() < until) {
            const token = `kw_${number}_${Math.round(performance.now())}`;
            await client?.tokens.validateToken({ token }).catch(() => delay(5));
          }
        };
        await Promise.all(Array.from({ length: OVERLOAD_CALLS }, (_each, number) => ask(number)));
      },
    },
  };
}

/**
 * inflictEvery makes one fault of all kinds after the other, each at least an interval after the one before. The first
 * replica is never killed, so that it is known what one holds in the end that has lived through everything.
 */
export async function inflictEvery(
  intervalMs: number,
  until: number,
  plan: Omit<FaultPlan, 'fleet'>,
  options: SoakFaultOptions,
): Promise<void> {
  const { recorder, sites } = plan;
  const random = new Random(options.seed + 30_000);
  const all = { ...MEANS, ...soakMeans(options, random) };
  const every = [...FAULT_KINDS, ...TURN_KINDS, ...SOAK_KINDS];
  const kinds = every.filter((kind) => options.only.length === 0 || options.only.includes(kind));
  const nextKind = dealer(kinds, random);
  while (recorder.now() < until) {
    const kind = nextKind();
    const next = recorder.now() + intervalMs;
    const site = random.pick(kind === 'replica killed' ? sites.slice(1) : sites);
    const { isForAll, inflict: make } = all[kind];
    const replica = isForAll ? undefined : site.index;
    const durationMs = drawDuration(random);
    await inflict({ kind, replica }, () => make(plan.postgres, site, durationMs, plan.turns), plan).catch(
      (error: unknown) => options.onFailure(kind, error),
    );
    await delay(Math.max(0, next - recorder.now()));
  }
}

/** dealer gives all items in a random order, and then all of them in another. */
function dealer<T>(items: readonly T[], random: Random): () => T {
  let deck: T[] = [];
  const deal = (): T => {
    if (deck.length === 0) deck = shuffled(items, random);
    return deck.pop() ?? deal();
  };
  return deal;
}

/** changeSettings changes a setting of a database or role for a while; sessions have it from their start on. */
async function changeSettings(
  postgres: DurablePostgres,
  of: string,
  setting: string,
  durationMs: number,
): Promise<void> {
  await postgres.execute(`ALTER ${of} SET ${setting}`);
  try {
    await endPools(postgres);
    await delay(durationMs);
  } finally {
    await postgres.execute(`ALTER ${of} RESET ALL`);
    await endPools(postgres);
  }
}

/** setStandbys tells which standbys must have a change before COMMIT is answered; one that is not there never has. */
async function setStandbys(postgres: DurablePostgres, names: string): Promise<void> {
  await postgres.execute(`ALTER SYSTEM SET synchronous_standby_names TO '${names}'`);
  await postgres.execute('SELECT pg_reload_conf()');
}

function resume(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch {
    // It has ended.
  }
}

function endPools(postgres: DurablePostgres): Promise<unknown> {
  return postgres.execute(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pool-%'",
  );
}
