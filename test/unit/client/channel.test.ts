import { describe, expect, test } from 'vitest';
import type { ClientOptions } from '../../../src/client/index.js';
import { channelArguments } from '../../support/channel-arguments.js';
import { certificateOptions } from '../../support/server.js';

const REMOTE = 'keyward.example.com:443';
const { ca, cert, key } = certificateOptions('staff-a');

function isEncrypted(options: ClientOptions): boolean {
  const [, credentials] = channelArguments(options);
  return credentials._isSecure();
}

describe('a channel', () => {
  test('is plaintext on loopback unless TLS is asked for', () => {
    expect(isEncrypted({})).toBe(false);
    expect(isEncrypted({ server: '[::1]:1' })).toBe(false);
    for (const asked of [{ tls: true }, { ca }, { cert, key }, { skipVerification: true }] as const) {
      expect(isEncrypted(asked), JSON.stringify(asked)).toBe(true);
    }
  });

  test('is TLS on any other address unless plaintext is asked for', () => {
    expect(isEncrypted({ server: REMOTE })).toBe(true);
    expect(isEncrypted({ server: REMOTE, plaintext: true })).toBe(false);
  });

  test('takes no proxy from the environment unless one is asked for', () => {
    const isProxyTaken = (options: ClientOptions) => channelArguments(options)[2]['grpc.enable_http_proxy'];
    for (const options of [
      {},
      { tls: true },
      { server: REMOTE },
      { server: REMOTE, plaintext: true },
    ] as const) {
      expect(isProxyTaken(options), JSON.stringify(options)).toBe(0);
    }
    expect(isProxyTaken({ server: REMOTE, proxy: true })).toBe(1);
  });

  test.each([
    [{ plaintext: true, tls: true }, 'plaintext does not go with tls, ca, cert or key'],
    [{ plaintext: true, ca }, 'plaintext does not go with tls, ca, cert or key'],
    [{ server: REMOTE, plaintext: true, cert, key }, 'plaintext does not go with tls, ca, cert or key'],
    [{ cert }, 'cert and key must be given together'],
    [{ server: REMOTE, key }, 'cert and key must be given together'],
    [
      { server: REMOTE, plaintext: true, proxy: true },
      'a proxy would see what is sent in plaintext: use TLS with it',
    ],
    [{ proxy: true }, 'no proxy leads to 127.0.0.1:50051, which is this machine'],
    [
      { server: 'localhost:1', tls: true, proxy: true },
      'no proxy leads to localhost:1, which is this machine',
    ],
    [{ server: REMOTE, ca: '/nowhere' }, 'ENOENT'],
  ] as const)('is refused where options contradict each other: %j', (options, message) => {
    expect(() => channelArguments(options)).toThrow(message);
  });
});
