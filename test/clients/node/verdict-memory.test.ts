import { beforeEach, describe, expect, test } from 'vitest';
import {
  HoldFact,
  HoldGrant,
  HoldInvalidation,
  HoldOpened,
} from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import { VerdictMemory, type Answer } from '../../../clients/node/src/memory/verdict-memory.js';

const LEASE_MS = 3_000;
const EPOCH = '8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1';
const OWNER = { userId: 7n, userProfileId: 8n, accountId: 9n, username: 'someone', accountNumber: '1' };
const OTHER_OWNER = { ...OWNER, userId: 17n, userProfileId: 18n, accountId: 19n };

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

let clocks: Clocks;
let memory: VerdictMemory;
let stream: number;

beforeEach(() => {
  clocks = new Clocks();
  memory = new VerdictMemory({ clocks, maxEntries: 3, maxSecrets: 2 });
  stream = open();
  renew(stream);
});

function open(resumed = true): number {
  const opened = memory.openStream().stream;
  memory.opened(HoldOpened.fromPartial({ resumed, maxEntries: 100, maxSecrets: 10 }));
  return opened;
}

function renew(on: number, revision = 1n, lease: number | undefined = LEASE_MS): boolean {
  const { number } = memory.renewal(on);
  return memory.grant(on, HoldGrant.fromPartial({ number, lease, position: { epoch: EPOCH, revision } }));
}

function handleOf(key: string): bigint {
  return BigInt(key.charCodeAt(0));
}

type Given = Parameters<typeof HoldFact.fromPartial>[0];

