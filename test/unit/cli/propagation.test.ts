import { expect, test } from 'vitest';
import { propagationJson, propagationText } from '../../../src/cli/token/propagation.js';

const WAITED = { seconds: 1n, nanos: 20_000_000 };
const INCOMPLETE = {
  complete: false,
  acknowledged: 1,
  pending: 2,
  clientsAcknowledged: 0,
  clientsExpired: 0,
  waited: WAITED,
  effectiveBy: { seconds: 1_893_456_000n, nanos: 0 },
};

test('a change that is not complete is told with the time by which it is', () => {
  const by = 'It is complete by 2030-01-01T00:00:00Z at the latest';
  const textOf = (pending: number) => propagationText({ propagation: { ...INCOMPLETE, pending } });
  expect(textOf(2)).toBe(`${by}: 2 replicas have not confirmed it.`);
  expect(textOf(1)).toBe(`${by}: 1 replica has not confirmed it.`);
  expect(textOf(0)).toBe(`${by}.`);
});

test('programs get the span that was waited as protobuf writes it', () => {
  expect(propagationJson({ propagation: INCOMPLETE })).toEqual({ ...INCOMPLETE, waited: '1.020000000s' });
});
