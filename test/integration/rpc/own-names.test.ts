import { afterAll, beforeAll, expect, test } from 'vitest';
import { requestFields, selectorOf } from '../../support/descriptors.js';
import { requestFor } from '../../support/requests.js';
import { METHOD_NAMES, Peer, type MethodName } from '../../support/rpc.js';
import { existing, World, type Member } from '../../support/world.js';

const NAMED = ['TokenSelector', 'SecretSelector'];
/** A name never names a deleted secret; and GetManifest names one of several kinds. */
const OTHERS: readonly MethodName[] = ['undeleteSecret', 'getManifest'];
const METHODS = METHOD_NAMES.filter((method) => fieldOf(method) !== undefined && !OTHERS.includes(method));

function fieldOf(method: MethodName) {
  return requestFields(method).find((field) => NAMED.includes(selectorOf(field)?.name ?? ''));
}

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

/** nameOf is the name of what a request selects by its number. */
async function nameOf(method: MethodName, selector: never): Promise<string> {
  const { tokens, secrets } = world.admin;
  return selectorOf(existing(fieldOf(method)))?.name === 'TokenSelector'
    ? existing((await tokens.getToken({ token: selector })).token).name
    : existing((await secrets.getSecret({ secret: selector })).secret).name;
}

test.each(METHODS)(
  '%s finds by a name without an owner what is of the caller, and nothing else',
  async (method) => {
    const request: object = await requestFor(method, world);
    const field = existing(fieldOf(method)).localName;
    const name = await nameOf(method, request[field as never]);
    const named = { ...request, [field]: { selector: { $case: 'ownedName', value: { name } } } };
    const codeFor = async (member: Member): Promise<string> => {
      const peer = new Peer(world.server.address, { token: world.tokenOf(member) });
      const { code } = await peer.call(method, named);
      peer.close();
      return code;
    };
    expect(METHODS.length).toBeGreaterThan(20);
    expect(await codeFor('staff-a')).toBe('NOT_FOUND');
    expect(await codeFor('owner-a')).toBe('OK');
  },
);
