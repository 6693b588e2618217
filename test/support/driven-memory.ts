import {
  HoldFact,
  HoldGrant,
  HoldInvalidation,
  HoldOpened,
} from '../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import {
  VerdictMemory,
  type Answer,
  type VerdictMemoryOptions,
} from '../../clients/node/src/memory/verdict-memory.js';

export const LEASE_MS = 3_000;
export const EPOCH = '8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1';
/** OWNER is whose tokens are that nothing else is said of. */
export const OWNER = {
  userId: 7n,
  userProfileId: 8n,
  accountId: 9n,
  username: 'someone',
  accountNumber: '1',
};
export const OTHER_OWNER = { ...OWNER, userId: 17n, userProfileId: 18n, accountId: 19n };

class Clocks {
  monotonic = 1_000;
  wall = 1_700_000_000_000;
  monotonicMs(): number {
    return this.monotonic;
  }
  wallMs(): number {
    return this.wall;
  }
  pass(ms: number): void {
    this.monotonic += ms;
    this.wall += ms;
  }
}

/** The clocks, the memory and the stream of the test. */
export let clocks = new Clocks();
export let memory = new VerdictMemory({ clocks });
export let stream = 0;

/** begin starts over, with a memory that has no stream. */
export function begin(options: Omit<VerdictMemoryOptions, 'clocks'> = {}): void {
  clocks = new Clocks();
  memory = new VerdictMemory({ clocks, ...options });
}

/** beginLeased starts over, with a small memory that holds a lease. */
export function beginLeased(): void {
  begin({ maxEntries: 3, maxSecrets: 2 });
  renew(open());
}

/** open opens a stream, which is that of the test from then on. */
export function open(resumed = true, maxEntries = 100): number {
  ({ stream } = memory.openStream());
  memory.opened(HoldOpened.fromPartial({ resumed, maxEntries, maxSecrets: 10 }));
  return stream;
}

/** renew asks for a lease, and grants it. */
export function renew(on: number, revision = 1n, lease: number | 'none' = LEASE_MS): boolean {
  const { number } = memory.renewal(on);
  return memory.grant(
    on,
    HoldGrant.fromPartial({
      number,
      ...(lease === 'none' ? {} : { lease }),
      position: { epoch: EPOCH, revision },
    }),
  );
}

export function handleOf(key: string): bigint {
  return BigInt(key.charCodeAt(0));
}

type Given = Parameters<typeof HoldFact.fromPartial>[0];

export function fact(id: bigint, key: string, fields: Given = {}): HoldFact {
  return HoldFact.fromPartial({
    id,
    keep: true,
    known: true,
    handle: handleOf(key),
    keyId: `id of ${key}`,
    name: key,
    principal: OWNER,
    scopes: ['orders:*'],
    isActive: true,
    userIsActive: true,
    accountIsActive: true,
    ...fields,
  });
}

/** ask begins to look a text up, and gives what is sent and where the answer will be. */
export function ask(key: string, on = stream): { id: bigint; answers: (Answer | undefined)[] } {
  const answers: (Answer | undefined)[] = [];
  const sent = memory.lookUp(
    on,
    key,
    () => Buffer.alloc(64),
    (answer) => answers.push(answer),
  );
  return { id: sent?.id ?? 0n, answers };
}

/** learn looks a text up, and is told of it at once. */
export function learn(key: string, fields: Given = {}, on = stream): (Answer | undefined)[] {
  const { id, answers } = ask(key, on);
  memory.facts(on, { facts: [fact(id, key, fields)] });
  return answers;
}

export function reasonOf(key: string, scopes: readonly string[] = []): string | undefined {
  return memory.judge(key, scopes)?.reason;
}

export function reasonIn([answer]: readonly (Answer | undefined)[], scopes: readonly string[] = []): string {
  if (answer === undefined || !('judge' in answer)) throw new Error('no verdict');
  return answer.judge(scopes).reason;
}

export function invalidate(fields: Parameters<typeof HoldInvalidation.fromPartial>[0], on = stream): bigint {
  return memory.invalidate(on, HoldInvalidation.fromPartial({ number: 5n, ...fields })).acknowledgement
    .number;
}
