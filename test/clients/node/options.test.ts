import { afterAll, describe, expect, test } from 'vitest';
import {
  connect,
  createSecretReader,
  createValidator,
  fastifyAuth,
  httpAuth,
  type ValidateOptions,
} from '@keyward/client';
import { grpcAuth } from '@keyward/client/grpc';

const keyward = connect({ servers: '127.0.0.1:1', retry: false });
const validator = createValidator(keyward);

afterAll(() => {
  validator.close();
  keyward.close();
});

/** Programs in JavaScript may give anything. */
type Maker = (options: object) => unknown;

const MAKERS: Readonly<Record<string, Maker>> = {
  connect: (options) => connect(options),
  createValidator: (options) => createValidator(keyward, options),
  createSecretReader: (options) => createSecretReader(keyward, options),
  httpAuth: (options) => httpAuth(validator, options),
  fastifyAuth: (options) => fastifyAuth(validator, options),
  grpcAuth: (options) => grpcAuth(validator, options),
};

test.each(Object.entries(MAKERS))('%s refuses an option that it does not have, by its name', (name, make) => {
  expect(() => make({ sevrers: 'hush', toString: 'hush' })).toThrow(
    new RegExp(`^sevrers is no option of ${name}: .*; toString is no option of ${name}: `),
  );
  expect(() => make({ sevrers: 'hush' })).not.toThrow('hush');
});

test.each<[string, object, string]>([
  ['connect', { servers: 5 }, 'servers of connect must be a text, or a list of texts'],
  ['connect', { servers: [5] }, 'servers of connect must be'],
  ['connect', { servers: [] }, 'servers names none'],
  ['connect', { servers: 'keyward' }, 'no port'],
  ['connect', { token: 5 }, 'token of connect must be a text'],
  ['connect', { getToken: 'x' }, 'getToken of connect must be a function'],
  ['connect', { timeoutMs: 0 }, 'timeoutMs of connect must be a number of milliseconds above 0'],
  ['connect', { timeoutMs: '5' }, 'timeoutMs of connect must be'],
  ['connect', { retry: 3 }, 'retry of connect must be true or false'],
  [
    'connect',
    { keepalive: true },
    'keepalive of connect must be { timeMs, timeoutMs }, each above 0, or false',
  ],
  ['connect', { keepalive: { timeMs: 1 } }, 'keepalive of connect must be'],
  ['connect', { keepalive: { timeMs: 1, timeoutMs: 1, time: 1 } }, 'keepalive of connect must be'],
  ['connect', { metadata: { a: 1 } }, 'metadata of connect must be an object of texts'],
  ['createValidator', { label: 'no spaces' }, 'the label must be'],
  [
    'createValidator',
    { maxEntries: 0 },
    'maxEntries of createValidator must be a whole number from 1 to 10000',
  ],
  ['createValidator', { maxEntries: 10_001 }, 'maxEntries of createValidator must be'],
  ['createValidator', { onRevoked: true }, 'onRevoked of createValidator must be a function'],
  ['createSecretReader', { keep: 'yes' }, 'keep of createSecretReader must be true or false'],
  ['createSecretReader', { maxSecrets: 1_001 }, 'maxSecrets of createSecretReader must be'],
  ['httpAuth', { scopes: 'orders:read' }, 'scopes of httpAuth must be a list of texts'],
  ['fastifyAuth', { realm: 5 }, 'realm of fastifyAuth must be a text'],
  ['grpcAuth', { scopes: 'orders:read' }, 'scopes of grpcAuth must be a list of texts, or a function'],
])('%s refuses %j', (name, options, message) => {
  expect(() => MAKERS[name]?.(options)).toThrow(message);
});

describe('a question', () => {
  test.each<[object, object]>([
    [{ scope: ['orders:read'] }, { field: 'scope', rule: 'is no option: scopes, signal' }],
    [{ scopes: 'orders:read' }, { field: 'scopes', rule: 'must be a list' }],
    [
      { scopes: ['no spaces'] },
      { field: 'scopes[0]', rule: 'must be 1 to 128 characters of [a-z0-9_.:/*-]' },
    ],
  ])('is refused with %j, so that nobody passes by a slip', async (options, violation) => {
    const refused = { codeName: 'INVALID_ARGUMENT', violations: [violation] };
    const given = options as ValidateOptions;
    await expect(validator.validate('x', given)).rejects.toMatchObject(refused);
    await expect(validator.bind('x').validate(given)).rejects.toMatchObject(refused);
    expect(() => validator.validateCached('x', given)).toThrow(expect.objectContaining(refused));
  });
});

test('a call refuses an option that calls do not have, by its name', async () => {
  const options: object = { timeout: 5 };
  await expect(keyward.tokens.validateToken({ token: 'x' }, options)).rejects.toThrow(
    'timeout is no option of a call: signal, timeoutMs, metadata',
  );
});
