import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import * as messages from '@keyward/client';
import { expect, test } from 'vitest';
import { Duration } from '../../../clients/node/src/duration.js';
import { FILE_DESCRIPTOR_SET } from '../../../clients/node/src/gen/file-descriptor-set.js';
import { checkedRequest } from '../../../clients/node/src/requests.js';
import { VERSION } from '../../../clients/node/src/version.js';

const GET_TOKEN = '/keyward.token.v1.TokenService/GetToken';
const CREATE_TOKEN = '/keyward.token.v1.TokenService/CreateToken';

interface Generated {
  fromPartial(partial: object): object;
}

test('the fields of all messages are called what the descriptors call them', () => {
  const registry = createFileRegistry(
    fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
  );
  const ambiguous = /(?:Attach|Detach)Reference|ListReferences/;
  let compared = 0;
  for (const type of registry) {
    if (type.kind !== 'message' || !type.typeName.startsWith('keyward.') || ambiguous.test(type.name))
      continue;
    const generated = (messages as unknown as Record<string, Generated | undefined>)[type.name];
    if (generated === undefined) continue;
    const names = type.fields.map(({ localName }) => localName).sort();
    expect(Object.keys(generated.fromPartial({})).sort(), type.typeName).toEqual(names);
    compared += 1;
  }
  expect(compared).toBeGreaterThan(100);
});

test.each([
  [{ id: 5 }, { id: 5n }],
  [{ locator: 'token-x' }, { recordLocator: 'token-x' }],
  [{ name: 'x' }, { ownedName: { name: 'x' } }],
  [{ name: 'x', account: '1' }, { ownedName: { name: 'x', accountNumber: '1' } }],
  [
    { name: 'x', userProfile: { username: 'u', account: '1' } },
    { ownedName: { name: 'x', userProfile: { membership: { username: 'u', accountNumber: '1' } } } },
  ],
  [{ id: 1n, keyId: undefined }, { id: 1n }],
])('a selector in short is written out: %o', (given, whole) => {
  expect(checkedRequest(GET_TOKEN, { token: given })).toEqual({ token: whole });
});

test.each([
  [{ token: { id: 1n, name: 'x' } }, 'token.name'],
  [{ token: { id: 1n, keyId: 'x' } }, 'token.keyId'],
  [{ token: { id: 1.5 } }, 'token.id'],
  [{ token: { id: 2n ** 63n } }, 'token.id'],
  [{ token: 'x' }, 'token'],
])('a selector is refused that names nothing, or two: %o', (request, field) => {
  let refused: unknown;
  try {
    checkedRequest(GET_TOKEN, request);
  } catch (error) {
    refused = error;
  }
  expect(refused).toMatchObject({ reason: 'INVALID_FIELDS', violations: [{ field }] });
});

test('a refusal never holds a value', () => {
  const secret = 'correct horse';
  expect(() => checkedRequest(CREATE_TOKEN, { name: 5, description: { secret }, tags: [1] })).toThrow(
    /^name must be a string; description must be a string; tags\[0\] must be a string$/,
  );
});

test.each([0, 1, 1_500, -1_500, 0.25, 86_400_000])(
  'a span of %d ms is what it was on the other side',
  (ms) => {
    expect(Duration.decode(Duration.encode(ms).finish())).toBe(ms);
  },
);

test('the version is that of the package', () => {
  const file = new URL('../../../clients/node/package.json', import.meta.url);
  expect((JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version).toBe(VERSION);
});
