import { bootstrap } from '../../../src/admin-bootstrap.js';
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
import type { Programs } from './clients/broken.js';
import { Fleet } from './clients/fleet.js';
import { Driver } from './driver.js';
import { DurablePostgres } from './durable-postgres.js';
import { Estate } from './estate.js';
import { Gate } from './gate.js';
import { Recorder, type Change } from './history.js';
import { Site } from './site.js';

const REPLICAS = 3;
const TOKENS = 3;
const BYSTANDERS = 4;

export interface WorldOptions {
  readonly seed: number;
  /** KEYWARD_MAX_STALE_SECONDS of the replicas; 0 is strict mode. */
  readonly maxStaleSeconds: number;
  /** How many change something at a time, each an estate of its own. */
  readonly drivers: number;
  /** Clients that have a memory of their own. */
  readonly clients: number;
  /** What runs instead of this checkout's. */
  readonly programs?: Programs;
  /** Between one question and the next of those who ask all the time. */
  readonly pauseMs: number;
  readonly validationLimitMs: number;
  readonly changeLimitMs: number;
  /** For how long whoever asks must have stood still for that to count. */
  readonly stallMs?: number;
}

/** Opened is what is to be closed, the last first. */
export type Opened = { close(): unknown }[];

/** closing does some work, and closes what it has opened. */
export async function closing<T>(work: (opened: Opened) => Promise<T>): Promise<T> {
  const opened: Opened = [];
  try {
    return await work(opened);
  } finally {
    for (const each of opened.reverse()) await each.close();
  }
}

/** World is a service of three replicas with its database, that is asked and changed while faults meet it. */
export class World {
  readonly postgres: DurablePostgres;
  readonly sites: readonly Site[];
  /** Token of the superuser. */
  readonly admin: string;
  readonly recorder: Recorder;
  readonly gate = new Gate();
  readonly estates: readonly Estate[];
  /** Nobody changes it. */
  readonly others: Estate;
  readonly fleet: Fleet;
  readonly #changes: readonly Changes[];
  readonly #asker: Asker;
  readonly #seed: number;
  #isOver = false;

  /** open adds to `opened` all that it opens, as soon as that is open. */
  static async open(options: WorldOptions, opened: Opened): Promise<World> {
    const { seed, maxStaleSeconds, drivers, stallMs, validationLimitMs, changeLimitMs } = options;
    const postgres = await DurablePostgres.create();
    opened.push({ close: () => postgres.remove() });
    const admin = await prepare(postgres.url);
    const { clients, programs: { serverMain, clientModule } = {} } = options;
    const place = { databaseUrl: postgres.url, maxStaleSeconds, serverMain };
    const sites = await openSites({ count: REPLICAS, ...place }, opened);
    const callersWith = (token: string, limitMs: number) =>
      sites.map(({ port }) => {
        const caller = new Caller(port, token, limitMs);
        opened.push(caller);
        return caller;
      });
    const managers = callersWith(admin, changeLimitMs);
    const manager = present(managers[0]);
    const estates = await Promise.all(Array.from({ length: drivers }, () => newEstate(manager, TOKENS)));
    const others = await newEstate(manager, BYSTANDERS);
    const validators = callersWith(await newValidator(manager, others.profileId), validationLimitMs);
    const recorder = new Recorder(stallMs);
    opened.push(recorder);
    const token = await newValidator(manager, others.profileId, 'keyward.tokens.cache');
    const ports = sites.map(({ port }) => port);
    const bystanders = others.current;
    const asked = { ports, token, seed, timeoutMs: validationLimitMs, estates, bystanders, recorder };
    const module = clientModule === undefined ? {} : { module: clientModule };
    const fleet = await Fleet.open({ count: clients, ...module, ...asked }, opened);
    const made = { options, recorder, postgres, sites, admin, estates, others, fleet, managers, validators };
    return new World(made);
  }