function fact(id: bigint, key: string, fields: Given = {}): HoldFact {
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
function ask(key: string, on = stream): { id: bigint; answers: (Answer | undefined)[] } {
  const answers: (Answer | undefined)[] = [];
  const sent = memory.lookUp(
    on,
    key,
    () => Buffer.alloc(64),
    (answer) => answers.push(answer),
  );
  return { id: sent?.id ?? 0n, answers };
}

function learn(key: string, fields: Given = {}, on = stream): (Answer | undefined)[] {
  const { id, answers } = ask(key, on);
  memory.facts(on, { facts: [fact(id, key, fields)] });
  return answers;
}

function reasonOf(key: string, scopes: readonly string[] = []): string | undefined {
  return memory.judge(key, scopes)?.reason;
}

function reasonIn([answer]: readonly (Answer | undefined)[], scopes: readonly string[] = []): string {
  if (answer === undefined || !('judge' in answer)) throw new Error('no verdict');
  return answer.judge(scopes).reason;
}

function invalidate(fields: Parameters<typeof HoldInvalidation.fromPartial>[0], on = stream): bigint {
  return memory.invalidate(on, HoldInvalidation.fromPartial({ number: 5n, ...fields })).acknowledgement
    .number;
}

describe('what is held', () => {
  test('answers under the lease, in the order of the protocol', () => {
    learn('a');
    expect(memory.judge('a', ['orders:read'])).toMatchObject({
      valid: true,
      reason: 'OK',
      keyId: 'id of a',
      name: 'a',
      principal: OWNER,
      scopes: ['orders:*'],
      stale: false,
    });
    expect(memory.judge('a', ['orders:read', 'users:read'])).toMatchObject({
      valid: false,
      reason: 'INSUFFICIENT_SCOPE',
      principal: undefined,
      scopes: [],
    });
    for (const [fields, reason] of [
      [{ userIsActive: false, isActive: false, accountIsActive: false }, 'OWNER_INACTIVE'],
      [{ isActive: false, accountIsActive: false }, 'INACTIVE'],
      [{ accountIsActive: false }, 'ACCOUNT_INACTIVE'],
    ] as const) {
      learn('a', fields);
      expect(reasonOf('a', ['nothing'])).toBe(reason);
    }
    expect(reasonOf('unheard')).toBeUndefined();
  });

  test.each([
    ['*', 'x', 'OK'],
    ['orders:read', 'orders:read', 'OK'],
    ['orders:*', 'orders:', 'OK'],
    ['orders:*', 'orders', 'INSUFFICIENT_SCOPE'],
    ['orders/*', 'orders/a/b', 'OK'],
    ['orders*', 'orders2', 'INSUFFICIENT_SCOPE'],
    ['orders*', 'orders*', 'OK'],
  ])('of a token with %s passes for %s: %s', (granted, required, reason) => {
    learn('a', { scopes: [granted] });
    expect(reasonOf('a', [required])).toBe(reason);
  });

  test('is forgotten when its time is over by either clock, counted from before it was asked for', () => {
    for (const clock of ['monotonic', 'wall'] as const) {
      const { id } = ask('a');
      clocks.pass(100);
      memory.facts(stream, { facts: [fact(id, 'a', { expiresIn: 500 })] });
      expect(reasonOf('a')).toBe('OK');
      clocks[clock] += 400;
      expect(reasonOf('a')).toBeUndefined();
      clocks[clock] -= 400;
      expect(reasonOf('a')).toBeUndefined();
    }
    expect(memory.renewal(stream).released).toEqual([handleOf('a')]);
    expect(reasonIn(learn('b', { expiresIn: -1 }))).toBe('EXPIRED');
    expect(reasonOf('b')).toBeUndefined();
  });

  test('is not what may not be kept, is not known, or is stale', () => {
    expect(reasonIn(learn('a', { keep: false }))).toBe('OK');
    expect(reasonIn(learn('b', { known: false, principal: undefined }))).toBe('UNKNOWN');
    expect(reasonIn(learn('c', { stale: true }))).toBe('OK');
    expect(memory.size).toBe(0);
    const { id, answers } = ask('d');
    memory.facts(stream, {
      facts: [HoldFact.fromPartial({ id, error: { code: 14, message: 'no database' } })],
    });
    expect(answers).toEqual([{ error: expect.objectContaining({ code: 14 }) as object }]);
  });

  test('makes room for others: what was not used goes first, and its handle with it', () => {
    for (const key of ['a', 'b', 'c']) learn(key);
    expect(reasonOf('a')).toBe('OK');
    learn('d');
    expect(['a', 'b', 'c', 'd'].map((key) => reasonOf(key))).toEqual(['OK', undefined, 'OK', 'OK']);
    expect(memory.renewal(stream).released).toEqual([handleOf('b')]);
    expect(memory.renewal(stream).released).toEqual([]);
  });

  test('is not released while it is asked for again', () => {
    for (const key of ['a', 'b', 'c', 'd']) learn(key);
    const { id } = ask('a');
    expect(memory.renewal(stream).released).toEqual([]);
    memory.facts(stream, { facts: [fact(id, 'a')] });
    expect(reasonOf('a')).toBe('OK');
  });

  test('is not released while it is asked for once more, though the answer before was held', () => {
    const first = ask('a');
    invalidate({ handles: [handleOf('z')] });
    const second = ask('a');
    memory.facts(stream, { facts: [fact(first.id, 'a')] });
    for (const key of ['b', 'c', 'd']) learn(key);
    expect(reasonOf('a')).toBeUndefined();
    expect(memory.renewal(stream).released).toEqual([]);
    memory.facts(stream, { facts: [fact(second.id, 'a')] });
    expect(reasonOf('a')).toBe('OK');
  });
});

describe('a lease', () => {
  test('counts from before it was asked for, by either clock', () => {
    for (const clock of ['monotonic', 'wall'] as const) {
      learn('a');
      const { number } = memory.renewal(stream);
      clocks.pass(1_000);
      memory.grant(stream, HoldGrant.fromPartial({ number, lease: LEASE_MS }));
      clocks[clock] += LEASE_MS - 1_001;
      expect(reasonOf('a'), clock).toBe('OK');
      clocks[clock] += 1;
      expect(reasonOf('a'), clock).toBeUndefined();
      clocks.pass(LEASE_MS);
      renew(stream);
    }
  });

  test('that is refused leaves the one before to its own end', () => {
    learn('a');
    clocks.pass(LEASE_MS / 2);
    expect(renew(stream, 1n, undefined)).toBe(false);
    expect(reasonOf('a')).toBe('OK');
    clocks.pass(LEASE_MS / 2);
    expect(reasonOf('a')).toBeUndefined();
    expect(memory.size).toBe(1);
    renew(stream);
    expect(reasonOf('a')).toBe('OK');
  });

  test('that nobody asked for is none', () => {
    learn('a');
    clocks.pass(LEASE_MS);
    const grant = { number: 99n, lease: LEASE_MS };
    expect(memory.grant(stream, HoldGrant.fromPartial(grant))).toBe(false);
    expect(reasonOf('a')).toBeUndefined();
  });
});

describe('an invalidation', () => {
  test.each([
    ['everything', { everything: true }, ['gone', 'gone']],
    ['a handle', { handles: [handleOf('a')] }, ['gone', 'OK']],
    ['a profile', { userProfileIds: [OWNER.userProfileId] }, ['gone', 'OK']],
    ['a user', { userIds: [OTHER_OWNER.userId] }, ['OK', 'gone']],
    ['an account', { accountIds: [OTHER_OWNER.accountId] }, ['OK', 'gone']],
    ['secrets', { allSecrets: true }, ['OK', 'OK']],
  ] as const)('of %s forgets that and nothing else, and is acknowledged', (_, fields, left) => {
    learn('a');
    learn('b', { principal: OTHER_OWNER });
    expect(invalidate({ ...fields } as { everything: boolean })).toBe(5n);
    expect(['a', 'b'].map((key) => reasonOf(key) ?? 'gone')).toEqual(left);
    // The replica has forgotten it too.
    expect(memory.renewal(stream).released).toEqual([]);
  });

  test('reaches those who remember an entry', () => {
    learn('a');
    const entry = memory.entryOf('a');
    if (entry === undefined) throw new Error('nothing is held');
    expect(memory.judgeEntry(entry, [])?.valid).toBe(true);
    invalidate({ handles: [handleOf('a')] });
    expect(memory.judgeEntry(entry, [])).toBeUndefined();
  });

  test.each([
    ['of its handle', { handles: [handleOf('a')] }, undefined],
    ['of another handle', { handles: [handleOf('b')] }, 'OK'],
    ['of any owner', { userIds: [4n] }, undefined],
    ['of everything', { everything: true }, undefined],
  ] as const)('%s while a text is looked up: what comes answers, and is not kept', (_, fields, held) => {
    const { id, answers } = ask('a');
    invalidate({ ...fields } as { everything: boolean });
    memory.facts(stream, { facts: [fact(id, 'a')] });
    expect(reasonIn(answers)).toBe('OK');
    expect(reasonOf('a')).toBe(held);
  });

  test('parts those who asked before it from those who ask after it', () => {
    const first = ask('a');
    const same = ask('a');
    expect(same.id).toBe(0n);
    invalidate({ handles: [handleOf('a')] });
    const later = ask('a');
    expect(later.id).not.toBe(0n);
    memory.facts(stream, { facts: [fact(first.id, 'a')] });
    expect([first, same, later].map(({ answers }) => answers.length)).toEqual([1, 1, 0]);
    memory.facts(stream, { facts: [fact(later.id, 'a', { isActive: false })] });
    expect(reasonIn(later.answers)).toBe('INACTIVE');
    expect(reasonOf('a')).toBe('INACTIVE');
  });

  test('is not missed behind very many others', () => {
    const { id } = ask('a');
    invalidate({ handles: [handleOf('a')] });
    for (let count = 0; count < 500; count += 1) invalidate({ handles: [handleOf('b')] });
    memory.facts(stream, { facts: [fact(id, 'a')] });
    expect(reasonOf('a')).toBeUndefined();
  });
});

describe('another stream', () => {
  test('is told what is held, by owner, and up to where that is right', () => {
    learn('a');
    learn('b');
    learn('c', { principal: OTHER_OWNER });
    renew(stream, 7n);
    memory.streamEnded(stream);
    const ids = ({ userId, userProfileId, accountId }: typeof OWNER) => ({
      userId,
      userProfileId,
      accountId,
    });
    expect(memory.openStream().open).toEqual({
      position: { epoch: EPOCH, revision: 7n },
      tokens: [
        { ...ids(OWNER), handles: [handleOf('a'), handleOf('b')] },
        { ...ids(OTHER_OWNER), handles: [handleOf('c')] },
      ],
      secretIds: [],
    });
  });

  test('goes on from the last invalidation', () => {
    learn('a');
    invalidate({ handles: [handleOf('b')], position: { epoch: EPOCH, revision: 9n } });
    expect(memory.openStream().open.position).toEqual({ epoch: EPOCH, revision: 9n });
  });

  test('finds nothing held where nothing was ever granted', () => {
    memory = new VerdictMemory({ clocks });
    const first = open();
    learn('a', {}, first);
    memory.streamEnded(first);
    expect(memory.openStream().open).toEqual({ position: undefined, tokens: [], secretIds: [] });
    expect(memory.size).toBe(0);
  });

  test('leaves the lease before to its own end, for what was learned under it', () => {
    learn('a');
    memory.streamEnded(stream);
    const next = open();
    expect(reasonOf('a')).toBe('OK');
    learn('b', {}, next);
    // The replica that granted the lease knows nothing of it.
    expect(reasonOf('b')).toBeUndefined();
    renew(next);
    expect(['a', 'b'].map((key) => reasonOf(key))).toEqual(['OK', 'OK']);
    expect(renew(next)).toBe(true);
  });

  test('keeps nothing of a stream that grants nothing before it ends', () => {
    learn('a');
    memory.streamEnded(stream);
    const second = open();
    learn('b', {}, second);
    memory.streamEnded(second);
    const third = memory.openStream();
    expect(third.open.tokens.flatMap(({ handles }) => handles)).toEqual([handleOf('a')]);
  });

  test('takes what was asked for on the one before it, and does not keep it', () => {
    const { id, answers } = ask('a');
    const next = open();
    memory.facts(stream, { facts: [fact(id, 'a')] });
    expect(reasonIn(answers)).toBe('OK');
    renew(next);
    expect(reasonOf('a')).toBeUndefined();
  });

  test('that has granted makes grants of the one before it count for nothing', () => {
    learn('a');
    const next = open();
    renew(next);
    clocks.pass(LEASE_MS - 1);
    expect(renew(stream)).toBe(false);
    clocks.pass(1);
    expect(reasonOf('a')).toBeUndefined();
  });

  test('that does not resume finds everything forgotten', () => {
    learn('a');
    memory.streamEnded(stream);
    const next = open(false);
    renew(next);
    expect(reasonOf('a')).toBeUndefined();
    expect(memory.size).toBe(0);
  });

  test('leaves those who asked on the one that ended without an answer', () => {
    const { answers } = ask('a');
    memory.streamEnded(stream);
    expect(answers).toEqual([undefined]);
  });
});

describe('uses', () => {
  test('are told once, by key, with the time of the last', () => {
    learn('a');
    learn('b', { keyId: 'id of a' });
    learn('c', { isActive: false });
    reasonOf('a');
    clocks.pass(300);
    reasonOf('a');
    reasonOf('b');
    reasonOf('c');
    clocks.pass(200);
    expect(memory.renewal(stream).uses).toEqual([{ keyId: 'id of a', count: 3, lastUsedAgo: 200 }]);
    expect(memory.renewal(stream).uses).toEqual([]);
    reasonOf('b');
    expect(memory.renewal(stream).uses).toEqual([{ keyId: 'id of a', count: 1, lastUsedAgo: 0 }]);
  });

  test('of more keys than a renewal takes are told with the next', () => {
    memory = new VerdictMemory({ clocks });
    stream = memory.openStream().stream;
    memory.opened(HoldOpened.fromPartial({ resumed: true, maxEntries: 10_000 }));
    renew(stream);
    for (let count = 0; count < 1_500; count += 1) {
      const { id } = ask(String(count));
      memory.facts(stream, { facts: [fact(id, 'x', { handle: BigInt(count), keyId: String(count) })] });
      reasonOf(String(count));
    }
    expect(memory.renewal(stream).uses).toHaveLength(1_000);
    expect(memory.renewal(stream).uses).toHaveLength(500);
  });
});

describe('values of secrets', () => {
  function access(key: string, text: string, keep = true): { value?: { bytes: Buffer } } {
    const answers: unknown[] = [];
    const request = { secret: { id: 3n }, version: 0, includeExpired: false, skipAccessTime: false };
    const sent = memory.secrets.access(stream, key, request, (answer) => answers.push(answer));
    memory.secrets.accessed(stream, {
      id: sent?.id ?? 0n,
      access: { secretId: handleOf(key), version: 1, payload: { text } },
      keep,
    });
    return answers[0] as { value?: { bytes: Buffer } };
  }

  function textOf(key: string): string | undefined {
    return memory.secrets.get(key)?.bytes.toString();
  }

  test('are held under the lease, and overwritten when they are forgotten', () => {
    const given = access('a', 'first');
    const held = memory.secrets.get('a');
    expect(held?.bytes.toString()).toBe('first');
    const { forgottenSecrets } = memory.invalidate(
      stream,
      HoldInvalidation.fromPartial({ number: 1n, secretIds: [handleOf('a')] }),
    );
    expect(forgottenSecrets).toEqual(['a']);
    expect(memory.secrets.get('a')).toBeUndefined();
    expect(held?.bytes).toEqual(Buffer.alloc(5));
    expect(given.value?.bytes.toString()).toBe('first');
    access('a', 'second');
    clocks.pass(LEASE_MS);
    expect(textOf('a')).toBeUndefined();
  });

  test('are bounded, counted and named to other replicas', () => {
    for (const key of ['a', 'b', 'c']) access(key, key);
    expect(['a', 'b', 'c'].map(textOf)).toEqual([undefined, 'b', 'c']);
    expect(memory.renewal(stream).secretUses.map(({ secretId, count }) => [secretId, count])).toEqual([
      [handleOf('b'), 1],
      [handleOf('c'), 1],
    ]);
    expect(memory.openStream().open.secretIds).toEqual([handleOf('b'), handleOf('c')]);
  });

  test('are not held where none was asked for, or the replica says so', () => {
    access('a', 'x', false);
    expect(textOf('a')).toBeUndefined();
    memory = new VerdictMemory({ clocks });
    stream = open();
    renew(stream);
    access('a', 'x');
    expect(textOf('a')).toBeUndefined();
  });
});
