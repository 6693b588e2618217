import type { Knex } from 'knex';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bootstrap } from '../../../src/admin-bootstrap.js';
import { openDatabase } from '../../../src/db/knex.js';
import { newestEvent, readEvents, testAuditLog } from '../../support/audit.js';
import { registerCanary } from '../../support/canaries.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';

let database: TestDatabase;
let knex: Knex;

beforeAll(async () => {
  database = await createTestDatabase();
  knex = openDatabase({ url: database.url, poolSize: 2, connectTimeoutMs: 5000 });
});

afterAll(async () => {
  await knex.destroy();
  await database.drop();
});

async function run(reissue: boolean): Promise<void> {
  const { plaintext } = await bootstrap(knex, testAuditLog(knex), { reissue });
  if (plaintext !== undefined) registerCanary(plaintext);
}

/** issueForAdmin makes a token of the admin that this user was given. */
async function issueForAdmin(profileId: bigint, name: string, issuer: bigint): Promise<void> {
  await knex.raw(
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name) VALUES (gen_random_uuid(), ?, ?) RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key, issued_by_user_id)
     SELECT sha512(id::text::bytea), id, '', ? FROM made`,
    [String(profileId), name, String(issuer)],
  );
}

test('tokens that gain by a bootstrap although someone else has them are off; the admin token and others stay', async () => {
  await run(false);
  const [profile] = await knex('user_profiles').select<{ id: bigint; user_id: bigint }[]>();
  if (profile === undefined) throw new Error('bootstrap made no profile');
  await knex('users')
    .where({ id: String(profile.user_id) })
    .update({ is_superuser: false });
  await issueForAdmin(profile.id, 'foreign', 1n);
  await issueForAdmin(profile.id, 'own', profile.user_id);
  const off = () => knex('tokens').where({ is_active: false }).orderBy('id').pluck<string[]>('name');

  let after = await newestEvent(database.url);
  await run(true);
  expect(await off()).toEqual(['foreign']);
  const deactivated = async () =>
    (await readEvents(database.url, after)).filter(({ action }) => action === 'TOKEN_DEACTIVATED');
  expect(await deactivated()).toMatchObject([{ actor: 'operator', detail: { cause: 'owner_promoted' } }]);

  // An admin of another account only, who gets a profile in the platform's.
  await knex.raw(`UPDATE accounts SET account_number = '1111-1111-1111'`);
  await knex('users').update({ is_superuser: false });
  await issueForAdmin(profile.id, 'joining', 1n);
  after = await newestEvent(database.url);
  await run(false);
  expect(await off()).toEqual(['foreign', 'joining']);
  expect(await deactivated()).toMatchObject([{ detail: { cause: 'owner_joined_account' } }]);
});
