import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type * as Gain from '../../../src/token/gain.js';
import type * as Gains from '../../../src/account/owner-gains.js';
import type * as Rights from '../../../src/authz/rights.js';
import { IS_FULL } from '../../support/extent.js';
import { Estate } from './estate.js';
import { attempt, rise, rises, sequences } from './sequences.js';

/** The check that is missing at present, in the modules below and nowhere else. */
const missing = vi.hoisted(() => ({ check: '' }));

vi.mock(import('../../../src/token/gain.js'), async (original) => {
  const real: typeof Gain = await original();
  const same = {
    'the switching on': ['isActive'],
    'the expiry': ['expiresAt'],
    'the scopes': ['scopes'],
    'the new plaintext': ['digest', 'graceEndsAt'],
    'the new owner': ['owner'],
  } as Readonly<Record<string, readonly (keyof Gain.Power)[]>>;
  const isGain: typeof Gain.isGain = (before, after) => {
    const overlooked = same[missing.check] ?? [];
    const seen = before && Object.fromEntries(overlooked.map((field) => [field, before[field]]));
    return real.isGain(before, { ...after, ...seen });
  };
  return { ...real, isGain };
});

vi.mock(import('../../../src/authz/rights.js'), async (original) => {
  const real: typeof Rights = await original();
  return {
    ...real,
    mayActAs: (callerRights, user) => missing.check === 'the rank' || real.mayActAs(callerRights, user),
    requireScopes: (caller, scopes) => {
      if (missing.check !== 'the scopes of the caller') real.requireScopes(caller, scopes);
    },
    promotes: (before, after) => missing.check !== 'the promotion' && real.promotes(before, after),
  };
});

vi.mock(import('../../../src/account/owner-gains.js'), async (original) => {
  const real: typeof Gains = await original();
  class OwnerGains extends real.OwnerGains {
    override accountChanged(...args: Parameters<Gains.OwnerGains['accountChanged']>) {
      return missing.check === 'the account switched on' ? Promise.resolve() : super.accountChanged(...args);
    }

    override userMade(...args: Parameters<Gains.OwnerGains['userMade']>) {
      if (missing.check !== 'the certificate of a new user') super.userMade(...args);
    }

    override userChanged(...[trx, caller, before, after, keep]: Parameters<Gains.OwnerGains['userChanged']>) {
      const seen = missing.check === 'the user switched on' ? { ...before, isActive: true } : before;
      return super.userChanged(trx, caller, seen, after, keep || missing.check === 'who issued');
    }

    override userJoined(...args: Parameters<Gains.OwnerGains['userJoined']>) {
      return missing.check === 'the other account' ? Promise.resolve([]) : super.userJoined(...args);
    }
  }
  return { ...real, OwnerGains };
});

/** The sequences of a run in CI, always the same, so that what is found once is found again. */
const RUNS = { numRuns: 5000, seed: 9, endOnFailure: true };
const TIMEOUT_MS = 300_000;

let estate: Estate;

beforeAll(async () => {
  estate = await Estate.open();
});

afterAll(() => estate.close());

/** find tells after how many runs something is gained, and what. */
async function find<Run>(
  runs: fc.Arbitrary<Run>,
  run: (estate: Estate, run: Run) => Promise<string | undefined>,
) {
  const property = fc.asyncProperty(runs, async (each) => (await run(estate, each)) === undefined);
  return fc.check(property, RUNS);
}

/** Those whose lack is found by a hundred sequences, and those for which it takes hundreds. */
const SOON = [
  'the expiry',
  'the scopes',
  'the rank',
  'the scopes of the caller',
  'the other account',
  'the new owner',
];
const LATE = [
  'the switching on',
  'the new plaintext',
  'the account switched on',
  'the user switched on',
  'the promotion',
  'the certificate of a new user',
];

describe.each(IS_FULL ? [...SOON, ...LATE] : SOON)('where a check is missing, of %s,', (check) => {
  test(
    'the model finds a sequence of calls by which a caller gains',
    async () => {
      missing.check = check;
      const { failed, numRuns } = await find(sequences(estate), attempt);
      console.log(`Without ${check}: found after ${numRuns} sequences.`);
      expect(failed).toBe(true);
    },
    TIMEOUT_MS,
  );
});

describe.each(['who issued', 'the promotion', 'the other account'])(
  'where a check is missing, of %s,',
  (check) => {
    test(
      'the model finds a promotion by which those gain who know tokens of others',
      async () => {
        missing.check = check;
        const { failed, numRuns } = await find(rises(estate), rise);
        console.log(`Without ${check}: found after ${numRuns} promotions.`);
        expect(failed).toBe(true);
      },
      TIMEOUT_MS,
    );
  },
);
