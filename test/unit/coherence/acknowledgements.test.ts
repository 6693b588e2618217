import { beforeEach, expect, test } from 'vitest';
import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';
import type { Head } from '../../../src/coherence/ports.js';

const EPOCH = 'first';

let acknowledgements: Acknowledgements;

beforeEach(() => {
  acknowledgements = new Acknowledgements();
});

function at(revision: bigint, epoch = EPOCH): Head {
  return { epoch, revision };
}

test('an acknowledgement counts for every earlier revision, and for no later one', async () => {
  const earlier = acknowledgements.expect(at(5n), ['a']);
  const later = acknowledgements.expect(at(6n), ['a']);
  acknowledgements.note('a', at(5n));
  await earlier.done;
  expect([...later.missing]).toEqual(['a']);
  expect(acknowledgements.has('a', at(4n))).toBe(true);
  expect(acknowledgements.has('a', at(6n))).toBe(false);
});

test('an acknowledgement that came before anybody waited is not waited for', async () => {
  acknowledgements.note('a', at(5n));
  const expectation = acknowledgements.expect(at(5n), ['a']);
  await expectation.done;
});

test('an old acknowledgement that comes late takes nothing back', () => {
  acknowledgements.note('a', at(5n));
  acknowledgements.note('a', at(3n));
  expect(acknowledgements.has('a', at(5n))).toBe(true);
});

test('an acknowledgement of another epoch counts for nothing, however high its revision', async () => {
  acknowledgements.note('a', at(9n));
  const expectation = acknowledgements.expect(at(5n, 'second'), ['a', 'b']);
  acknowledgements.note('b', at(9n));
  expect([...expectation.missing]).toEqual(['a', 'b']);
  acknowledgements.note('a', at(5n, 'second'));
  acknowledgements.read({
    epoch: 'second',
    replicas: [
      { replica: 'a', leftMs: 1, maxStaleMs: 0, applied: 5n, renewals: 1n },
      { replica: 'b', leftMs: 1, maxStaleMs: 0, applied: 5n, renewals: 1n },
    ],
  });
  await expectation.done;
  expect(acknowledgements.has('a', at(1n))).toBe(false);
});

test('a change waits for each replica until that acknowledges, is dropped, or has registered that it applied it', async () => {
  const expectation = acknowledgements.expect(at(5n), ['a', 'b', 'c']);
  acknowledgements.note('a', at(5n));
  expectation.drop('b');
  expect([...expectation.missing]).toEqual(['c']);
  acknowledgements.read({
    epoch: EPOCH,
    replicas: [{ replica: 'c', leftMs: 1, maxStaleMs: 0, applied: 5n, renewals: 1n }],
  });
  await expectation.done;
  expect(acknowledgements.has('b', at(5n))).toBe(false);
});

test('replicas that are no longer registered are forgotten', () => {
  acknowledgements.note('a', at(5n));
  acknowledgements.read({ epoch: EPOCH, replicas: [] });
  expect(acknowledgements.has('a', at(1n))).toBe(false);
});
