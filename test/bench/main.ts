import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { migrate } from '../../src/db/migrate.js';
import { makeDataDir, removeDataDir } from '../support/data-dir.js';
import { measureAgainst } from './against.js';
import { measureCallersMemory, type CallersMemory } from './callers-memory.js';
import { callersMemoryToText } from './callers-report.js';
import { measureHotPath, type Extent } from './hot-path.js';
import { measureMillion } from './million.js';
import { measureOverload } from './overload.js';
import { canPin, leaveServerCore } from './processes.js';
import { report, toText } from './report.js';
import { measureReads } from './reads.js';
import { measureRevocation } from './revocation.js';
import { fillTokens } from './tokens.js';

const MILLION = 1_000_000;
const FULL: Extent = { rounds: 7, seconds: 3, warmUpSeconds: 5, tokens: 100_000 };
/** Long enough to see that everything runs and answers rightly; the times mean nothing. */
const SMOKE: Extent = { rounds: 1, seconds: 0.5, warmUpSeconds: 0.3, tokens: 20_000 };

const { values: options } = parseArgs({
  options: {
    smoke: { type: 'boolean', default: false },
    million: { type: 'boolean', default: false },
    json: { type: 'string' },
    rounds: { type: 'string' },
    against: { type: 'string' },
    overload: { type: 'boolean', default: false },
    revocation: { type: 'string' },
    reads: { type: 'boolean', default: false },
    'callers-memory': { type: 'boolean', default: false },
  },
});

if (canPin()) leaveServerCore();
const extent = {
  ...(options.smoke ? SMOKE : FULL),
  ...(options.rounds && { rounds: Number(options.rounds) }),
};
const dataDir = await makeDataDir();
try {
  const { against } = options;
  if (options.overload) {
    console.log(await onDatabase((url) => measureOverload(url, { seconds: options.smoke ? 3 : 15 })));
  } else if (options.revocation !== undefined) {
    const tokens = Number(options.revocation);
    console.log(await onDatabase((url) => measureRevocation(url, tokens)));
  } else if (options['callers-memory']) {
    console.log(callersMemoryToText(await onDatabase(callersMemory)));
  } else if (against === undefined) await measureAll();
  else if (options.reads) console.log(await onDatabase((url) => measureReads(against, url, extent)));
  else console.log(await onDatabase((url) => measureAgainst(against, url, extent)));
} finally {
  await removeDataDir(dataDir);
}

async function measureAll(): Promise<void> {
  const { samples, callers } = await onDatabase(async (url) => ({
    samples: await measureHotPath(url, extent),
    callers: await callersMemory(url),
  }));
  const million = options.million ? await measureMillion(dataDir, MILLION) : undefined;
  const result = report(samples, million);
  console.log([toText(result), callersMemoryToText(callers)].join('\n\n'));
  const all = { ...result, callers };
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(all, null, 2)}\n`);
}

function callersMemory(url: string): Promise<CallersMemory> {
  return measureCallersMemory(url, extent, options.smoke);
}

/** onDatabase fills a database of the benchmark's own and leaves it for what comes next. */
async function onDatabase<Result>(measure: (url: string) => Promise<Result>): Promise<Result> {
  const database = await startEmbeddedPostgres({ dataDir });
  try {
    await migrate(database.url);
    await fillTokens(database.url, options.million ? MILLION : extent.tokens);
    return await measure(database.url);
  } finally {
    await database.stop();
  }
}
