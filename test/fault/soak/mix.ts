import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardClient, ValidateTokenResponse } from '../../../src/client/index.js';
import { CreateAccountRequest } from '../../../src/gen/keyward/account/v1/account_service.js';
import { ListTokensRequest } from '../../../src/gen/keyward/token/v1/token_service.js';
import { byId } from '../../support/requests.js';
import { Random } from '../../support/random.js';
import { toAnswer } from '../campaign/asker.js';
import type { Caller } from '../campaign/caller.js';
import { present } from '../campaign/changes.js';
import type { Credential, Estate } from '../campaign/estate.js';
import type { Recorder } from '../campaign/history.js';
import type { Calls, Kind } from './calls.js';
import type { Kept } from './kept.js';
import { BOUND_MS } from './limits.js';
import { Listing, type Page } from './listing.js';

/** Callers are the clients of one replica. */
export interface Callers {
  readonly admin: KeywardClient;
  /** Of one who may do all that users may, and owns the secrets. */
  readonly user: KeywardClient;
  /** The same as `admin`, with a deadline that hardly any call keeps. */
  readonly hasty: KeywardClient;
  /** The same as `admin`, whose calls can be cancelled. */
  readonly fickle: Caller;
}

export interface MixOptions {
  /** One for each replica. */
  readonly callers: readonly Callers[];
  readonly estates: readonly Estate[];
  readonly others: Estate;
  readonly kept: Kept;
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
const MAX_UNTIL_CANCELLED_MS = 30;

/** A call of a kind. Those that validate give what they were told, to be held against what is so. */
interface Call {
  readonly weight: number;
  readonly expects?: readonly string[];
  readonly make: (callers: Callers, mix: Mix, random: Random, replica: number) => Promise<unknown>;
}

const often = (weight: number, make: Call['make']): Call => ({ weight, make });
/** One page after the other; what is always there has to be in one of them. */
const list = (name: ListName): Call =>
  often(5, ({ admin, user }, mix, _random, replica) => mix.listOn(name, { admin, user }, replica));

type ListName = 'ListTokens' | 'ListSecrets' | 'ListAccounts' | 'ListUsers' | 'ListUserProfiles';

const LISTS: Readonly<
  Record<
    ListName,
    {
      readonly page: (
        callers: Pick<Callers, 'admin' | 'user'>,
        from: { readonly pageSize: number; readonly pageToken: string },
      ) => Promise<Page>;
      readonly expected: (mix: Mix) => readonly bigint[];
    }
  >
> = {
  ListTokens: {
    page: async ({ admin }, from) => pageOf(await admin.tokens.listTokens(from), ({ tokens }) => tokens),
    expected: ({ others }) => others.current.map(({ row }) => row.id),
  },
  ListSecrets: {
    page: async ({ user }, from) => pageOf(await user.secrets.listSecrets(from), ({ secrets }) => secrets),
    expected: ({ kept }) => kept.secrets.map(({ id }) => id),
  },
  ListAccounts: {
    page: async ({ admin }, from) =>
      pageOf(await admin.accounts.listAccounts(from), ({ accounts }) => accounts),
    expected: (mix) => mix.all.map(({ account }) => account.id),
  },
  ListUsers: {
    page: async ({ admin }, from) => pageOf(await admin.accounts.listUsers(from), ({ users }) => users),
    expected: (mix) => mix.all.map(({ user }) => user.id),
  },
  ListUserProfiles: {
    page: async ({ admin }, from) =>
      pageOf(await admin.accounts.listUserProfiles(from), ({ userProfiles }) => userProfiles),
    expected: (mix) => mix.all.map(({ profileId }) => profileId),
  },
};

function pageOf<Response extends { readonly nextPageToken: string }>(
  response: Response,
  rows: (response: Response) => readonly { readonly id: bigint }[],
): Page {
  return { ids: rows(response).map(({ id }) => id), next: response.nextPageToken };
}

const CALLS: Readonly<Record<string, Call>> = {
  BatchValidateTokens: often(20, ({ user }, mix, random, replica) =>
    mix.validateBatch(user, random, replica),
  ),
  StreamValidateTokens: often(15, ({ user }, mix, random, replica) =>
    mix.validateStream(user, random, replica),
  ),
  WatchTokens: often(4, ({ admin }, mix, random) => mix.watch(admin.tokens.watchTokens({}), random)),
  WatchSecrets: often(4, ({ user }, mix, random) => mix.watch(user.secrets.watchSecrets({}), random)),
  ListTokens: list('ListTokens'),
  ListSecrets: list('ListSecrets'),
  ListAccounts: list('ListAccounts'),
  ListUsers: list('ListUsers'),
  ListUserProfiles: list('ListUserProfiles'),
  ListAuditEvents: often(8, ({ admin }) => admin.audit.listAuditEvents({ pageSize: PAGE })),
  GetToken: often(6, ({ user }, mix) => user.tokens.getToken({ token: byId(mix.bystander.row) })),
  GetAccount: often(4, ({ admin }, mix) => admin.accounts.getAccount({ account: byId(mix.others.account) })),
  GetUser: often(4, ({ admin }, mix) => admin.accounts.getUser({ user: byId(mix.others.user) })),
  BatchAccessSecrets: often(10, ({ user }, mix, _random, replica) => mix.accessBatch(user, replica)),
  'hasty ListAuditEvents': often(6, ({ hasty }) => hasty.audit.listAuditEvents({ pageSize: 1_000 })),
  'hasty ListTokens': often(6, ({ hasty }) => hasty.tokens.listTokens({ pageSize: 1_000 })),
  'hasty CreateAccount': often(4, ({ hasty }, mix) => hasty.accounts.createAccount({ name: mix.newName() })),
  'cancelled ListTokens': often(4, ({ fickle }, _mix, random) =>
    fickle.call(
      fickle.tokens.listTokens.bind(fickle.tokens),
      ListTokensRequest.fromPartial({ pageSize: 1_000 }),
      delay(random.below(MAX_UNTIL_CANCELLED_MS)),
    ),
  ),
  'cancelled CreateAccount': often(4, ({ fickle }, mix, random) =>
    fickle.call(
      fickle.accounts.createAccount.bind(fickle.accounts),
      CreateAccountRequest.fromPartial({ name: mix.newName() }),
      delay(random.below(MAX_UNTIL_CANCELLED_MS)),
    ),
  ),
};

const DECK = Object.entries(CALLS).flatMap(([name, { weight }]) => Array<string>(weight).fill(name));

/** Mix makes calls of all kinds through every replica. */
export class Mix {
  readonly others: Estate;
  readonly kept: Kept;
  /** Each has an account, a user and a profile that are always there. */
  readonly all: readonly Estate[];
  readonly bystander: Credential;
  /** What answers held that they must not. */
  readonly wrong: string[] = [];
  /** How many lists were read to their end. */
  lists = 0;
  readonly #options: MixOptions;
  readonly #listings = new Map<string, Listing>();
  readonly #kinds: ReadonlyMap<string, Kind>;
  #names = 0;

