import { expect, test } from 'vitest';
import { Patience } from '../../../src/holders/patience.js';
import { ManualTimers } from '../../support/manual-timers.js';

test('three times within a minute are too often, for a minute; twice, or longer apart, are not', async () => {
  const timers = new ManualTimers();
  const patience = new Patience(timers);
  patience.strain('a');
  patience.strain('a');
  await timers.advance(60_001);
  patience.strain('a');
  patience.strain('a');
  expect(patience.isOver('a')).toBe(false);
  patience.strain('a');
  expect(patience.isOver('a')).toBe(true);
  expect(patience.isOver('b')).toBe(false);
  await timers.advance(60_001);
  expect(patience.isOver('a')).toBe(false);
});

test('of more clients than it remembers the first are forgiven', () => {
  const patience = new Patience(new ManualTimers());
  for (let time = 0; time < 3; time += 1) patience.strain('first');
  expect(patience.isOver('first')).toBe(true);
  for (let client = 0; client < 1_000; client += 1) patience.strain(String(client));
  expect(patience.isOver('first')).toBe(false);
});
