import { bootstrap } from '../../../src/bootstrap.js';
import { TTL_MS } from '../../../src/coherence/lease.js';
import { openDatabase } from '../../../src/db/knex.js';
import { migrate } from '../../../src/db/migrate.js';
import {
  CreateAccountRequest,
  CreateUserProfileRequest,
  CreateUserRequest,
} from '../../../src/gen/keyward/account/v1/account_service.js';
import { CreateTokenRequest } from '../../../src/gen/keyward/token/v1/token_service.js';
import { testAuditLog } from '../../support/audit.js';
import { registerCanary } from '../../support/canaries.js';
import { Asker } from './asker.js';
import { Caller } from './caller.js';
import { Changes, createToken, present } from './changes.js';
import { check, type Checked } from './checker.js';
import { Driver } from './driver.js';
import { DurablePostgres } from './durable-postgres.js';
import { Estate } from './estate.js';
import { inflictFaults } from './faults.js';
import { Gate } from './gate.js';
import { Recorder, type Change, type History } from './history.js';
import { Site } from './site.js';
import { Turns } from './turns.js';

export interface CampaignOptions {
  /** The same seed makes the same decisions; when what happens is a matter of the machine. */
  readonly seed: number;
  /** For which changes and faults are made; starting and stopping come on top. */
  readonly seconds: number;
  /** KEYWARD_MAX_STALE_SECONDS of the replicas; 0 is strict mode. */
  readonly maxStaleSeconds: number;
  /** Whether the database is also restored and promoted. */
  readonly hasTurns: boolean;
  readonly log: (line: string) => void;
}

export interface Campaign {
  readonly options: CampaignOptions;
  readonly history: History;
  readonly checked: Checked;
  /** True if, after all faults and some rest, a change through each replica was complete. */
  readonly hasRecovered: boolean;
}

const REPLICAS = 3;
const DRIVERS = 8;
const TOKENS = 3;
const BYSTANDERS = 4;
/** Longer than the outage policy takes to answer, and than a busy machine. */
const VALIDATION_LIMIT_MS = 3_000;
/** Longer than a lease, and than the database may take. */
const CHANGE_LIMIT_MS = 8_000;

/** runCampaign lets a service of three replicas meet faults while it is asked and changed, and checks all its answers. */
export async function runCampaign(options: CampaignOptions): Promise<Campaign> {
  const opened: { close(): unknown }[] = [];
  try {
    return await run(options, opened);
  } finally {
    for (const each of opened.reverse()) await each.close();
  }
}

async function run(options: CampaignOptions, opened: { close(): unknown }[]): Promise<Campaign> {
  const { seed, seconds, maxStaleSeconds, hasTurns, log } = options;
  const postgres = await DurablePostgres.create();
  opened.push({ close: () => postgres.remove() });
  const admin = await prepare(postgres.url);
  const sites = await openSites({ count: REPLICAS, databaseUrl: postgres.url, maxStaleSeconds }, opened);
  const callersWith = (token: string, limitMs: number) =>
    sites.map(({ port }) => {
      const caller = new Caller(port, token, limitMs);
      opened.push(caller);
      return caller;
    });
  const managers = callersWith(admin, CHANGE_LIMIT_MS);
  const manager = present(managers[0]);
  const estates = await Promise.all(Array.from({ length: DRIVERS }, () => newEstate(manager, TOKENS)));
  const others = await newEstate(manager, BYSTANDERS);
  const validators = callersWith(await newValidator(manager, others.profileId), VALIDATION_LIMIT_MS);

  const recorder = new Recorder();
  opened.push(recorder);
  for (const estate of [...estates, others]) recordStart(estate, recorder);
  for (const { number } of others.current) recorder.bystanders.add(number);
  let isOver = false;
  const over = () => isOver;
  const bystanders = others.current;
  const asker = new Asker({ callers: validators, estates, bystanders, recorder, seed });
  const ask = (change: Change, credentials: Parameters<Asker['follow']>[1]) => {
    asker.follow(change, credentials);
  };
  const changes = estates.map(
    (estate) => new Changes({ estate, callers: managers, postgres, recorder, ask, isOver: over }),
  );
  const gate = new Gate();
  const asking = asker.run(over);
  const driving = changes.map((each, at) => {
    const estate = present(estates[at]);
    return new Driver({ estate, changes: each, gate, seed: seed + 10_000 + at, replicas: REPLICAS }).run(
      over,
    );
  });
  const turns = new Turns({ postgres, estates, gate, recorder });
  const plan = { seed, sites, postgres, recorder, turns, hasTurns, durationMs: seconds * 1000, log };
  await inflictFaults(plan);
  isOver = true;
  await Promise.all(driving);
  const hasRecovered = await areComplete(present(changes[0]), present(estates[0]), recorder);
  await asking;
  await asker.settled();
  for (const site of sites) await site.kill();
  for (const { index, joins } of sites)
    recorder.joins.push(...joins.map((at) => ({ replica: index, at: recorder.timeOf(at) })));
  const rules = { leaseMs: TTL_MS, maxStaleMs: maxStaleSeconds * 1000 };
  return { options, history: recorder, checked: check(recorder, rules), hasRecovered };
}

