import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execute, withDatabaseName } from '../support/sql.js';
import { checkAnswers } from './answers.js';
import { h2loadScenario } from './h2load.js';
import { HIT_TOKENS, VALIDATE, type Extent } from './hot-path.js';
import { KEYWARD, startKeyward, stop, type ServerProcess } from './processes.js';
import { median } from './report.js';
import type { Scenario } from './scenario.js';
import { KEY } from './secrets.js';
import { fillTokens } from './tokens.js';

/** Of each build: one process differs from another of the same build by a twentieth. */
const PROCESSES = 6;

interface Contestant {
  readonly build: string;
  readonly server: ServerProcess;
  readonly scenario: Scenario;
  /** Microseconds of CPU for one call, round by round. */
  readonly cpuMicros: number[];
}

/**
 * measureAgainst compares the hits of this build with those of another checkout's, in several processes of each that
 * take turns, and tells the result.
 */
export async function measureAgainst(
  directory: string,
  databaseUrl: string,
  extent: Extent,
): Promise<string> {
  const other = join(directory, 'dist/cli/main.js');
  const builds = [
    { build: 'this build', program: KEYWARD, databaseUrl },
    { build: 'the other', program: other, databaseUrl: await otherDatabase(other, databaseUrl, extent) },
  ];
  const contestants: Contestant[] = [];
  try {
    for (let number = 0; number < PROCESSES; number += 1)
      for (const each of builds) contestants.push(await enter(each, extent));
    for (const { scenario } of contestants) await scenario.measure(extent.warmUpSeconds);
    for (let round = 0; round < extent.rounds; round += 1) {
      for (const { scenario, cpuMicros } of contestants)
        cpuMicros.push((await scenario.measure(extent.seconds)).cpuMicros);
    }
    return toText(contestants);
  } finally {
    for (const { scenario, server } of contestants) {
      scenario.close();
      await stop(server);
    }
  }
}

/** otherDatabase prepares a database for another build, with the same tokens. */
export async function otherDatabase(
  program: string,
  databaseUrl: string,
  { tokens }: Extent,
): Promise<string> {
  await execute(databaseUrl, 'CREATE DATABASE keyward_other');
  const url = withDatabaseName(databaseUrl, 'keyward_other');
  const env = { PATH: process.env['PATH'], DATABASE_URL: url };
  await promisify(execFile)(process.execPath, [program, 'migrate'], { env });
  await fillTokens(url, tokens);
  return url;
}

async function enter(
  { build, program, databaseUrl }: { build: string; program: string; databaseUrl: string },
  { tokens }: Extent,
): Promise<Contestant> {
  const settings = {
    DATABASE_URL: databaseUrl,
    KEYWARD_DATABASE_POOL_SIZE: '3',
    KEYWARD_FERNET_KEYS: KEY,
    KEYWARD_CACHE_TTL_SECONDS: '86400',
  };
  const server = await startKeyward(settings, { program });
  await checkAnswers(server.port, tokens);
  return { build, server, scenario: await h2loadScenario(server, VALIDATE, HIT_TOKENS), cpuMicros: [] };
}

function toText(contestants: readonly Contestant[]): string {
  const lines = ['ValidateToken, hit: us of CPU for a call, the median of the rounds of each process'];
  const means = [...new Set(contestants.map(({ build }) => build))].map((build) => {
    const medians = contestants.filter((each) => each.build === build).map((each) => median(each.cpuMicros));
    const mean = medians.reduce((sum, each) => sum + each, 0) / medians.length;
    const each = medians.map((micros) => micros.toFixed(1)).join(' ');
    lines.push(`${build.padEnd(12)} ${each}  mean ${mean.toFixed(1)}`);
    return mean;
  });
  const [own = NaN, other = NaN] = means;
  lines.push(`this build / the other: ${(own / other).toFixed(3)}`);
  return lines.join('\n');
}
