import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { migrate } from '../../src/db/migrate.js';
import { makeDataDir, removeDataDir } from '../support/data-dir.js';
import { execute, withDatabaseName } from '../support/sql.js';
import { measureHotPath, type Extent, type OtherBuild, type Samples } from './hot-path.js';
import { measureMillion } from './million.js';
import { canPin, leaveServerCore } from './processes.js';
import { report, toText } from './report.js';
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
  },
});

if (canPin()) leaveServerCore();
const extent = {
  ...(options.smoke ? SMOKE : FULL),
  ...(options.rounds && { rounds: Number(options.rounds) }),
};
const dataDir = await makeDataDir();
try {
  const samples = await hotPath(extent);
  const million = options.million ? await measureMillion(dataDir, MILLION) : undefined;
  const result = report(samples, million);
  console.log(toText(result));
  if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  await removeDataDir(dataDir);
}

/** hotPath fills a database of the benchmark's own and leaves it for what comes next. */
async function hotPath(extent: Extent): Promise<Samples> {
  const database = await startEmbeddedPostgres({ dataDir });
  try {
    await migrate(database.url);
    await fillTokens(database.url, options.million ? MILLION : extent.tokens);
    const other =
      options.against === undefined ? undefined : await otherBuild(options.against, database.url, extent);
    return await measureHotPath(database.url, extent, other);
  } finally {
    await database.stop();
  }
}

/** otherBuild prepares a database of its own for the service as another directory has it built. */
async function otherBuild(directory: string, databaseUrl: string, { tokens }: Extent): Promise<OtherBuild> {
  const program = join(directory, 'dist/cli/main.js');
  await execute(databaseUrl, 'CREATE DATABASE keyward_other');
  const url = withDatabaseName(databaseUrl, 'keyward_other');
  const env = { PATH: process.env['PATH'], DATABASE_URL: url };
  await promisify(execFile)(process.execPath, [program, 'migrate'], { env });
  await fillTokens(url, tokens);
  return { program, databaseUrl: url };
}
