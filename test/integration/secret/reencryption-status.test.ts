import { afterAll, beforeAll, expect, test } from 'vitest';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { ReencryptionRepository } from '../../../src/secret/reencryption/reencryption-repository.js';
import { ReencryptionService } from '../../../src/secret/reencryption/reencryption-service.js';
import { testAuditLog } from '../../support/audit.js';
import { SecretApi } from '../../support/secret-api.js';

let api: SecretApi;

beforeAll(async () => {
  api = await SecretApi.open();
});

afterAll(() => api.close());

/** CountingRepository counts the readings of everything that go on at once. */
class CountingRepository extends ReencryptionRepository {
  mostAtOnce = 0;
  #atOnce = 0;

  override async countByKey(): ReturnType<ReencryptionRepository['countByKey']> {
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    try {
      return await super.countByKey();
    } finally {
      this.#atOnce -= 1;
    }
  }
}

test('however many ask for the status at once, everything is read by one of them at a time', async () => {
  const { knex, keyring } = api;
  const versions = new CountingRepository(knex);
  const rightsReader = new CallerRightsRepository(knex);
  const { bindings } = api.services;
  const audit = testAuditLog(knex);
  const { signal: stopping } = new AbortController();
  const service = new ReencryptionService({
    knex,
    versions,
    keyring,
    bindings,
    rightsReader,
    audit,
    stopping,
  });

  const asked = Array.from({ length: 50 }, () => service.status(api.as('admin')));
  const statuses = await Promise.all(asked);

  expect(versions.mostAtOnce).toBe(1);
  for (const status of statuses) expect(status.primaryKeyId).toBe(keyring.primaryId);
});