  constructor(options: MixOptions) {
    this.#options = options;
    this.others = options.others;
    this.kept = options.kept;
    this.all = [...options.estates, options.others];
    this.bystander = present(options.others.current[0]);
    this.#kinds = new Map(
      Object.entries(CALLS).map(([name, call]) => [name, { name, boundMs: BOUND_MS, ...call }]),
    );
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

  async accessBatch({ secrets }: KeywardClient, replica: number): Promise<void> {
    const requests = this.kept.secrets.map(({ id }) => ({ secret: byId({ id }) }));
    const { results } = await secrets.batchAccessSecrets({ requests });
    const wrong = this.kept.wrongIn(results);
    this.wrong.push(...wrong.map((text) => `BatchAccessSecrets through replica ${replica}: ${text}`));
  }

  /** listOn reads the next page of a list, and holds it against what must be there once it has come to the end. */
  async listOn(name: ListName, callers: Pick<Callers, 'admin' | 'user'>, replica: number): Promise<void> {
    const { page, expected } = LISTS[name];
    const key = `${name} through replica ${replica}`;
    const listing = this.#listings.get(key) ?? new Listing();
    this.#listings.set(key, listing);
    const { pageToken } = listing;
    const next = await page(callers, { pageSize: PAGE, pageToken });
    // Another loop may have read the same page.
    if (listing.pageToken !== pageToken) return;
    const wrong = listing.add(next, expected(this));
    if (wrong === undefined) return;
    this.lists += 1;
    this.wrong.push(...wrong.map((text) => `${key}: ${text}`));
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
