import { expect, test } from 'vitest';
import { FIRST_SEED, REPLAYED, SCHEDULES, simulate } from './campaign.js';
import { Simulation } from './simulation.js';

const LIMIT_MS = 600_000 + SCHEDULES * 20;

test(
  'no answer contradicts what a change promised when it returned, whatever is paused, cut, lost or restarted; and all recover',
  async () => {
    const { schedules, finding, counts } = await simulate(FIRST_SEED, SCHEDULES);
    console.log(
      `${schedules} schedules from seed ${FIRST_SEED}: ${counts.answers} answers (${counts.staleAnswers} stale), ` +
        `${counts.clientAnswers} verdicts and ${counts.clientValues} values of clients from memory, ` +
        `${counts.changes} changes (${counts.complete} complete), ${counts.faults} faults`,
    );
    expect(finding, `SIM_SEED=${finding?.seed ?? ''} replays it`).toBeUndefined();
    if (REPLAYED === undefined) {
      expect(counts.staleAnswers).toBeGreaterThan(0);
      expect(counts.clientAnswers).toBeGreaterThan(counts.answers / 20);
      expect(counts.clientValues).toBeGreaterThan(counts.answers / 40);
      expect(counts.complete).toBeGreaterThan(counts.changes / 2);
    }
  },
  LIMIT_MS,
);

test('everything in a schedule follows from its seed', async () => {
  const seeds = Array.from({ length: 10 }, (_each, place) => FIRST_SEED + place);
  const prints = async (): Promise<number[]> => {
    const results: number[] = [];
    for (const seed of seeds) results.push((await new Simulation(seed).run()).fingerprint);
    return results;
  };
  const first = await prints();
  expect(await prints()).toEqual(first);
  expect(new Set(first).size).toBe(seeds.length);
});
