import type { Load } from './load.js';
import { checkAnswers } from './answers.js';
import { checkExchangeOf } from './check.js';
import { h2loadScenario } from './h2load.js';
import { hasProgram, startBaseline, startKeyward, stop, type ServerProcess } from './processes.js';
import { startLoad, type Sample, type Scenario } from './scenario.js';
import { secretScenarios } from './secret-path.js';
import { KEY } from './secrets.js';
import { exchangeOf } from './tokens.js';
import { holdWatchers } from './watchers.js';

export const VALIDATE = '/keyward.token.v1.TokenService/ValidateToken';
const CHECK = '/envoy.service.auth.v3.Authorization/Check';
const BATCH_VALIDATE = '/keyward.token.v1.TokenService/BatchValidateTokens';
export const BATCH = 100;
export const HIT_TOKENS = 10_000;
const HITS: Load = {
  path: VALIDATE,
  connections: 8,
  inFlight: 12,
  asked: { tokens: HIT_TOKENS, batch: 1 },
};
/** Idle watchers on the server that has some. */
export const WATCHERS = 200;
/** The server that is to miss remembers far fewer tokens than are asked for in turn; its callers it knows. */
const MISS_ENTRIES = 1_000;

export type Samples = Record<string, Sample[]>;

/** Extent is how long and on what the scenarios are measured. */
export interface Extent {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  /** How many tokens there are. */
  readonly tokens: number;
}

/** measureHotPath measures all scenarios in turn, round by round, so that what disturbs the machine disturbs them alike. */
export async function measureHotPath(databaseUrl: string, extent: Extent): Promise<Samples> {
  const servers: ServerProcess[] = [];
  const watchers: { close(): void }[] = [];
  const scenarios: Record<string, Scenario> = {};
  try {
    const started = async (server: Promise<ServerProcess>): Promise<ServerProcess> => {
      servers.push(await server);
      return server;
    };
    const settings = {
      DATABASE_URL: databaseUrl,
      KEYWARD_FERNET_KEYS: KEY,
      KEYWARD_CACHE_TTL_SECONDS: '86400',
    };
    const baseline = await started(startBaseline(exchangeOf(0).response));
    const keyward = await started(startKeyward(settings));
    const kept = await started(startKeyward(settings));
    const forgetful = await started(
      startKeyward({ ...settings, KEYWARD_CACHE_MAX_ENTRIES: String(MISS_ENTRIES) }),
    );
    const secrets = await started(startKeyward(settings));
    const watched = await started(startKeyward(settings));
    for (const { port } of [keyward, kept, forgetful, watched]) await checkAnswers(port, extent.tokens);

    const empty = await startLoad(baseline, { ...HITS, asked: { ...HITS.asked, constantAnswer: true } });
    if (hasProgram('h2load')) {
      scenarios['a'] = await h2loadScenario(baseline, VALIDATE, HIT_TOKENS);
      scenarios['b'] = await h2loadScenario(keyward, VALIDATE, HIT_TOKENS);
      scenarios['b, watched'] = await h2loadScenario(watched, VALIDATE, HIT_TOKENS);
      scenarios['a, kept'] = empty;
      scenarios['b, kept'] = await startLoad(kept, HITS);
    } else {
      scenarios['a'] = empty;
      scenarios['b'] = await startLoad(keyward, HITS);
      scenarios['b, watched'] = await startLoad(watched, HITS);
    }
    watchers.push(await holdWatchers(watched, WATCHERS));
    scenarios['c'] = await startLoad(forgetful, { ...HITS, asked: { tokens: extent.tokens, batch: 1 } });
    scenarios['d'] = await startLoad(kept, {
      path: BATCH_VALIDATE,
      inFlight: 4,
      connections: 4,
      asked: { tokens: HIT_TOKENS, batch: BATCH },
    });
    scenarios['g'] = hasProgram('h2load')
      ? await h2loadScenario(keyward, CHECK, HIT_TOKENS, checkExchangeOf)
      : await startLoad(keyward, checkLoad());
    Object.assign(scenarios, await secretScenarios(secrets, databaseUrl));
    return await measureInRounds(scenarios, extent);
  } finally {
    for (const scenario of Object.values(scenarios)) scenario.close();
    for (const each of watchers) each.close();
    for (const server of servers) await stop(server);
  }
}

/** checkLoad asks what HITS asks, as Envoy does. */
function checkLoad(): Load {
  const exchanges = Array.from({ length: HIT_TOKENS }, (_, token) => checkExchangeOf(token));
  return { ...HITS, path: CHECK, asked: { exchanges } };
}

async function measureInRounds(scenarios: Record<string, Scenario>, extent: Extent): Promise<Samples> {
  const samples: Samples = Object.fromEntries(Object.keys(scenarios).map((name) => [name, []]));
  for (const scenario of Object.values(scenarios)) await scenario.measure(extent.warmUpSeconds);
  for (let round = 0; round < extent.rounds; round += 1) {
    for (const [name, scenario] of Object.entries(scenarios)) {
      samples[name]?.push(await scenario.measure(extent.seconds));
    }
  }
  return samples;
}
