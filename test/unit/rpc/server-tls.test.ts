import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../../src/config.js';
import { readServerTls } from '../../../src/rpc/server-tls.js';

const pem = (name: string) => fileURLToPath(new URL(`../../fixtures/tls/${name}.pem`, import.meta.url));

let directory: string;
let empty: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-tls-'));
  empty = join(directory, 'empty');
  await writeFile(empty, '');
});

afterAll(() => rm(directory, { recursive: true }));

function read(cert: string, key: string, ca?: string) {
  const authorities = ca === undefined ? {} : { KEYWARD_TLS_CLIENT_CA: ca };
  return readServerTls(loadConfig({ KEYWARD_TLS_CERT: cert, KEYWARD_TLS_KEY: key, ...authorities }));
}

test('files that fit are served', async () => {
  expect(await read(pem('server'), pem('server.key'), pem('ca'))).toBeDefined();
  expect(await readServerTls(loadConfig({}))).toBeUndefined();
});

test.each([
  [
    'a certificate that is missing',
    ['/nowhere/cert', pem('server.key')],
    'KEYWARD_TLS_CERT: /nowhere/cert cannot be read: there is no such file',
  ],
  [
    'a key that is missing',
    [pem('server'), '/nowhere/key'],
    'KEYWARD_TLS_KEY: /nowhere/key cannot be read: there is no such file',
  ],
  [
    'authorities that are missing',
    [pem('server'), pem('server.key'), '/nowhere'],
    'KEYWARD_TLS_CLIENT_CA: /nowhere cannot be read: there is no such file',
  ],
  [
    'a key of another certificate',
    [pem('server'), pem('staff-a.key')],
    'KEYWARD_TLS_KEY is not the key of the certificate in KEYWARD_TLS_CERT',
  ],
  [
    'the two the other way round',
    [pem('server.key'), pem('server')],
    'server.key.pem holds no certificate in PEM',
  ],
  [
    'a certificate in the place of the key',
    [pem('server'), pem('server')],
    'server.pem holds no private key in PEM',
  ],
  [
    'an authority in a file that holds none',
    [pem('server'), pem('server.key'), pem('ca').replace('ca.pem', 'make-certificates.sh')],
    'KEYWARD_TLS_CLIENT_CA: ',
  ],
] as const)('the setting and the file are named: %s', async (_, [cert, key, ca], words) => {
  const error = await read(cert, key, ca).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).message).toContain(words);
  expect((error as ConfigError).message).not.toContain('\n');
});

test('a file that is empty holds no certificate', async () => {
  await expect(read(empty, pem('server.key'))).rejects.toThrow('holds no certificate in PEM');
});
