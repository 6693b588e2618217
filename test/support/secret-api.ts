import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { vi, expect } from 'vitest';
import { AccountRepository } from '../../src/account/account-repository.js';
import { DoneRequestRepository } from '../../src/idempotency/done-request-repository.js';
import { ensureAdminProfile } from '../../src/account/admin-profile.js';
import type { Caller } from '../../src/authz/caller.js';
import { CallerRightsRepository } from '../../src/authz/caller-rights-repository.js';
import { UserProfileRepository } from '../../src/account/user-profile-repository.js';
import { UserRepository } from '../../src/account/user-repository.js';
import type { AuditEntry } from '../../src/audit/audit-log.js';
import { RefusalLog } from '../../src/audit/refusal-log.js';
import { Tally } from '../../src/audit/tally.js';
import type { Keyring } from '../../src/crypto/keyring.js';
import { openDatabase } from '../../src/db/knex.js';
import { KeywardError } from '../../src/lib/errors.js';
import { instantFromMillis, type Instant } from '../../src/lib/instant.js';
import { parseListRequest, type ListFields, type PageQuery } from '../../src/lib/page.js';
import { systemTimers } from '../../src/lib/timers.js';
import { checked } from '../../src/lib/violations.js';
import type { AccessRequest } from '../../src/secret/access/access-service.js';
import type { AccessedSecret } from '../../src/secret/access/access.js';
import { bind } from '../../src/secret/binding/binding.js';
import type { SecretRef } from '../../src/secret/secret-ref.js';
import { secretServices, type SecretServices } from '../../src/secret/secret-services.js';
import type { Payload, Secret, SecretSettings } from '../../src/secret/secret.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { testAuditLog, testKeyring } from './audit.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { ManualClock } from './manual-clock.js';
import { existing } from './world.js';
import { changesAlone } from './single-replica.js';

const ACCESS_LIMIT_MS = 60_000;
const PLATFORM = '3141-5926-5359';
export const ACCOUNT_A = '1111-1111-1111';
export const ACCOUNT_B = '2222-2222-2222';

/** PEOPLE are who may call: their accounts, and whether they are staff. */
const PEOPLE = {
  owner: { accounts: [ACCOUNT_A], isStaff: false },
  reader: { accounts: [ACCOUNT_A], isStaff: false },
  'staff-a': { accounts: [ACCOUNT_A], isStaff: true },
  'staff-b': { accounts: [ACCOUNT_B], isStaff: true },
  'plain-b': { accounts: [ACCOUNT_B], isStaff: false },
  'in-both': { accounts: [ACCOUNT_A, ACCOUNT_B], isStaff: true },
  nowhere: { accounts: [], isStaff: true },
} as const;

export type Person = keyof typeof PEOPLE | 'admin';

export const DAY_MS = 86_400_000;
export const RETENTION_DAYS = 30;

/** EventRow is what a test looks at of an audit record. */
export interface EventRow {
  readonly action: string;
  readonly outcome: string;
  readonly actor_username: string;
  readonly resource_id: string | null;
  readonly resource_account_number: string | null;
  readonly detail: Readonly<Record<string, string>>;
}

/**
 * SecretApi is the services of secrets on a database of their own, with two accounts besides the platform's. The
 * superuser is `admin`.
 */
export class SecretApi {
  readonly database: TestDatabase;
  readonly knex: Knex;
  readonly clock = new ManualClock(Date.now());
  readonly keyring: Keyring;
  readonly services: SecretServices;
  /** refusals counts those that are repeated. */
  readonly refusals: Tally;
  /** appending runs before each record that is appended; where it fails, so does the record. */
  appending: (entry: AuditEntry) => Promise<void> = () => Promise.resolve();
  readonly #callers = new Map<Person, Caller>();
  #names = 0;

