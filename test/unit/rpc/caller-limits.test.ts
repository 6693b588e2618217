import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeywardError } from '../../../src/lib/errors.js';
import { CallerLimits, WHOLE_CALL } from '../../../src/rpc/caller-limits.js';

const ALICE = 1n;
const BOB = 2n;

/** reasonOf is why something may not begin; `begun` if it may. */
function reasonOf(begin: () => unknown): string {
  try {
    begin();
    return 'begun';
  } catch (error) {
    if (!(error instanceof KeywardError)) throw error;
    return error.reason;
  }
}

test('one user may have so many calls under way and no more, and that is no concern of others', () => {
  const limits = new CallerLimits({ calls: 2, streams: 1 });
  limits.beginCall(ALICE);
  const end = limits.beginCall(ALICE);
  expect(() => limits.beginCall(ALICE)).toThrow(
    expect.objectContaining({ reason: 'TOO_MANY_CALLS', metadata: { limit: '2' } }) as Error,
  );
  limits.beginCall(BOB);
  end();
  limits.beginCall(ALICE);
});

test('streams are counted by themselves', () => {
  const limits = new CallerLimits({ calls: 1, streams: 1 });
  limits.beginCall(ALICE);
  const end = limits.beginStream(ALICE);
  expect(() => limits.beginStream(ALICE)).toThrow(
    expect.objectContaining({ reason: 'TOO_MANY_WATCHES', metadata: { limit: '1' } }) as Error,
  );
  end();
  limits.beginStream(ALICE);
});

test('a call that shares its work with others takes a part of what a whole one does', () => {
  const limits = new CallerLimits({ calls: 2, streams: 1 });
  limits.beginCall(ALICE);
  for (let light = 0; light < 50; light += 1) limits.beginCall(ALICE, WHOLE_CALL / 50);
  expect(reasonOf(() => limits.beginCall(ALICE, WHOLE_CALL / 50))).toBe('TOO_MANY_CALLS');
});

test('whatever begins, is refused and ends: no user passes the limit, and nothing is kept of those who have nothing', () => {
  const step = fc.record({
    user: fc.constantFrom(1n, 2n, 3n),
    weight: fc.constantFrom(2, 10, 100),
    /** Which of those under way ends first; none if there is no such. */
    ends: fc.nat(40),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 200 }), (calls, steps) => {
      const limits = new CallerLimits({ calls, streams: 1 });
      const open: { readonly user: bigint; readonly weight: number; readonly end: () => void }[] = [];
      for (const { user, weight, ends } of steps) {
        open.splice(ends, 1).forEach(({ end }) => {
          end();
        });
        const sum = open.filter((each) => each.user === user).reduce((total, each) => total + each.weight, 0);
        const fits = sum + weight <= calls * WHOLE_CALL;
        expect(reasonOf(() => open.push({ user, weight, end: limits.beginCall(user, weight) }))).toBe(
          fits ? 'begun' : 'TOO_MANY_CALLS',
        );
        expect(limits.users).toBe(new Set(open.map((each) => each.user)).size);
      }
      for (const { end } of open) end();
      expect(limits.users).toBe(0);
    }),
  );
});
