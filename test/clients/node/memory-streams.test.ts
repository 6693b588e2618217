import { beforeEach, describe, expect, test } from 'vitest';
import { HoldInvalidation } from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import {
  ask,
  begin,
  beginLeased,
  clocks,
  EPOCH,
  fact,
  handleOf,
  invalidate,
  learn,
  LEASE_MS,
  memory,
  open,
  OTHER_OWNER,
  OWNER,
  reasonIn,
  reasonOf,
  renew,
  stream,
} from '../../support/driven-memory.js';

beforeEach(() => beginLeased());

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
    begin();
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
    const before = stream;
    const next = open();
    memory.facts(before, { facts: [fact(id, 'a')] });
    expect(reasonIn(answers)).toBe('OK');
    renew(next);
    expect(reasonOf('a')).toBeUndefined();
  });

  test('that has granted makes grants of the one before it count for nothing', () => {
    learn('a');
    const before = stream;
    const next = open();
    renew(next);
    clocks.pass(LEASE_MS - 1);
    expect(renew(before)).toBe(false);
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
    begin();
    renew(open(true, 10_000));
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

  test('that are asked for again before the answer to another question is there are asked for once more', () => {
    const answers: unknown[] = [];
    const request = { secret: { id: 3n }, version: 0, includeExpired: false, skipAccessTime: false };
    const ask = (): bigint | undefined =>
      memory.secrets.access(stream, 'a', request, (answer) => answers.push(answer))?.id;
    const id = ask() ?? 0n;
    expect(ask()).toBeUndefined();
    const error = { code: 5, message: 'none', details: [] };
    const again = memory.secrets.accessed(stream, { id, error, keep: false });
    expect(answers).toEqual([{ error }]);
    memory.secrets.accessed(stream, {
      id: again?.id ?? 0n,
      access: { secretId: 3n, version: 1, payload: { text: 'new' } },
      keep: true,
    });
    expect(answers).toHaveLength(2);
    expect(textOf('a')).toBe('new');
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
    begin();
    renew(open());
    access('a', 'x');
    expect(textOf('a')).toBeUndefined();
  });
});
