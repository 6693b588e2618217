import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardClient, ValidateTokenResponse } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { Random } from '../../support/random.js';
import { toAnswer } from '../campaign/asker.js';
import { present } from '../campaign/changes.js';
import type { Credential, Estate } from '../campaign/estate.js';
import type { Recorder } from '../campaign/history.js';
import type { Calls, Kind } from './calls.js';
import { CHANGE_MS, READ_MS } from './limits.js';

/** Callers are the clients of one replica. */
export interface Callers {
  readonly admin: KeywardClient;
  /** Of one who may do all that users may, and owns the secrets. */
  readonly user: KeywardClient;
  /** The same as `admin`, with a deadline that hardly any call keeps. */
  readonly hasty: KeywardClient;
}

export interface MixOptions {
  /** One for each replica. */
  readonly callers: readonly Callers[];
  readonly estates: readonly Estate[];
  readonly others: Estate;
  /** Ids of the user's secrets. */
  readonly secrets: readonly bigint[];
  readonly recorder: Recorder;
  readonly calls: Calls;
  readonly seed: number;
}

/** Loops of mixed calls at each replica. */
const LOOPS = 2;
const MAX_PAUSE_MS = 80;
const MAX_VALIDATED = 20;
const MAX_WATCH_MS = 3_000;
const PAGE = 50;

/** A call of a kind. Those that validate give what they were told, to be held against what is so. */
interface Call {
  readonly weight: number;
  readonly boundMs: number;
  readonly expects?: readonly string[];
  readonly make: (callers: Callers, mix: Mix, random: Random, replica: number) => Promise<unknown>;
}

const read = (weight: number, make: Call['make']): Call => ({ weight, boundMs: READ_MS, make });
const pageSize = PAGE;

const CALLS: Readonly<Record<string, Call>> = {
  BatchValidateTokens: read(20, ({ user }, mix, random, replica) => mix.validateBatch(user, random, replica)),
  StreamValidateTokens: read(15, ({ user }, mix, random, replica) =>
    mix.validateStream(user, random, replica),
  ),
  WatchTokens: read(4, ({ admin }, mix, random) => mix.watch(admin.tokens.watchTokens({}), random)),
  WatchSecrets: read(4, ({ user }, mix, random) => mix.watch(user.secrets.watchSecrets({}), random)),
  ListTokens: read(6, ({ admin }) => admin.tokens.listTokens({ pageSize })),
  ListSecrets: read(6, ({ user }) => user.secrets.listSecrets({ pageSize })),
  ListAccounts: read(4, ({ admin }) => admin.accounts.listAccounts({ pageSize })),
  ListUsers: read(4, ({ admin }) => admin.accounts.listUsers({ pageSize })),
  ListUserProfiles: read(4, ({ admin }) => admin.accounts.listUserProfiles({ pageSize })),
  ListAuditEvents: read(8, ({ admin }) => admin.audit.listAuditEvents({ pageSize })),
  GetToken: read(6, ({ user }, mix) => user.tokens.getToken({ token: byId(mix.bystander.row) })),
  GetAccount: read(4, ({ admin }, mix) => admin.accounts.getAccount({ account: byId(mix.others.account) })),
  GetUser: read(4, ({ admin }, mix) => admin.accounts.getUser({ user: byId(mix.others.user) })),
  BatchAccessSecrets: read(10, ({ user }, mix) => mix.accessBatch(user)),
  'hasty ListAuditEvents': read(6, ({ hasty }) => hasty.audit.listAuditEvents({ pageSize: 1_000 })),
  'hasty ListTokens': read(6, ({ hasty }) => hasty.tokens.listTokens({ pageSize: 1_000 })),
  'hasty CreateAccount': {
    ...read(4, ({ hasty }, mix) => hasty.accounts.createAccount({ name: mix.newName() })),
    boundMs: CHANGE_MS,
  },
};

const DECK = Object.entries(CALLS).flatMap(([name, { weight }]) => Array<string>(weight).fill(name));

/** Mix makes calls of all kinds through every replica. */
export class Mix {
  readonly others: Estate;
  readonly bystander: Credential;
  readonly #options: MixOptions;
  readonly #kinds: ReadonlyMap<string, Kind>;
  #names = 0;

  constructor(options: MixOptions) {
    this.#options = options;
    this.others = options.others;
    this.bystander = present(options.others.current[0]);
    this.#kinds = new Map(Object.entries(CALLS).map(([name, call]) => [name, { name, ...call }]));
  }

  async run(isOver: () => boolean): Promise<void> {
    const { callers } = this.#options;
    const loops = callers.flatMap((_each, replica) =>
      Array.from({ length: LOOPS }, (_loop, loop) => this.#loop(replica, loop, isOver)),
    );
    await Promise.all(loops);
  }

  newName(): string {
    this.#names += 1;
    return `hasty-${this.#names}`;
  }

  async validateBatch(client: KeywardClient, random: Random, replica: number): Promise<void> {
    const asked = this.#pickCredentials(random);
    const startedAt = this.#options.recorder.now();
    const requests = asked.map(({ plaintext }) => ({ token: plaintext }));
    const { responses } = await client.tokens.batchValidateTokens({ requests });
    for (const [at, credential] of asked.entries())
      this.#record(credential, replica, startedAt, present(responses[at]));
  }

  async validateStream(client: KeywardClient, random: Random, replica: number): Promise<void> {
    const asked = this.#pickCredentials(random);
    const startedAt = this.#options.recorder.now();
    let at = 0;
    for await (const response of client.tokens.streamValidateTokens(requestsOf(asked))) {
      this.#record(present(asked[at]), replica, startedAt, response);
      at += 1;
    }
    if (at !== asked.length) throw new Error(`${at} answers to ${asked.length} requests`);
  }

  /** watch ends some time after the first message, which comes at once. */
  async watch(messages: AsyncIterable<unknown>, random: Random): Promise<void> {
    const iterator = messages[Symbol.asyncIterator]();
    await iterator.next();
    void delay(random.below(MAX_WATCH_MS)).then(() => iterator.return?.());
  }

  async accessBatch({ secrets }: KeywardClient): Promise<void> {
    const requests = this.#options.secrets.map((id) => ({ secret: byId({ id }) }));
    await secrets.batchAccessSecrets({ requests });
  }

  async #loop(replica: number, loop: number, isOver: () => boolean): Promise<void> {
    const { callers, calls, seed } = this.#options;
    const random = new Random(seed + 20_000 + 100 * replica + loop);
    while (!isOver()) {
      const name = random.pick(DECK);
      const { make } = present(CALLS[name]);
      await calls.make(present(this.#kinds.get(name)), replica, () =>
        make(present(callers[replica]), this, random, replica).then(() => undefined),
      );
      await delay(random.below(MAX_PAUSE_MS));
    }
  }

  #pickCredentials(random: Random): Credential[] {
    const { estates } = this.#options;
    const count = 1 + random.below(MAX_VALIDATED);
    return Array.from({ length: count }, () => random.pick(random.pick(estates).credentials));
  }

  #record(
    { number }: Credential,
    replica: number,
    startedAt: number,
    response: Pick<ValidateTokenResponse, 'valid' | 'reason' | 'stale'>,
  ): void {
    const { recorder } = this.#options;
    const answer = toAnswer(response);
    recorder.validated({ credential: number, replica, startedAt, endedAt: recorder.now(), answer });
  }
}

async function* requestsOf(credentials: readonly Credential[]): AsyncGenerator<{ token: string }> {
  for (const { plaintext } of credentials) yield await Promise.resolve({ token: plaintext });
}
