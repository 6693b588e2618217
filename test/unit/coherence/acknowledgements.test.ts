import { beforeEach, expect, test } from 'vitest';
import { Acknowledgements } from '../../../src/coherence/acknowledgements.js';

let acknowledgements: Acknowledgements;

beforeEach(() => {
  acknowledgements = new Acknowledgements();
});

test('an acknowledgement counts for every earlier revision, and for no later one', async () => {
  const earlier = acknowledgements.expect(5n, ['a']);
  const later = acknowledgements.expect(6n, ['a']);
  acknowledgements.note('a', 5n);
  await earlier.done;
  expect([...later.missing]).toEqual(['a']);
  expect(acknowledgements.has('a', 4n)).toBe(true);
  expect(acknowledgements.has('a', 6n)).toBe(false);
});

test('an acknowledgement that came before anybody waited is not waited for', async () => {
  acknowledgements.note('a', 5n);
  const expectation = acknowledgements.expect(5n, ['a']);
  await expectation.done;
});

test('an old acknowledgement that comes late takes nothing back', () => {
  acknowledgements.note('a', 5n);
  acknowledgements.note('a', 3n);
  expect(acknowledgements.has('a', 5n)).toBe(true);
});

test('a change waits for each replica until that acknowledges, is dropped, or has registered that it applied it', async () => {
  const expectation = acknowledgements.expect(5n, ['a', 'b', 'c']);
  acknowledgements.note('a', 5n);
  expectation.drop('b');
  expect([...expectation.missing]).toEqual(['c']);
  acknowledgements.read([{ replica: 'c', leftMs: 1, maxStaleMs: 0, applied: 5n }]);
  await expectation.done;
  expect(acknowledgements.has('b', 5n)).toBe(false);
});

test('replicas that are no longer registered are forgotten', () => {
  acknowledgements.note('a', 5n);
  acknowledgements.read([]);
  expect(acknowledgements.has('a', 1n)).toBe(false);
});
