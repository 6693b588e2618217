import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '@keyward/client';
import type { CallersCommand, Checks, HowToCheck } from './callers-main.js';
import type { Extent } from './hot-path.js';
import { cpuTimes, memoryOf, startKeyward, stop, type ServerProcess } from './processes.js';
import { median } from './report.js';
import { KEY } from './secrets.js';
import { FIRST_ID, plaintextOf, PROFILES } from './tokens.js';

const MAIN = fileURLToPath(new URL('callers-main.ts', import.meta.url));
const WAYS: readonly HowToCheck[] = ['hashed', 'bound', 'RPC', 'RPC, 16 at a time'];
/** Tokens that one client checks in turn. */
const CHECKED = 1_000;
/** The many clients of one replica, in a few processes. */
const PROCESSES = 5;
const FULL = { clients: 500, revocations: 100, stopped: 5, idleSeconds: 20 };
const SMOKE = { clients: 20, revocations: 3, stopped: 1, idleSeconds: 1 };
/** The tokens that are switched off are of this and later numbers, so that none is a caller's. */
const FIRST_REVOKED = 10_000;
const FEW = 3;
/** Tokens that each client holds. */
export const HELD = 100;

/** CallersMemory is what it costs that callers judge in their own memory. */
export interface CallersMemory {
  /** Of one client: the medians of the rounds, in microseconds. */
  readonly checks: Readonly<Record<HowToCheck, LocalCheck>>;
  readonly clients: ManyClients;
}

interface LocalCheck {
  readonly p50: number;
  readonly clientCpu: number;
  readonly serverCpu: number;
}

interface ManyClients {
  readonly count: number;
  /** Shares of a core that the replica used, without clients and with all of them doing nothing. */
  readonly busyBefore: number;
  readonly busy: number;
  /** Of all clients together. */
  readonly clientsBusy: number;
  /** Memory of the replica for each of them, in bytes. */
  readonly heapBytes: number;
  readonly residentBytes: number;
  /** Tokens that are switched off, by who held them. */
  readonly nobodyHolds: SwitchedOff;
  readonly allHold: SwitchedOff;
  readonly fewHold: SwitchedOff;
  readonly oneIsStopped: SwitchedOff;
}

/** SwitchedOff is what the calls took that switched tokens off. */
export interface SwitchedOff {
  /** How long each took, in milliseconds. */
  readonly times: readonly number[];
  /** CPU of one call, in milliseconds: of the replica, and of all clients together. */
  readonly serverCpu: number;
  readonly clientsCpu: number;
}

/** measureCallersMemory measures one client, and then very many of one replica. */
export async function measureCallersMemory(
  databaseUrl: string,
  extent: Extent,
  isSmoke: boolean,
): Promise<CallersMemory> {
  const settings = {
    DATABASE_URL: databaseUrl,
    KEYWARD_FERNET_KEYS: KEY,
    KEYWARD_CACHE_TTL_SECONDS: '86400',
  };
  const server = await startKeyward(settings, { probe: true });
  try {
    const checks = await measureChecks(server, extent);
    return { checks, clients: await measureClients(server, isSmoke ? SMOKE : FULL) };
  } finally {
    await stop(server);
  }
}

async function measureChecks(
  server: ServerProcess,
  { rounds, seconds, warmUpSeconds }: Extent,
): Promise<CallersMemory['checks']> {
  const caller = await Callers.open(server, 0, 1);
  try {
    await caller.hold(Array.from({ length: CHECKED }, (_, token) => token));
    const checked = async (how: HowToCheck, forSeconds: number): Promise<LocalCheck> => {
      const before = cpuTimes(server.process);
      const { calls, p50, cpuMicros } = await caller.ask<Checks>({
        check: { how, tokens: CHECKED, seconds: forSeconds },
      });
      const serverCpu = ((cpuTimes(server.process).busy - before.busy) * 1e6) / calls;
      return { p50, clientCpu: cpuMicros, serverCpu };
    };
    for (const how of WAYS) await checked(how, warmUpSeconds);
    const taken = new Map<HowToCheck, LocalCheck[]>(WAYS.map((how) => [how, []]));
    for (let round = 0; round < rounds; round += 1)
      for (const how of WAYS) taken.get(how)?.push(await checked(how, seconds));
    return Object.fromEntries(
      [...taken].map(([how, samples]) => [how, mediansOf(samples)]),
    ) as CallersMemory['checks'];
  } finally {
    caller.close();
  }
}