  private constructor(made: {
    readonly options: WorldOptions;
    readonly recorder: Recorder;
    readonly postgres: DurablePostgres;
    readonly sites: readonly Site[];
    readonly admin: string;
    readonly estates: readonly Estate[];
    readonly others: Estate;
    readonly fleet: Fleet;
    readonly managers: readonly Caller[];
    readonly validators: readonly Caller[];
  }) {
    const { options, recorder, postgres, sites, admin, estates, others, fleet, managers, validators } = made;
    const { seed, pauseMs } = options;
    this.fleet = fleet;
    this.recorder = recorder;
    this.postgres = postgres;
    this.sites = sites;
    this.admin = admin;
    this.estates = estates;
    this.others = others;
    this.#seed = seed;
    for (const estate of [...estates, others]) recordStart(estate, recorder);
    const bystanders = others.current;
    for (const { number } of bystanders) recorder.bystanders.add(number);
    this.#asker = new Asker({ callers: validators, estates, bystanders, recorder, seed, pauseMs });
    const ask = (change: Change, credentials: Parameters<Asker['follow']>[1]) => {
      this.#asker.follow(change, credentials);
      fleet.follow(change, credentials);
    };
    this.#changes = estates.map(
      (estate) => new Changes({ estate, callers: managers, postgres, recorder, ask, isOver: this.isOver }),
    );
  }

  readonly isOver = (): boolean => this.#isOver;

  /**
   * during asks and changes while some work is done, and gives whether at last a change through each replica was complete, and clients hold
   * what nobody changes.
   */
  async during(work: () => Promise<void>): Promise<boolean> {
    const { estates, gate, fleet } = this;
    const asking = [this.#asker.run(this.isOver), fleet.run(this.isOver)];
    const driving = this.#changes.map((changes, at) => {
      const seed = this.#seed + 10_000 + at;
      const estate = present(estates[at]);
      return new Driver({ estate, changes, gate, seed, replicas: REPLICAS }).run(this.isOver);
    });
    try {
      await work();
    } finally {
      this.#isOver = true;
    }
    await Promise.all(driving);
    const areComplete = await this.#areComplete();
    const hasRecovered = (await fleet.haveLearned()) && areComplete;
    await Promise.all(asking);
    await this.#asker.settled();
    return hasRecovered;
  }

  /** stop ends the clients and the replicas, and completes the history. */
  async stop(): Promise<void> {
    const { recorder, sites, fleet } = this;
    await fleet.finish();
    for (const site of sites) await site.kill();
    for (const { index, joins } of sites)
      recorder.joins.push(...joins.map((at) => ({ replica: index, at: recorder.timeOf(at) })));
  }

  /** #areComplete makes one change through each replica, when nothing should be wrong any more. */
  async #areComplete(): Promise<boolean> {
    const { recorder } = this;
    const [changes, estate] = [present(this.#changes[0]), present(this.estates[0])];
    const from = recorder.changes.length;
    const { row } = present(estate.current[0]);
    for (let replica = 0; replica < REPLICAS; replica += 1)
      await changes.flip({ kind: 'token', row }, replica);
    const made = recorder.changes.slice(from);
    return made.length === REPLICAS && made.every(({ result }) => result.kind === 'complete');
  }
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
    readonly serverMain?: string | undefined;
  },
  opened: Opened,
): Promise<Site[]> {
  const { count, isProxied = true, ...rest } = options;
  return Promise.all(
    Array.from({ length: count }, async (_each, index) => {
      const site = await Site.open({ index, isProxied, ...rest });
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

/** newValidator gives a token that may validate, and what else is named. */
async function newValidator(caller: Caller, profileId: bigint, ...more: readonly string[]): Promise<string> {
  const { tokens } = caller;
  const { plaintext } = await caller.call(
    tokens.createToken.bind(tokens),
    CreateTokenRequest.fromPartial({
      owner: { selector: { $case: 'id', value: profileId } },
      name: ['validator', ...more].join(' with '),
      scopes: ['keyward.tokens.validate', ...more],
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
