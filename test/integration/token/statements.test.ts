import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { byId } from '../../support/requests.js';
import { ACCOUNT_A, World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());
afterEach(() => vi.restoreAllMocks());

/** What goes on besides: leases, and times of use that are written in the background. */
const BESIDES = /UPDATE replicas|last_used_at = greatest|FROM keyward_head|pg_notify/;

/** statementsOf gives the statements that a call sends to the database, but for the ends of its transaction. */
async function statementsOf(call: () => Promise<unknown>): Promise<string[]> {
  const query = vi.spyOn(pg.Client.prototype, 'query');
  await call();
  const texts = query.mock.calls.map(([config]): string => {
    const first: unknown = config;
    return typeof first === 'string' ? first : String((first as { readonly text?: string }).text);
  });
  query.mockRestore();
  return texts.filter((text) => !BESIDES.test(text) && !/^(BEGIN|COMMIT)/.test(text));
}

test('GetToken, GetSecret and GetAccount are one prepared statement each', async () => {
  const token = await world.issue('owner-a');
  const { accounts, secrets, tokens } = world.admin;
  const kept = await world.keep('owner-a');
  const calls = [
    () => secrets.getSecret({ secret: byId(kept) }),
    () => tokens.getToken({ token: byId(token) }),
    () => accounts.getAccount({ account: { selector: { $case: 'accountNumber', value: ACCOUNT_A } } }),
  ];
  for (const call of calls)
    expect(await statementsOf(call)).toEqual([expect.stringMatching(/^SELECT c\.caller_is_staff/)]);
});

test('DeactivateToken reads a token once before it is locked and once after, and sends eight statements in all', async () => {
  const token = await world.issue('owner-a');
  const { tokens } = world.admin;
  await tokens.attachReference({ selector: byId(token), kind: 'job', consumer: 'nightly' });
  const sent = await statementsOf(() => tokens.deactivateToken({ selector: byId(token) }));
  expect(sent.filter((text) => text.includes('"tokens" as "t"'))).toHaveLength(2);
  expect(sent).toHaveLength(8);
});
