import { expect, test } from 'vitest';
import { runCampaign } from '../campaign.js';
import { CLIENT_KINDS } from '../history.js';
import { countsOf, toText } from '../report.js';
import { withBroken } from './broken.js';
import { VARIANTS } from './variants.js';

const SEED = Number(process.env['CAMPAIGN_SEED'] ?? Date.now() % 2 ** 31);
const SECONDS = 30;
const MAX_STALE_SECONDS = 2;
const CLIENTS = 6;
const LIMIT_MS = 240_000;

// Whether half a minute is enough to notice depends on the machine: CAMPAIGN_BROKEN=1 runs them, on one that does nothing else.
test.skipIf(process.env['CAMPAIGN_BROKEN'] === undefined).each(VARIANTS)(
  'the campaign notices if $name',
  async (variant) => {
    const options = { seed: SEED, seconds: SECONDS, maxStaleSeconds: MAX_STALE_SECONDS, clients: CLIENTS };
    const campaign = await withBroken(variant, (programs) =>
      runCampaign({ ...options, kinds: CLIENT_KINDS, hasTurns: false, programs, log: () => undefined }),
    );
    const ofClients = campaign.checked.contradictions.filter(({ text }) => text.includes('from memory'));
    console.log(`${variant.name}: ${countsOf(ofClients.map(({ kind }) => kind))}\n${toText(campaign)}`);
    expect(ofClients.length).toBeGreaterThan(0);
  },
  LIMIT_MS,
);
