import { parseArgs } from 'node:util';
import { runSoak } from './soak.js';
import { problemsOf, toText } from './soak-report.js';

/**
 * The soak as a program: `--minutes` (30), `--seed` (of the time), `--fault` (a kind, if not all; more than one
 * may be given). It ends with 1 where something was broken.
 */
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string' },
    fault: { type: 'string', multiple: true, default: [] },
  },
});
const seed = options.seed === undefined ? Date.now() % 2 ** 31 : Number(options.seed);
console.log(`Soak of ${options.minutes} minutes, seed ${seed}`);
const log = (line: string) => {
  console.log(`  ${line}`);
};
const soak = await runSoak({ seed, seconds: Number(options.minutes) * 60, only: options.fault, log });
console.log(toText(soak));
process.exitCode = problemsOf(soak).length === 0 ? 0 : 1;
