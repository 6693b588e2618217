import { performance } from 'node:perf_hooks';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { connect, createValidator, type KeywardClient, type Validator } from '@keyward/client';
import { plaintextOf } from './tokens.js';

/** The process of callers that judge tokens in their own memory. */
export type CallersCommand =
  /** Opens clients, each the caller of a token of its own, from token `first` on. */
  | { readonly open: { readonly port: number; readonly first: number; readonly count: number } }
  /** Has all, or some, of the clients hold tokens. */
  | { readonly hold: { readonly tokens: readonly number[]; readonly clients?: number } }
  /** Has the first client check tokens that it holds for a while, in a certain way. */
  | { readonly check: { readonly how: HowToCheck; readonly tokens: number; readonly seconds: number } };

export type HowToCheck = 'hashed' | 'bound' | 'RPC' | 'RPC, 16 at a time';

/** Checks is what checking took in this process. */
export interface Checks {
  readonly calls: number;
  /** Microseconds of one call: the median. */
  readonly p50: number;
  /** Microseconds of CPU, of the whole process. */
  readonly cpuMicros: number;
}

interface Caller {
  readonly client: KeywardClient;
  readonly validator: Validator;
}

/** Calls from memory that are timed together: to read the clock takes about as long as one. */
const TOGETHER = 100;
const AT_A_TIME = 16;
/** A client asks for so many at a time while it fills its memory. */
const ASKED_AT_ONCE = 100;
const HOLD_LIMIT_MS = 60_000;
/** How often a client looks whether it has a lease, before it asks for what it is to hold. */
const LOOK_EVERY_MS = 20;
/** In turn other work of the process goes on, such as renewals. */
const TURN_MS = 10;

const callers: Caller[] = [];

process.on('message', (command: CallersCommand) => {
  void handle(command).then((answer) => process.send?.(answer));
});
process.on('disconnect', () => process.exit());

async function handle(command: CallersCommand): Promise<object> {
  if ('open' in command) return open(command.open);
  if ('hold' in command) return hold(command.hold.tokens, command.hold.clients ?? callers.length);
  return check(command.check);
}

function open({ port, first, count }: { port: number; first: number; count: number }): object {
  for (let number = first; number < first + count; number += 1) {
    const client = connect({ servers: `127.0.0.1:${port}`, token: plaintextOf(number), timeoutMs: 60_000 });
    callers.push({ client, validator: createValidator(client, { label: 'bench' }) });
  }
  return {};
}

/** hold has clients ask until they hold all. */
async function hold(tokens: readonly number[], clients: number): Promise<object> {
  await Promise.all(
    callers.slice(0, clients).map(async ({ validator }) => {
      const missing = new Set(tokens.map(plaintextOf));
      const until = performance.now() + HOLD_LIMIT_MS;
      while (missing.size > 0) {
        if (performance.now() > until) throw new Error(`a client does not hold ${missing.size} tokens`);
        if (!validator.isLeased) {
          await delay(LOOK_EVERY_MS);
          continue;
        }
        await Promise.all([...missing].slice(0, ASKED_AT_ONCE).map((text) => validator.validate(text)));
        for (const text of missing) if (validator.validateCached(text)?.valid === true) missing.delete(text);
      }
    }),
  );
  return {};
}

async function check({
  how,
  tokens,
  seconds,
}: {
  how: HowToCheck;
  tokens: number;
  seconds: number;
}): Promise<Checks> {
  const [caller] = callers;
  if (caller === undefined) throw new Error('check before open');
  const { client, validator } = caller;
  const texts = Array.from({ length: tokens }, (_, token) => plaintextOf(token));
  const before = process.cpuUsage();
  const micros = await (() => {
    switch (how) {
      case 'hashed':
        return locally(texts, (text) => validator.validateCached(text)?.valid === true, seconds);
      case 'bound': {
        const bound = texts.map((text) => validator.bind(text));
        return locally(bound, (each) => each.validateCached()?.valid === true, seconds);
      }
      case 'RPC':
        return byCalls(client, texts, 1, seconds);
      case 'RPC, 16 at a time':
        return byCalls(client, texts, AT_A_TIME, seconds);
    }
  })();
  const { user, system } = process.cpuUsage(before);
  const sorted = Float64Array.from(micros.times).sort();
  return {
    calls: micros.calls,
    p50: sorted[sorted.length >> 1] ?? NaN,
    cpuMicros: (user + system) / micros.calls,
  };
}

interface Timed {
  readonly calls: number;
  /** Microseconds of a call, each the mean of those that were timed together. */
  readonly times: readonly number[];
}

/** locally checks one after the other, in turn. All must be held. */
async function locally<Asked>(
  asked: readonly Asked[],
  passes: (asked: Asked) => boolean,
  seconds: number,
): Promise<Timed> {
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  let next = 0;
  while (performance.now() < until) {
    const turnEnds = performance.now() + TURN_MS;
    while (performance.now() < turnEnds) {
      const startedAt = performance.now();
      for (let call = 0; call < TOGETHER; call += 1) {
        const each = asked[next];
        next = (next + 1) % asked.length;
        if (each === undefined || !passes(each)) throw new Error('a token that is held does not pass');
      }
      times.push(((performance.now() - startedAt) * 1000) / TOGETHER);
    }
    await turn();
  }
  return { calls: times.length * TOGETHER, times };
}

async function byCalls(
  { tokens }: KeywardClient,
  texts: readonly string[],
  atATime: number,
  seconds: number,
): Promise<Timed> {
  const times: number[] = [];
  const until = performance.now() + seconds * 1000;
  let next = 0;
  const loop = async () => {
    while (performance.now() < until) {
      const token = texts[next] ?? '';
      next = (next + 1) % texts.length;
      const startedAt = performance.now();
      const { valid } = await tokens.validateToken({ token });
      if (!valid) throw new Error('a token does not pass');
      times.push((performance.now() - startedAt) * 1000);
    }
  };
  await Promise.all(Array.from({ length: atATime }, loop));
  return { calls: times.length, times };
}