async function measureClients(server: ServerProcess, extent: typeof FULL): Promise<ManyClients> {
  const { clients: count, revocations, stopped, idleSeconds } = extent;
  const callers: Callers[] = [];
  try {
    const before = await memoryOf(server.process);
    const busyBefore = await busyOf([server], idleSeconds);
    const each = count / PROCESSES;
    for (let at = 0; at < PROCESSES; at += 1) callers.push(await Callers.open(server, at * each, each));
    for (const caller of callers) await caller.hold(Array.from({ length: HELD }, (_, token) => token));
    const after = await memoryOf(server.process);
    const busy = await busyOf([server], idleSeconds);
    const clientsBusy = await busyOf(callers, idleSeconds);
    const hold = (holders: readonly Callers[], clients: number) => async (token: number) => {
      for (const holder of holders) await holder.hold([token], clients);
    };
    const switchOff = (owner: number, times: number, prepare: (token: number) => Promise<void>) =>
      measureSwitchingOff(server, callers, tokensOf(owner, times), prepare);
    return {
      count,
      busyBefore,
      busy,
      clientsBusy,
      heapBytes: (after.heapUsed - before.heapUsed) / count,
      residentBytes: (after.rss - before.rss) / count,
      nobodyHolds: await switchOff(0, revocations, () => Promise.resolve()),
      allHold: await switchOff(1, revocations, hold(callers.slice(), each)),
      fewHold: await switchOff(2, revocations, hold(callers.slice(0, FEW), 1)),
      oneIsStopped: await switchOff(3, stopped, async (token) => {
        // Another one each time: who is slow too often loses the right to hold anything for a while.
        const alone = await Callers.open(server, count, 1);
        callers.push(alone);
        await hold([alone, ...callers.slice(0, FEW - 1)], 1)(token);
        alone.process.kill('SIGSTOP');
      }),
    };
  } finally {
    for (const caller of callers) caller.close();
  }
}

/** tokensOf are tokens of one owner, of whom token `owner` is too. */
function tokensOf(owner: number, count: number): number[] {
  return Array.from({ length: count }, (_, at) => FIRST_REVOKED + at * PROFILES + owner);
}

/** measureSwitchingOff switches tokens of one owner off, each after `prepare`, and then on again. */
async function measureSwitchingOff(
  server: ServerProcess,
  callers: readonly Callers[],
  tokens: readonly number[],
  prepare: (token: number) => Promise<void>,
): Promise<SwitchedOff> {
  const owner = connect({
    servers: `127.0.0.1:${server.port}`,
    token: plaintextOf((tokens[0] ?? 0) % PROFILES),
  });
  const times: number[] = [];
  let [serverCpu, clientsCpu] = [0, 0];
  try {
    for (const token of tokens) {
      await prepare(token);
      const request = { selector: { id: BigInt(FIRST_ID + token) } };
      const before = [busySeconds([server]), busySeconds(callers)] as const;
      const startedAt = performance.now();
      const { propagation } = await owner.tokens.deactivateToken(request);
      times.push(performance.now() - startedAt);
      serverCpu += ((busySeconds([server]) - before[0]) * 1000) / tokens.length;
      clientsCpu += ((busySeconds(callers) - before[1]) * 1000) / tokens.length;
      if (propagation?.complete !== true) throw new Error(`token ${token} may still pass somewhere`);
      // Whoever measures next takes it for a good one.
      await owner.tokens.activateToken(request);
    }
  } finally {
    owner.close();
  }
  return { times, serverCpu, clientsCpu };
}

type Processes = readonly { readonly process: ChildProcess }[];

/** busyOf is what share of a core some processes use. */
async function busyOf(processes: Processes, seconds: number): Promise<number> {
  const [before, startedAt] = [busySeconds(processes), performance.now()];
  await delay(seconds * 1000);
  return ((busySeconds(processes) - before) * 1000) / (performance.now() - startedAt);
}

/** busySeconds is the CPU that they have used so far. */
function busySeconds(processes: Processes): number {
  return processes.reduce((total, { process: child }) => total + cpuTimes(child).busy, 0);
}

/** Callers is a process of clients. */
class Callers {
  readonly process: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess) {
    this.process = child;
    this.#ended = once(child, 'exit').then(() => Promise.reject(new Error('the process of callers ended')));
    this.#ended.catch(() => undefined);
  }

  static async open({ port }: ServerProcess, first: number, count: number): Promise<Callers> {
    const callers = new Callers(fork(MAIN, { execArgv: ['--import', 'tsx'], serialization: 'advanced' }));
    await callers.ask({ open: { port, first, count } });
    return callers;
  }

  /** hold has all, or some, of its clients hold tokens. */
  async hold(tokens: readonly number[], clients?: number): Promise<void> {
    await this.ask({ hold: { tokens, ...(clients !== undefined && { clients }) } });
  }

  async ask<Answer>(command: CallersCommand): Promise<Answer> {
    const answered = Promise.race([once(this.process, 'message'), this.#ended]);
    this.process.send(command);
    const [answer] = (await answered) as [Answer];
    return answer;
  }

  close(): void {
    this.process.kill('SIGKILL');
  }
}

function mediansOf(samples: readonly LocalCheck[]): LocalCheck {
  const of = (value: (sample: LocalCheck) => number): number => median(samples.map(value));
  return {
    p50: of(({ p50 }) => p50),
    clientCpu: of(({ clientCpu }) => clientCpu),
    serverCpu: of(({ serverCpu }) => serverCpu),
  };
}
