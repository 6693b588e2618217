import { createHash, randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { accountHandlers } from '../../../src/account/account-handler.js';
import { DoneRequestRepository } from '../../../src/idempotency/done-request-repository.js';
import type { Caller } from '../../../src/authz/caller.js';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { openDatabase } from '../../../src/db/knex.js';
import { systemClock } from '../../../src/lib/clock.js';
import { tokenHandlers } from '../../../src/token/token-handler.js';
import { tokenReferenceHandlers } from '../../../src/token/reference-handler.js';
import { manifestHandlers } from '../../../src/manifest/manifest-handler.js';
import { ManifestService } from '../../../src/manifest/manifest-service.js';
import { secretServices } from '../../../src/secret/secret-services.js';
import { JoinedServices, ownerServices } from '../../../src/server-services.js';
import { createTestDatabase } from '../../support/database.js';
import { ofTokens } from '../../support/rpc.js';
import { changesAlone } from '../../support/single-replica.js';
import { namesOf, type Names, type Things } from './documents.js';
import type { Place, Vault } from './oracle.js';
import { CERTIFICATE_SCOPES, placesNow, present, type Presented } from './presented.js';
import { keepVaults, reachingHandlers, readVaults, vaultDependencies } from './vaults.js';

const PLATFORM = '3141-5926-5359';

const ACCOUNTS = [PLATFORM, '1111-1111-1111', '2222-2222-2222', '3333-3333-3333'] as const;
const SWITCHED_OFF_ACCOUNT = 4;

/** Users with the numbers of their accounts, counted from 1. */
const USERS: readonly {
  readonly username: string;
  readonly accounts: readonly number[];
  readonly isStaff?: true;
  readonly isSuperuser?: true;
  readonly isActive?: false;
}[] = [
  { username: 'root', accounts: [1], isStaff: true, isSuperuser: true },
  { username: 'boss', accounts: [1, 2], isStaff: true, isSuperuser: true },
  { username: 'staff-platform', accounts: [1], isStaff: true },
  { username: 'staff-a', accounts: [2], isStaff: true },
  { username: 'staff-b', accounts: [3], isStaff: true },
  { username: 'staff-a-and-b', accounts: [2, 3], isStaff: true },
  { username: 'plain-platform', accounts: [1] },
  { username: 'plain-a', accounts: [2] },
  { username: 'staff-off', accounts: [SWITCHED_OFF_ACCOUNT, 2], isStaff: true },
  { username: 'plain-off', accounts: [SWITCHED_OFF_ACCOUNT] },
  { username: 'off', accounts: [2], isStaff: true, isActive: false },
  { username: 'off-b', accounts: [3], isActive: false },
  { username: 'nowhere', accounts: [], isStaff: true },
];

/** What every user has of tokens. */
const TOKENS = [
  { name: 'wide', scopes: ['*'] },
  { name: 'narrow', scopes: ['app.read'] },
  { name: 'tokens', scopes: ['keyward.tokens.write', 'app.*'] },
  { name: 'accounts', scopes: ['keyward.accounts.write'] },
  { name: 'both', scopes: ['keyward.tokens.write', 'keyward.accounts.write', 'app.read'] },
  { name: 'secrets', scopes: ['keyward.secrets.write', 'keyward.secrets.access'] },
  { name: 'values', scopes: ['keyward.secrets.access'] },
  { name: 'writes', scopes: ['keyward.secrets.write', 'keyward.tokens.write'] },
  {
    name: 'documents',
    scopes: ['tokens', 'secrets', 'accounts'].flatMap((kind) => [
      `keyward.${kind}.read`,
      `keyward.${kind}.write`,
    ]),
  },
  { name: 'off', scopes: ['*'], isActive: false },
  { name: 'expired', scopes: ['*', 'billing'], hours: -1 },
  { name: 'ending', scopes: ['app.write'], hours: 1 },
] as const;

/** Known is a token of the estate, with a plaintext of it that somebody may know. */
export interface Known {
  readonly digest: string;
  readonly tokenId: bigint;
  readonly userId: bigint;
  readonly accountId: bigint;
  readonly name: string;
}

/** TestHandler is a handler of any method. */
export interface TestHandler {
  readonly permission: string;
  readonly alsoNeeds?: readonly string[];
  readonly handle: (request: never, caller: Caller) => Promise<object>;
}

/** Pools are the numbers of all that there is at a moment, for requests to choose from. */
export interface Pools {
  readonly tokens: bigint[];
  readonly users: bigint[];
  readonly profiles: bigint[];
  readonly accounts: bigint[];
  readonly secrets: bigint[];
}

/**
 * Estate is accounts, users and tokens of every kind, and the services that change them. All that is done goes on in
 * one transaction, of which `undone` takes back what one piece of work did.
 */
export class Estate {
  readonly handlers: Readonly<Record<string, TestHandler>>;
  readonly known: readonly Known[];
  /** What there is before anything is done: see `present`. */
  readonly atFirst: ReadonlyMap<string, Presented>;
  /** The secrets that there are before anything is done. */
  readonly vaults: readonly Vault[];
  readonly #trx: Knex.Transaction;
  readonly #close: () => Promise<void>;

  private constructor(
    trx: Knex.Transaction,
    known: readonly Known[],
    atFirst: Estate['atFirst'],
    vaults: readonly Vault[],
    close: () => Promise<void>,
  ) {
    this.#trx = trx;
    this.#close = close;
    this.known = known;
    this.atFirst = atFirst;
    this.vaults = vaults;
    this.handlers = handlersOn(trx);
  }

  static async open(): Promise<Estate> {
    const database = await createTestDatabase();
    const knex = openDatabase({
      url: database.url,
      poolSize: 1,
      connectTimeoutMs: 10_000,
      statementTimeoutMs: 20_000,
    });
    const known = await build(knex);
    const trx = await knex.transaction();
    const digests = known.map(({ digest }) => digest);
    const usernames = USERS.map(({ username }) => username);
    const atFirst = await present(trx, digests, usernames);
    const vaults = await readVaults(trx, new Map());
    return new Estate(trx, known, atFirst, vaults, async () => {
      await trx.rollback();
      await knex.destroy();
      await database.drop();
    });
  }

  close(): Promise<void> {
    return this.#close();
  }

  pools(): Pools {
    const tokens = [...new Set(this.known.map(({ tokenId }) => tokenId))];
    const profiles = USERS.flatMap(({ accounts }, index) =>
      accounts.map((account) => profileId(index, account)),
    );
    const numbered = (things: readonly unknown[]) => things.map((_, index) => BigInt(index + 1));
    const secrets = this.vaults.map(({ value }) => BigInt(value));
    return { tokens, users: numbered(USERS), profiles, accounts: numbered(ACCOUNTS), secrets };
  }

  /** undone does something, and takes everything back. */
  async undone<T>(work: () => Promise<T>): Promise<T> {
    await this.#trx.raw('SAVEPOINT estate');
    try {
      return await work();
    } finally {
      await this.#trx.raw('ROLLBACK TO SAVEPOINT estate');
      await this.#trx.raw('RELEASE SAVEPOINT estate');
    }
  }

  /** present tells of those of the plaintexts and certificates that there are, by digest and by username. */
  present(digests: readonly string[], usernames: readonly string[]): Promise<Map<string, Presented>> {
    return present(this.#trx, digests, usernames);
  }

  /** vaultsNow are the secrets that there are, where `originals` tells of which each copy was made. */
  vaultsNow(originals: ReadonlyMap<string, string>): Promise<Vault[]> {
    return readVaults(this.#trx, originals);
  }

  /** names are what documents call these things. */
  names(things: Things): Promise<Names> {
    return namesOf(this.#trx, things);
  }

  places(): Promise<Place[]> {
    return placesNow(this.#trx);
  }
}

function handlersOn(trx: Knex.Transaction): Readonly<Record<string, TestHandler>> {
  const rightsReader = new CallerRightsRepository(trx);
  const nothing = (): void => undefined;
  const deps = {
    ...vaultDependencies(trx),
    knex: trx,
    rightsReader,
    requests: new DoneRequestRepository(trx),
    changes: changesAlone(trx),
    clock: systemClock,
    config: { tlsClientCa: 'there is one', tlsClientScopes: CERTIFICATE_SCOPES },
    memory: { evict: nothing, evictProfiles: nothing, evictOwners: nothing, evictUsers: nothing },
  };
  const owners = ownerServices(deps);
  const vaults = secretServices(deps);
  const manifests = new ManifestService({
    services: { ...owners, ...vaults },
    transaction: new JoinedServices(deps),
    access: vaults.access,
    clock: systemClock,
  });
  const { applyManifest } = manifestHandlers(manifests);
  const handlers = {
    ...tokenHandlers(owners.tokens, systemClock),
    ...ofTokens(tokenReferenceHandlers(owners.references)),
    ...accountHandlers(owners.accounts, systemClock),
    ...reachingHandlers(vaults),
    applyManifest,
  };
  return Object.fromEntries(
    Object.entries(handlers).map(([name, { permission, ...handler }]) => {
      // Which scopes a manifest needs goes by its documents: the service asks for them.
      return [name, { ...handler, permission: typeof permission === 'string' ? permission : BY_REQUEST }];
    }),
  );
}

/** BY_REQUEST is the permission of a method whose requests need one scope or another. */
export const BY_REQUEST = 'by request';

function profileId(userIndex: number, account: number): bigint {
  return BigInt((userIndex + 1) * 10 + account);
}

/** build writes the estate, and switches off what tells other replicas of changes: there are none. */
async function build(knex: Knex): Promise<Known[]> {
  const tables = ['accounts', 'users', 'user_profiles', 'tokens', 'token_digests', 'token_references'];
  for (const table of [...tables, 'secrets', 'secret_versions', 'secret_grants']) {
    await knex.raw(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
  }
  await knex('accounts').insert(
    ACCOUNTS.map((number, index) => ({
      id: index + 1,
      account_number: number,
      name: `account ${index + 1}`,
      is_active: index + 1 !== SWITCHED_OFF_ACCOUNT,
    })),
  );
  const known: Known[] = [];
  for (const [index, user] of USERS.entries()) {
    const { username, accounts, isStaff = false, isSuperuser = false, isActive = true } = user;
    const userId = index + 1;
    await knex('users').insert({
      id: userId,
      username,
      is_active: isActive,
      is_staff: isStaff,
      is_superuser: isSuperuser,
    });
    for (const account of accounts) {
      const profile = { id: String(profileId(index, account)), user_id: userId, account_id: account };
      await knex('user_profiles').insert({ ...profile, name: username });
    }
    const [home] = accounts;
    if (home === undefined) continue;
    for (const token of TOKENS) known.push(...(await insertToken(knex, index, home, token)));
    await keepVaults(knex, [profileId(index, home)]);
  }
  return known;
}

/** insertToken makes a token with two plaintexts that pass: the second is in its grace. Someone else issued both. */
async function insertToken(
  knex: Knex,
  userIndex: number,
  account: number,
  token: { name: string; scopes: readonly string[]; isActive?: false; hours?: number },
): Promise<Known[]> {
  const { name, scopes, isActive = true, hours } = token;
  const [row] = await knex('tokens')
    .insert({
      key_id: randomUUID(),
      user_profile_id: String(profileId(userIndex, account)),
      name,
      scopes,
      is_active: isActive,
      expires_at: hours === undefined ? null : knex.raw(`now() + interval '${hours} hours'`),
    })
    .returning<{ id: bigint }[]>('id');
  if (row === undefined) throw new Error('a token was not inserted');
  const digests = ['current', 'in grace'].map((which) =>
    createHash('sha512').update(`${userIndex} ${name} ${which}`).digest(),
  );
  await knex('token_digests').insert(
    digests.map((digest, index) => ({
      digest,
      token_id: String(row.id),
      token_key: '',
      retires_at: index === 0 ? null : knex.raw("now() + interval '1 day'"),
      issued_by_user_id: index === 0 ? 1 : null,
      issued_by_username: index === 0 ? 'root' : null,
    })),
  );
  return digests.map((digest) => ({
    digest: digest.toString('hex'),
    tokenId: row.id,
    userId: BigInt(userIndex + 1),
    accountId: BigInt(account),
    name: `${USERS[userIndex]?.username ?? ''} ${name}`,
  }));
}
