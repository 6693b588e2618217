import { afterAll, beforeAll, expect, test } from 'vitest';
import type { KeywardClient } from '../../../src/client/index.js';
import { ChangeListener } from '../../support/change-listener.js';
import { extent } from '../../support/extent.js';
import { seenIn } from '../../support/propagation-rows.js';
import { byId } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';

const TOKENS = extent('MANY_TOKENS', 2_000, 10_000);
const BATCH = 1_000;

let world: World;
let clients: KeywardClient[];
let listener: ChangeListener;

beforeAll(async () => {
  world = await World.create();
  clients = [world.server, await world.startServer()].map((server) => world.client(world.adminToken, server));
  listener = await ChangeListener.open(world.database.url);
});

afterAll(async () => {
  await listener.close();
  await world.close();
});

async function insertTokens(profileId: bigint): Promise<void> {
  await execute(
    world.database.url,
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name)
       SELECT gen_random_uuid(), $1, 'many-' || n FROM generate_series(1, $2::int) n RETURNING id, name)
     INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(name::bytea), id, '' FROM made`,
    [String(profileId), TOKENS],
  );
}

/** reasons are how often each reason is given for all of the tokens, by one replica after the other. */
async function reasons(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { tokens } of clients) {
    for (let first = 1; first <= TOKENS; first += BATCH) {
      const requests = Array.from({ length: BATCH }, (_, index) => ({ token: `many-${first + index}` }));
      for (const response of (await tokens.batchValidateTokens({ requests })).responses) {
        const { reason } = seenIn(response);
        counts[reason] = (counts[reason] ?? 0) + 1;
      }
    }
  }
  return counts;
}

test('thousands of tokens are switched off, or deleted, by one call, and refused by all at return', async () => {
  const account = await world.newAccount();
  const username = world.newName();
  await world.admin.accounts.createUser({ username, isStaff: true });
  const profile = await world.join(username, account.accountNumber);
  await insertTokens(profile.id);
  const switchTo = (isActive: boolean) =>
    world.admin.accounts.updateAccount({
      selector: byId(account),
      account: { isActive },
      updateMask: ['is_active'],
    });
  await switchTo(true);
  for (const _time of ['cold', 'warm']) expect(await reasons()).toEqual({ OK: 2 * TOKENS });

  await listener.take();
  const { propagation } = await switchTo(false);
  expect(await reasons()).toEqual({ ACCOUNT_INACTIVE: 2 * TOKENS });
  expect(propagation).toMatchObject({ complete: true, acknowledged: 1 });
  expect(await listener.take()).toMatchObject([{ all: false, accounts: [String(account.id)], digests: [] }]);

  await switchTo(true);
  expect(await reasons()).toEqual({ OK: 2 * TOKENS });
  await listener.take();
  const revoked = await world.admin.tokens.revokeUserTokens({ user: byId({ id: profile.userId }) });
  expect(await reasons()).toEqual({ UNKNOWN: 2 * TOKENS });
  expect(revoked).toMatchObject({ revokedCount: TOKENS, propagation: { complete: true, acknowledged: 1 } });
  // In batches, of which none makes a replica forget more than the tokens of the profile.
  const notices = await listener.take();
  expect(notices.length).toBeGreaterThan(1);
  for (const { all, profiles, digests } of notices) {
    // The last batch finds nothing to delete.
    expect([all, digests]).toEqual([false, []]);
    expect([[], [String(profile.id)]]).toContainEqual(profiles);
  }
});
