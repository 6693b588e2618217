import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountRepository } from '../../../src/account/account-repository.js';
import { DoneRequestRepository } from '../../../src/idempotency/done-request-repository.js';
import { AccountService } from '../../../src/account/account-service.js';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { UserProfileRepository } from '../../../src/account/user-profile-repository.js';
import { UserRepository } from '../../../src/account/user-repository.js';
import type { Secret } from '../../../src/secret/secret.js';
import { testAuditLog } from '../../support/audit.js';
import { ACCOUNT_A, ACCOUNT_B, byId, SecretApi } from '../../support/secret-api.js';
import { changesAlone } from '../../support/single-replica.js';

let api: SecretApi;
let accounts: AccountService;

beforeAll(async () => {
  api = await SecretApi.open();
  accounts = new AccountService({
    knex: api.knex,
    accounts: new AccountRepository(api.knex),
    users: new UserRepository(api.knex),
    profiles: new UserProfileRepository(api.knex),
    rightsReader: new CallerRightsRepository(api.knex),
    audit: testAuditLog(api.knex, api.clock),
    requests: new DoneRequestRepository(api.knex),
    changes: changesAlone(api.knex),
    tokens: { deleteOfProfiles: () => Promise.resolve(0) },
    clock: api.clock,
    certificateScopes: [],
    evictOwners: () => undefined,
    evictUsers: () => undefined,
  });
});
afterAll(() => api.close());

async function rowsOf(secret: Secret): Promise<number[]> {
  return Promise.all(
    [
      ['secrets', 'id'] as const,
      ['secret_versions', 'secret_id'] as const,
      ['secret_grants', 'secret_id'] as const,
    ].map(async ([table, column]) => (await api.knex(table).where(column, String(secret.id))).length),
  );
}

describe('an owner of secrets', () => {
  test('is not deleted, even of deleted ones alone, unless forced; then they go for good and are recorded', async () => {
    const live = await api.newSecret({}, undefined, 'reader');
    const deleted = await api.newSecret({}, undefined, 'reader');
    const grantee = { by: 'id', id: api.profileId('plain-b') } as const;
    await api.services.grants.grant(api.as('reader'), byId(live), grantee, null);
    await api.services.secrets.delete(api.as('reader'), byId(deleted), '', false);
    const profile = { by: 'membership', username: 'reader', accountNumber: ACCOUNT_A } as const;
    const admin = api.as('admin');

    await expect(accounts.deleteUserProfile(admin, profile, '', false)).rejects.toMatchObject({
      reason: 'RESOURCE_IN_USE',
      metadata: { tokens: '0', secrets: '2' },
    });
    expect(await rowsOf(live)).toEqual([1, 1, 1]);
    await accounts.deleteUserProfile(admin, profile, '', true);
    expect([await rowsOf(live), await rowsOf(deleted)]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    for (const { id } of [live, deleted]) {
      expect((await api.events(id)).at(-1)).toMatchObject({
        action: 'SECRET_PURGED',
        actor_username: 'admin',
        resource_account_number: ACCOUNT_A,
      });
    }
  });

  test('is counted with the user and the account that it belongs to', async () => {
    await api.newSecret({}, undefined, 'plain-b');
    const byName = { by: 'username', username: 'plain-b' } as const;
    const byNumber = { by: 'account_number', accountNumber: ACCOUNT_B } as const;
    const admin = api.as('admin');
    await expect(accounts.deleteUser(admin, byName, '', false)).rejects.toMatchObject({
      metadata: { user_profiles: '1', tokens: '0', secrets: '1' },
    });
    await expect(accounts.deleteAccount(admin, byNumber, '', false)).rejects.toMatchObject({
      metadata: { secrets: '1' },
    });
    await accounts.deleteAccount(admin, byNumber, '', true);
    expect(await api.knex('secrets').where('user_profile_id', String(api.profileId('plain-b')))).toEqual([]);
  });
});
