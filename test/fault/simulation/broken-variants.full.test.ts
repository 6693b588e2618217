import { expect, test } from 'vitest';
import { BROKEN } from './broken-variants.js';
import { FIRST_SEED, MAX_SCHEDULES, REPLAYED, simulate } from './campaign.js';

const LIMIT_MS = 600_000 + MAX_SCHEDULES * 20;

// One schedule alone need not meet the point in which a protocol is wrong.
test.skipIf(REPLAYED !== undefined).each(Object.entries(BROKEN))(
  'the simulation catches it if %s',
  async (_name, { parts, spoil }) => {
    const repair = spoil?.();
    try {
      const { schedules, finding } = await simulate(FIRST_SEED, MAX_SCHEDULES, parts);
      console.log(
        `caught in schedule ${schedules}, seed ${finding?.seed ?? 'none'}: ${finding?.problem ?? ''}`,
      );
      expect(finding).toBeDefined();
    } finally {
      repair?.();
    }
  },
  LIMIT_MS,
);
