import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Redacted } from '../../../src/lib/redacted.js';

const CANARY = 'canary-5d41402abc';
const hidden = new Redacted(CANARY);

test.each<[string, () => string]>([
  ['a template', () => `a ${String(hidden)}`],
  ['concatenation', () => 'x'.concat(hidden as unknown as string)],
  ['JSON', () => JSON.stringify({ hidden, list: [hidden] })],
  ['util.inspect', () => inspect(hidden)],
  [
    'util.inspect of what holds it, with all it can show',
    () => inspect({ a: { hidden } }, { depth: 9, showHidden: true }),
  ],
  ['util.inspect without custom forms', () => inspect(hidden, { customInspect: false, showHidden: true })],
  ['its properties', () => JSON.stringify([Object.entries(hidden), Object.getOwnPropertyNames(hidden)])],
  ['a structured clone', () => inspect(structuredClone(hidden))],
])('%s shows nothing of a hidden text', (_, show) => {
  expect(show()).not.toContain(CANARY);
});

test('only reveal gives a hidden text', () => {
  expect(hidden.reveal()).toBe(CANARY);
});
