import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.js';
import { toText } from './report.js';

/**
 * The fault campaign as a program: `--minutes` (2), `--seed` (of the time), `--clients` (12) that have a memory of their
 * own, `--strict` for strict mode alone. It ends
 * with 1 where the service contradicted itself. A long one is made of parts, each with a service of its own.
 */
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    clients: { type: 'string', default: '12' },
    strict: { type: 'boolean', default: false },
  },
});

const MAX_PART_SECONDS = 120;
/** Share of the time in strict mode, at the end of each part. */
const STRICT_SHARE = 1 / 3;
/** Short, so that outages outlast it. */
const MAX_STALE_SECONDS = 3;

const first = options.seed === undefined ? Date.now() % 2 ** 31 : Number(options.seed);
let secondsLeft = Number(options.minutes) * 60;
let problems = 0;

async function run(seed: number, seconds: number, maxStaleSeconds: number): Promise<void> {
  const log = (line: string) => {
    console.log(`  ${line}`);
  };
  const clients = Number(options.clients);
  const campaign = await runCampaign({ seed, seconds, maxStaleSeconds, clients, hasTurns: true, log });
  console.log(toText(campaign));
  const { checked, hasRecovered, ended } = campaign;
  problems += checked.contradictions.length + ended.length + (hasRecovered ? 0 : 1);
}

for (let seed = first; secondsLeft > 0; seed += 2) {
  const seconds = Math.min(MAX_PART_SECONDS, secondsLeft);
  secondsLeft -= seconds;
  const strictSeconds = options.strict ? seconds : Math.round(seconds * STRICT_SHARE);
  if (seconds > strictSeconds) await run(seed, seconds - strictSeconds, MAX_STALE_SECONDS);
  await run(seed + 1, strictSeconds, 0);
}
console.log(problems === 0 ? 'No contradictions.' : `${problems} PROBLEMS`);
process.exitCode = problems === 0 ? 0 : 1;
