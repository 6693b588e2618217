import { beforeEach, describe, expect, test } from 'vitest';
import { HoldFact, HoldGrant } from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import {
  ask,
  beginLeased,
  clocks,
  fact,
  handleOf,
  invalidate,
  learn,
  LEASE_MS,
  memory,
  OTHER_OWNER,
  OWNER,
  reasonIn,
  reasonOf,
  renew,
  stream,
} from '../../support/driven-memory.js';

beforeEach(() => beginLeased());

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
    expect(renew(stream, 1n, 'none')).toBe(false);
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

  test('is not missed behind very many others', () => {
    const { id } = ask('a');
    invalidate({ handles: [handleOf('a')] });
    for (let count = 0; count < 500; count += 1) invalidate({ handles: [handleOf('b')] });
    memory.facts(stream, { facts: [fact(id, 'a')] });
    expect(reasonOf('a')).toBeUndefined();
  });
});

describe('a look-up answers who asked before it was sent', () => {
  test('and those who asked since are answered from memory if it is kept', () => {
    const first = ask('a');
    const later = ask('a');
    expect(later.id).toBe(0n);
    expect(memory.facts(stream, { facts: [fact(first.id, 'a')] })).toEqual([]);
    expect([first, later].map(({ answers }) => reasonIn(answers))).toEqual(['OK', 'OK']);
  });

  test.each([
    ['is not kept', { known: false, principal: undefined }, 'UNKNOWN'],
    ['is overtaken', {}, 'OK'],
  ] as const)('and those who asked since by another one if it %s', (what, fields, reason) => {
    const first = ask('a');
    if (what === 'is overtaken') invalidate({ handles: [handleOf('a')] });
    const later = [ask('a'), ask('a')];
    const [again] = memory.facts(stream, { facts: [fact(first.id, 'a', { ...fields })] });
    expect(reasonIn(first.answers)).toBe(reason);
    expect(later.map(({ answers }) => answers.length)).toEqual([0, 0]);
    memory.facts(stream, { facts: [fact(again?.id ?? 0n, 'a', { isActive: false })] });
    expect(later.map(({ answers }) => reasonIn(answers))).toEqual(['INACTIVE', 'INACTIVE']);
    expect(reasonOf('a')).toBe('INACTIVE');
  });

  test('and none of them if the stream ends', () => {
    const both = [ask('a'), ask('a')];
    memory.streamEnded(stream);
    expect(both.map(({ answers }) => answers)).toEqual([[undefined], [undefined]]);
    expect(memory.lookingUp).toBe(0);
  });
});
