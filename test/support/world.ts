import { randomBytes } from 'node:crypto';
import { bootstrap } from '../../src/admin-bootstrap.js';
import {
  connect,
  type Account,
  type KeywardClient,
  type Secret,
  type SecretPayload,
  type UserProfile,
} from '../../src/client/index.js';
import { openDatabase } from '../../src/db/knex.js';
import { registerCanary } from './canaries.js';
import { testAuditLog } from './audit.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { ManualClock } from './manual-clock.js';
import type { RequestOf } from './rpc.js';
import { startTestServer, type TestServer, type TestServerOptions } from './server.js';

/** Issued is a token's id with its plaintext, which is registered as a canary. */
export interface Issued {
  readonly id: bigint;
  readonly keyId: string;
  readonly name: string;
  readonly recordLocator: string;
  readonly hashedId: string;
  readonly plaintext: string;
}

/** Kept is a secret with its first value, which is registered as a canary. */
export interface Kept {
  readonly id: bigint;
  readonly name: string;
  readonly secret: Secret;
  readonly value: string;
}

/** newValue makes a value, registered as a canary. */
export function newValue(): string {
  return registerCanary(randomBytes(32).toString('hex'));
}

/** textOf makes a payload of a text. */
export function textOf(text: string): SecretPayload {
  return { value: { $case: 'text', value: text } };
}

const PLATFORM = '3141-5926-5359';
export const ACCOUNT_A = '1111-1111-1111';
export const ACCOUNT_B = '2222-2222-2222';

/** Who is staff where. `plain-a` owns a token from the time when they were staff. */
const MEMBERS = {
  'staff-a': [ACCOUNT_A],
  'owner-a': [ACCOUNT_A],
  'plain-a': [ACCOUNT_A],
  'staff-b': [ACCOUNT_B],
  'staff-platform': [PLATFORM],
  'staff-a-and-b': [ACCOUNT_A, ACCOUNT_B],
} as const;

export type Member = keyof typeof MEMBERS;

/**
 * World is a running service with two accounts besides the platform's, users of every callerRights, and a token for
 * each of them that may do everything. The superuser is `admin`, of the platform account.
 */
export class World {
  readonly database: TestDatabase;
  readonly server: TestServer;
  readonly clock: ManualClock;
  /** adminToken is the superuser's. */
  readonly adminToken: string;
  /** admin calls as the superuser. */
  readonly admin: KeywardClient;
  /** Each member's profile; of several, the first. */
  readonly profiles = new Map<Member | 'admin', UserProfile>();
  /** Each member's plaintext that may do everything, owned by that profile. */
  readonly tokens = new Map<Member, string>();
  readonly #opened: { close(): unknown }[] = [];
  #names = 0;

  private constructor(database: TestDatabase, server: TestServer, clock: ManualClock, adminToken: string) {
    this.database = database;
    this.server = server;
    this.clock = clock;
    this.adminToken = adminToken;
    this.admin = this.client(adminToken);
  }

  static async create(env: TestServerOptions['env'] = {}): Promise<World> {
    return World.on(await createTestDatabase(), env);
  }

  /** on makes a world in a migrated database without rows. */
  static async on(database: TestDatabase, env: TestServerOptions['env'] = {}): Promise<World> {
    // It begins at the present, since the database has a clock too.
    const clock = new ManualClock(Date.now());
    const adminToken = await bootstrapped(database.url);
    const server = await startTestServer({ databaseUrl: database.url, clock, env });
    const world = new World(database, server, clock, adminToken);
    await world.#seed();
    return world;
  }

  /** startServer starts another replica on the same database and clock, stopped with this world. */
  async startServer(env: TestServerOptions['env'] = {}): Promise<TestServer> {
    const server = await startTestServer({ databaseUrl: this.database.url, clock: this.clock, env });
    this.#opened.push({ close: () => server.stop() });
    return server;
  }

  /** client calls the world's server with a token. */
  client(token: string, server: TestServer = this.server): KeywardClient {
    const client = connect({ server: server.address, token });
    this.#opened.push(client);
    return client;
  }

  as(member: Member): KeywardClient {
    return this.client(this.tokenOf(member));
  }

  tokenOf(member: Member): string {
    return existing(this.tokens.get(member));
  }

  profileOf(member: Member | 'admin'): UserProfile {
    return existing(this.profiles.get(member));
  }