/** areComplete makes one change through each replica, when nothing should be wrong any more. */
async function areComplete(changes: Changes, estate: Estate, recorder: Recorder): Promise<boolean> {
  const from = recorder.changes.length;
  const { row } = present(estate.current[0]);
  for (let replica = 0; replica < REPLICAS; replica += 1) await changes.flip({ kind: 'token', row }, replica);
  const made = recorder.changes.slice(from);
  return made.length === REPLICAS && made.every(({ result }) => result.kind === 'complete');
}

/** prepare migrates the database and gives the superuser's token. */
export async function prepare(databaseUrl: string): Promise<string> {
  await migrate(databaseUrl);
  const knex = openDatabase({
    url: databaseUrl,
    poolSize: 2,
    connectTimeoutMs: 10_000,
  });
  try {
    const { plaintext } = await bootstrap(knex, testAuditLog(knex), { reissue: false });
    return registerCanary(present(plaintext));
  } finally {
    await knex.destroy();
  }
}

/** openSites starts replicas, all at once; what was opened is added to `opened`. */
export async function openSites(
  options: {
    readonly count: number;
    readonly databaseUrl: string;
    readonly maxStaleSeconds: number;
    readonly isProxied?: boolean;
  },
  opened: { close(): unknown }[],
): Promise<Site[]> {
  const { count, databaseUrl, maxStaleSeconds, isProxied = true } = options;
  return Promise.all(
    Array.from({ length: count }, async (_each, index) => {
      const site = await Site.open({ index, databaseUrl, maxStaleSeconds, isProxied });
      opened.push(site);
      return site;
    }),
  );
}

let estatesMade = 0;

/** newEstate makes an account, a user of it, and tokens of theirs. */
export async function newEstate(caller: Caller, tokens: number): Promise<Estate> {
  estatesMade += 1;
  const name = `estate-${estatesMade}`;
  const { accounts } = caller;
  const account = await caller.call(
    accounts.createAccount.bind(accounts),
    CreateAccountRequest.fromPartial({ name }),
  );
  const user = await caller.call(
    accounts.createUser.bind(accounts),
    CreateUserRequest.fromPartial({ username: name, isStaff: true }),
  );
  const [accountRow, userRow] = [present(account.account), present(user.user)];
  const profile = await caller.call(
    accounts.createUserProfile.bind(accounts),
    CreateUserProfileRequest.fromPartial({
      user: { selector: { $case: 'id', value: userRow.id } },
      account: { selector: { $case: 'id', value: accountRow.id } },
    }),
  );
  const switched = ({ id, etag }: { id: bigint; etag: string }) => ({ id, etag, isOn: true });
  const estate = new Estate(switched(accountRow), switched(userRow), present(profile.userProfile).id);
  for (let made = 0; made < tokens; made += 1)
    estate.current.push(await createToken(caller, estate.profileId));
  return estate;
}

/** newValidator gives a token that may validate and do nothing else. */
async function newValidator(caller: Caller, profileId: bigint): Promise<string> {
  const { tokens } = caller;
  const { plaintext } = await caller.call(
    tokens.createToken.bind(tokens),
    CreateTokenRequest.fromPartial({
      owner: { selector: { $case: 'id', value: profileId } },
      name: 'validator',
      scopes: ['keyward.tokens.validate'],
    }),
  );
  return registerCanary(plaintext);
}

function recordStart(estate: Estate, recorder: Recorder): void {
  const now = recorder.now();
  const result = { kind: 'created' } as const;
  const verdicts = estate.verdicts();
  recorder.changes.push({ what: 'create', through: 0, startedAt: now, endedAt: now, result, verdicts });
}
