import { afterAll, beforeAll, expect, test } from 'vitest';
import { METHOD_NAMES, Peer, type MethodName, type RequestOf } from '../../support/rpc.js';
import { requestFields, selectorOf } from '../../support/descriptors.js';
import { byId, requestFor } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, World } from '../../support/world.js';

/** Every method that changes a token which a selector names. */
const METHODS = METHOD_NAMES.filter(
  (method) =>
    requestFields(method).some((field) => selectorOf(field)?.name === 'TokenSelector') &&
    !/^(get|list)/.test(method),
);

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function call(method: MethodName, name: string): Promise<string> {
  const field = requestFields(method).find((each) => selectorOf(each)?.name === 'TokenSelector');
  const value = { owner: { $case: 'accountNumber', value: ACCOUNT_A }, name };
  const request = {
    ...(await requestFor(method, world)),
    [field?.localName ?? '']: { selector: { $case: 'ownedName', value } },
  } as RequestOf<MethodName>;
  const peer = new Peer(world.server.address, { token: world.tokenOf('staff-a') });
  const { code } = await peer.call(method, request);
  peer.close();
  return code;
}

/** forge gives a token of one who is not staff any more a name. */
async function forge(name: string): Promise<void> {
  const owner = world.profileOf('plain-a');
  await execute(world.database.url, 'UPDATE tokens SET name = $1 WHERE user_profile_id = $2', [
    name,
    String(owner.id),
  ]);
}

test('there are such methods', () => {
  expect(METHODS.length).toBeGreaterThan(5);
});

test.each(METHODS)(
  "%s takes no plain member's token for that of staff, nor is it in the way",
  async (method) => {
    const name = world.newName();
    await forge(name);
    expect(await call(method, name)).toBe('NOT_FOUND');
    const selector = byId(await world.issue('owner-a', { name }));
    // What is to be detached must be attached.
    await world.admin.tokens.attachReference({
      selector,
      kind: 'llm_client.api_key',
      consumer: 'a client',
    });
    expect(await call(method, name)).toBe('OK');
  },
);
