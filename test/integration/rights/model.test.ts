import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BY_REQUEST, Estate } from './estate.js';
import { MUTATING_METHODS } from './calls.js';
import { attempt, NUM_RUNS, rise, rises, SEED, sequences } from './sequences.js';

let estate: Estate;

beforeAll(async () => {
  console.log(`Rights: ${NUM_RUNS} sequences with the seed ${SEED} (MODEL_SEQUENCES, MODEL_SEED).`);
  estate = await Estate.open();
});

afterAll(() => estate.close());

const TIMEOUT_MS = 60_000 + NUM_RUNS * 200;

test('the sequences are made of every RPC that changes tokens, users, profiles and accounts, or by which values reach others', () => {
  const changing = Object.entries(estate.handlers).filter(
    ([, { permission }]) => permission === BY_REQUEST || permission.endsWith('.write'),
  );
  expect(changing.map(([method]) => method).sort()).toEqual([...MUTATING_METHODS].sort());
});

test(
  'no sequence of at most three calls lets a caller do with what they know what they could not do before',
  async () => {
    const property = fc.asyncProperty(sequences(estate), async (sequence) => {
      expect(await attempt(estate, sequence)).toBeUndefined();
    });
    await fc.assert(property, { seed: SEED, numRuns: NUM_RUNS });
  },
  TIMEOUT_MS,
);

test(
  'whoever gave out tokens of others, or knows them, gains nothing when a superuser promotes these others',
  async () => {
    const property = fc.asyncProperty(rises(estate), async (steps) => {
      expect(await rise(estate, steps)).toBeUndefined();
    });
    await fc.assert(property, { seed: SEED, numRuns: NUM_RUNS });
  },
  TIMEOUT_MS,
);