  private constructor(database: TestDatabase, retentionDays: number) {
    this.database = database;
    this.knex = openDatabase({
      url: database.url,
      poolSize: 20,
      connectTimeoutMs: 60_000,
      statementTimeoutMs: 20_000,
    });
    this.keyring = testKeyring(this.clock);
    const log = testAuditLog(this.knex, this.clock);
    const logger = createLogger('fatal');
    const append = async (entry: AuditEntry): Promise<void> => {
      await this.appending(entry);
      await log.append(entry);
    };
    this.refusals = new Tally({ audit: { append }, clock: this.clock, logger, staysOpen: true });
    this.services = secretServices({
      knex: this.knex,
      urgent: this.knex,
      rightsReader: new CallerRightsRepository(this.knex),
      keyring: this.keyring,
      audit: {
        record: (trx, entries) => log.record(trx, entries),
        hasRecorded: (action, kind, trx) => log.hasRecorded(action, kind, trx),
        append,
      },
      requests: new DoneRequestRepository(this.knex),
      changes: changesAlone(this.knex),
      refusals: new RefusalLog({ append }, this.refusals),
      clock: this.clock,
      logger,
      timers: systemTimers,
      accessLimitMs: ACCESS_LIMIT_MS,
      retention: BigInt(retentionDays * DAY_MS) * 1000n,
    });
  }