  /** newName is a name that nothing has. */
  newName(): string {
    this.#names += 1;
    return `thing-${this.#names}`;
  }

  /** issue makes a token of a member, as the superuser. */
  async issue(owner: Member | 'admin', request: RequestOf<'createToken'> = {}): Promise<Issued> {
    const { token, plaintext } = await this.admin.tokens.createToken({
      owner: { selector: { $case: 'id', value: this.profileOf(owner).id } },
      name: this.newName(),
      ...request,
    });
    const { id, keyId, name, recordLocator, hashedId } = existing(token);
    return { id, keyId, name, recordLocator, hashedId, plaintext: registerCanary(plaintext) };
  }

  /** issueTo makes a new user who is staff of account A, with a profile and a token. */
  async issueTo(user: RequestOf<'createUser'> = {}): Promise<Issued & { readonly profile: UserProfile }> {
    const username = this.newName();
    await this.admin.accounts.createUser({ username, isStaff: true, ...user });
    const profile = await this.join(username, ACCOUNT_A);
    const owner = { selector: { $case: 'id', value: profile.id } } as const;
    return { ...(await this.issue('admin', { owner })), profile };
  }

  /** keep makes a secret of a member, as the superuser, with a text for its value. */
  async keep(owner: Member | 'admin', request: RequestOf<'createSecret'> = {}): Promise<Kept> {
    const value = newValue();
    const made = await this.admin.secrets.createSecret({
      owner: { selector: { $case: 'id', value: this.profileOf(owner).id } },
      name: this.newName(),
      payload: textOf(value),
      ...request,
    });
    const secret = existing(made.secret);
    return { id: secret.id, name: secret.name, secret, value };
  }

  async newAccount(): Promise<Account> {
    return existing((await this.admin.accounts.createAccount({ name: this.newName() })).account);
  }

  async join(username: string, accountNumber: string): Promise<UserProfile> {
    const { userProfile } = await this.admin.accounts.createUserProfile({
      user: { selector: { $case: 'username', value: username } },
      account: { selector: { $case: 'accountNumber', value: accountNumber } },
      keepTokens: true,
    });
    return existing(userProfile);
  }

  async close(): Promise<void> {
    for (const opened of this.#opened.reverse()) await opened.close();
    await this.server.stop();
    await this.database.drop();
  }

  async #seed(): Promise<void> {
    const { accounts } = this.admin;
    const membership = { username: 'admin', accountNumber: PLATFORM };
    const admin = await accounts.getUserProfile({
      userProfile: { selector: { $case: 'membership', value: membership } },
    });
    this.profiles.set('admin', existing(admin.userProfile));
    await accounts.createAccount({ accountNumber: ACCOUNT_A, name: 'Account A' });
    await accounts.createAccount({ accountNumber: ACCOUNT_B, name: 'Account B' });
    await accounts.createUser({ username: 'superuser-without-profile', isSuperuser: true, isStaff: true });
    await accounts.createUser({ username: 'user-without-profile', isStaff: true });
    for (const [member, accountNumbers] of Object.entries(MEMBERS) as [Member, readonly string[]][]) {
      await accounts.createUser({ username: member, isStaff: true });
      for (const accountNumber of accountNumbers) {
        const profile = await this.join(member, accountNumber);
        if (!this.profiles.has(member)) this.profiles.set(member, profile);
      }
      this.tokens.set(member, (await this.issue(member)).plaintext);
    }
    await accounts.updateUser({
      selector: { selector: { $case: 'username', value: 'plain-a' } },
      user: { isStaff: false },
      updateMask: ['is_staff'],
    });
  }
}

/** bootstrapped makes the superuser of an empty database, and gives the plaintext. */
async function bootstrapped(databaseUrl: string): Promise<string> {
  const knex = openDatabase({
    url: databaseUrl,
    poolSize: 1,
    connectTimeoutMs: 10_000,
  });
  try {
    const { plaintext } = await bootstrap(knex, testAuditLog(knex), { reissue: false });
    return registerCanary(existing(plaintext));
  } finally {
    await knex.destroy();
  }
}

/** existing is for what must be there, in a test. */
export function existing<T>(value: T | null | undefined): T {
  if (value === undefined || value === null) throw new Error('something is missing that must be there');
  return value;
}
