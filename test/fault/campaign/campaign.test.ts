import { expect, test } from 'vitest';
import { runCampaign } from './campaign.js';
import { shareFromMemory } from './clients/client-availability.js';
import { toText } from './report.js';

/** CAMPAIGN_SEED replays the decisions of a campaign. */
const SEED = Number(process.env['CAMPAIGN_SEED'] ?? Date.now() % 2 ** 31);
const SECONDS = 12;
const MAX_STALE_SECONDS = 2;
/** Clients with a memory of their own. They take a core of their own to be judged: CAMPAIGN_CLIENTS=3 adds some. */
const CLIENTS = Number(process.env['CAMPAIGN_CLIENTS'] ?? 0);
const LIMIT_MS = 180_000;

// A short form of `npm run test:campaign`.
test(
  'no answer contradicts a complete change, whatever is paused, killed or cut off, and all recover',
  async () => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(`  ${line}`);
    const options = {
      seed: SEED,
      seconds: SECONDS,
      maxStaleSeconds: MAX_STALE_SECONDS,
      clients: CLIENTS,
      hasTurns: false,
      log,
    };
    const campaign = await runCampaign(options);
    console.log([...lines, toText(campaign)].join('\n'));
    const { history, checked, hasRecovered, ended } = campaign;
    expect(checked.contradictions).toEqual([]);
    expect(checked.availability.healthy).toMatchObject({ failed: 0 });
    expect(checked.availability.healthy.answered).toBeGreaterThan(300);
    expect(history.faults.length).toBeGreaterThan(0);
    if (CLIENTS > 0) expect(shareFromMemory(checked.availability.clients.owed)).toBeGreaterThan(0.5);
    expect(ended).toEqual([]);
    expect(hasRecovered).toBe(true);
  },
  LIMIT_MS,
);