  /** open makes it, as after its first start; or before that, when nothing may be bound yet. */
  static async open(retentionDays = RETENTION_DAYS, isStarted = true): Promise<SecretApi> {
    const api = new SecretApi(await createTestDatabase(), retentionDays);
    await api.knex.transaction((trx) => api.#seed(trx));
    if (isStarted) await api.services.bindings.complete();
    return api;
  }

  /** as is a caller with every scope. */
  as(person: Person): Caller {
    return existing(this.#callers.get(person));
  }

  profileId(person: Person): bigint {
    return existing(this.as(person).profileId);
  }

  now(): Instant {
    return instantFromMillis(this.clock.now());
  }

  /** newName is a name that no secret has. */
  newName(): string {
    this.#names += 1;
    return `secret-${this.#names}`;
  }

  /** newSecret makes a secret of a person, as that person. */
  async newSecret(
    settings: Partial<SecretSettings> = {},
    payload: Payload = text('the value'),
    owner: Person = 'owner',
  ): Promise<Secret> {
    const ref = { by: 'id', id: this.profileId(owner) } as const;
    return this.services.secrets.create(
      this.as(owner),
      ref,
      settingsOf({ name: this.newName(), ...settings }),
      payload,
    );
  }

  /** access gets a value, of a secret or whatever is named, as AccessSecret does by default. */
  async access(
    caller: Caller,
    secret: Secret | SecretRef,
    options: Partial<Omit<AccessRequest, 'ref'>> = {},
  ): Promise<AccessedSecret> {
    return this.services.access.access(caller, request(secret, options));
  }

  /** textOf is the value that a caller gets, as text. */
  async textOf(
    caller: Caller,
    secret: Secret | SecretRef,
    options: Partial<Omit<AccessRequest, 'ref'>> = {},
  ): Promise<string> {
    return decode((await this.access(caller, secret, options)).payload);
  }

  async events(secretId?: bigint | null): Promise<EventRow[]> {
    const query = this.knex('audit_events')
      .where('resource_kind', 'secret')
      .orderBy('id')
      .select<EventRow[]>(
        'action',
        'outcome',
        'actor_username',
        'resource_account_number',
        'detail',
        this.knex.raw('resource_id::text'),
      );
    if (secretId === undefined) return query;
    return query.where('resource_id', secretId === null ? null : String(secretId));
  }

  /** actions are what is recorded of a secret, in order. */
  async actions(secretId: bigint): Promise<string[]> {
    return (await this.events(secretId)).map(({ action }) => action);
  }

  /** store puts other bytes in the place of a secret's first version, bound to it as an import binds them. */
  async store(secret: Secret, ciphertext: Buffer, keyId: string | null): Promise<void> {
    const place = { secretId: secret.id, number: 1 };
    const { mac, keyId: macKeyId } = bind(this.keyring, place, { format: 'TEXT', keyId, ciphertext });
    await this.knex('secret_versions')
      .where({ secret_id: String(secret.id), number: 1 })
      .update({ ciphertext, key_id: keyId, binding: mac, binding_key_id: macKeyId });
  }

  /** ciphertexts are the bytes that the table holds for a secret, by version. */
  async ciphertexts(secretId: bigint): Promise<(Buffer | null)[]> {
    const query = this.knex('secret_versions').where('secret_id', String(secretId)).orderBy('number');
    return (await query.pluck('ciphertext')) as (Buffer | null)[];
  }

  /** waiting returns once this many statements wait for a lock. */
  async waiting(statements: number): Promise<void> {
    const query = this.knex('pg_stat_activity').whereRaw(
      "datname = current_database() AND wait_event_type = 'Lock'",
    );
    await vi.waitFor(async () => expect(await query.clone()).toHaveLength(statements), { timeout: 10_000 });
  }

  async close(): Promise<void> {
    await this.services.purger.stop();
    await this.knex.destroy();
    await this.database.drop();
  }

  async #seed(trx: Knex.Transaction): Promise<void> {
    const { profileId } = await ensureAdminProfile(trx, instantFromMillis(Date.now()));
    const users = new UserRepository(trx);
    const admin = existing(await users.find({ by: 'username', username: 'admin' }, trx));
    this.#callers.set('admin', callerOf(admin.id, 'admin', profileId, PLATFORM));
    const accountIds = new Map<string, bigint>();
    for (const accountNumber of [ACCOUNT_A, ACCOUNT_B]) {
      const settings = { ...NO_DESCRIPTION, name: accountNumber, companyName: '', isActive: true };
      const account = await new AccountRepository(trx).insert(trx, accountNumber, settings);
      accountIds.set(accountNumber, existing(account).id);
    }
    for (const [username, { accounts, isStaff }] of Object.entries(PEOPLE)) {
      const rank = { isActive: true, isStaff, isSuperuser: false };
      const user = existing(
        await users.insert(trx, username, { ...rank, email: '', firstName: '', lastName: '' }),
      );
      const profileIds: bigint[] = [];
      for (const accountNumber of accounts) {
        const profiles = new UserProfileRepository(trx);
        const accountId = existing(accountIds.get(accountNumber));
        const settings = { ...NO_DESCRIPTION, name: username };
        profileIds.push(existing(await profiles.insert(trx, user.id, accountId, settings)).id);
      }
      this.#callers.set(username as Person, callerOf(user.id, username, profileIds[0], accounts[0]));
    }
  }
}

const NO_DESCRIPTION = {
  description: '',
  version: '1.0.0',
  tags: [],
  annotations: new Map<string, string>(),
  manifestPath: '',
};

function callerOf(
  userId: bigint,
  username: string,
  profileId: bigint | undefined,
  accountNumber: string | undefined,
): Caller {
  const origin = { peer: '127.0.0.1:1', requestId: randomUUID(), certificate: undefined };
  return {
    userId,
    username,
    profileId,
    accountNumber,
    keyId: undefined,
    scopes: ['*'],
    origin,
    isGone: () => false,
  };
}

/** settingsOf are settings with nothing but a name, unless more are given. */
export function settingsOf(settings: Pick<SecretSettings, 'name'> & Partial<SecretSettings>): SecretSettings {
  return { ...NO_DESCRIPTION, expiresAt: null, ...settings };
}

export function text(value: string): Payload {
  return { format: 'TEXT', bytes: Buffer.from(value) };
}

export function decode({ bytes }: Payload): string {
  return Buffer.from(bytes).toString();
}

export function byId({ id }: { readonly id: bigint }): SecretRef {
  return { by: 'id', id };
}

export function request(
  secret: Secret | SecretRef,
  options: Partial<Omit<AccessRequest, 'ref'>> = {},
): AccessRequest {
  const ref = 'by' in secret ? secret : byId(secret);
  return { ref, version: null, includeExpired: false, skipAccessTime: false, ...options };
}

/** page is a list request for all fields of a list. */
export function page(columns: ListFields, filter = '', orderBy = ''): PageQuery {
  return checked((v) =>
    parseListRequest(v, { pageSize: 0, pageToken: '', filter, orderBy }, columns, { isGone: () => false }),
  );
}

/** outcomes tells how calls ended: OK, or with which reason. */
export function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
  return Promise.all(
    calls.map((call) =>
      call.then(
        () => 'OK',
        (error: unknown) => {
          if (error instanceof KeywardError) return error.reason;
          throw error;
        },
      ),
    ),
  );
}
