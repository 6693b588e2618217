import { afterAll, beforeAll, expect, test } from 'vitest';
import { ListAccountsResponse } from '../../../src/gen/keyward/account/v1/account_service.js';
import {
  ListUserProfilesResponse,
  ListUsersResponse,
} from '../../../src/gen/keyward/account/v1/account_service.js';
import { ListAuditEventsResponse } from '../../../src/gen/keyward/audit/v1/audit_service.js';
import { ListSecretsResponse } from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { ListTokensResponse } from '../../../src/gen/keyward/token/v1/token_service.js';
import { MAX_PAGE } from '../../../src/lib/page-size.js';
import { Peer } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';

/** So many rows of 40 KB each are more than two pages. */
const COUNT = 200;
const TEXT = '🔑'.repeat(10_000);

let world: World;
let peer: Peer;

beforeAll(async () => {
  world = await World.create();
  peer = new Peer(world.server.address, { token: world.adminToken });
  const profileId = String(world.profileOf('owner-a').id);
  const fill = (statement: string, ...values: unknown[]) =>
    execute(world.database.url, `${statement} FROM generate_series(1, ${COUNT}) AS n`, [TEXT, ...values]);
  await fill(
    `INSERT INTO accounts (account_number, name, description) SELECT 'page-' || n, 'page-' || n, $1`,
  );
  await fill(`INSERT INTO users (username, first_name) SELECT 'page-' || n, $1`);
  await execute(
    world.database.url,
    `INSERT INTO user_profiles (user_id, account_id, name, description)
     SELECT u.id, a.id, a.name, $1 FROM users u JOIN accounts a ON a.account_number = u.username`,
    [TEXT],
  );
  await fill(
    `WITH made AS (
       INSERT INTO tokens (key_id, user_profile_id, name, annotations)
       SELECT gen_random_uuid(), $2, 'page-' || n, jsonb_build_object('a', $1::text)
       FROM generate_series(1, ${COUNT}) AS n RETURNING id)
     INSERT INTO token_digests (digest, token_id, token_key)
     SELECT sha512(n::text::bytea), (SELECT id FROM made ORDER BY id OFFSET n - 1 LIMIT 1), ''`,
    profileId,
  );
  await fill(
    `INSERT INTO secrets (user_profile_id, name, name_key, tags)
     SELECT $2, 'page-' || n, 'page-' || n, ARRAY[$1]`,
    profileId,
  );
  await fill(
    `INSERT INTO audit_events (occurred_at, chain, seq, mac, action, outcome, actor_username, actor_peer,
       resource_kind, detail)
     SELECT now(), gen_random_uuid(), n, sha256(''), 'PAGE', 'OK', '', '', 'page', jsonb_build_object('a', $1::text)`,
  );
});

afterAll(async () => {
  peer.close();
  await world.close();
});

/** Where a response holds its items, and how it is read. */
const LISTS = {
  listAccounts: (bytes: Buffer) => pageOf(ListAccountsResponse.decode(bytes), 'accounts'),
  listUsers: (bytes: Buffer) => pageOf(ListUsersResponse.decode(bytes), 'users'),
  listUserProfiles: (bytes: Buffer) => pageOf(ListUserProfilesResponse.decode(bytes), 'userProfiles'),
  listTokens: (bytes: Buffer) => pageOf(ListTokensResponse.decode(bytes), 'tokens'),
  listSecrets: (bytes: Buffer) => pageOf(ListSecretsResponse.decode(bytes), 'secrets'),
  listAuditEvents: (bytes: Buffer) => pageOf(ListAuditEventsResponse.decode(bytes), 'events'),
};

function pageOf<Field extends string>(
  response: { readonly [Name in Field]: readonly { readonly id: bigint }[] } & {
    readonly nextPageToken: string;
  },
  field: Field,
): { readonly ids: bigint[]; readonly nextPageToken: string } {
  return { ids: response[field].map(({ id }) => id), nextPageToken: response.nextPageToken };
}

test.each(Object.keys(LISTS) as (keyof typeof LISTS)[])(
  '%s ends its pages before they take more than 3 MiB, and leaves nothing out',
  async (method) => {
    const seen: bigint[] = [];
    const sizes: number[] = [];
    let pageToken = '';
    do {
      const { code, response } = await peer.call(method, { pageSize: 1000, pageToken });
      expect(code).toBe('OK');
      const page = LISTS[method](response);
      expect(page.ids.length).toBeGreaterThan(0);
      seen.push(...page.ids);
      sizes.push(response.length);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_PAGE);
    // As full as they may be, but the last.
    expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThan(MAX_PAGE * 0.9);
    expect(sizes).toHaveLength(3);
    expect(seen.length).toBeGreaterThanOrEqual(COUNT);
    expect(new Set(seen).size).toBe(seen.length);
  },
);
