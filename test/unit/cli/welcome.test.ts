import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { welcome } from '../../../src/cli/serve/welcome.js';
import { loadConfig } from '../../../src/config.js';
import { MUTUAL_TLS } from '../../support/server.js';

const CA = fileURLToPath(new URL('../../fixtures/tls/ca.pem', import.meta.url));

function commands(env: Readonly<Record<string, string>>, port = 50051): string[] {
  return welcome(loadConfig(env), port)
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim());
}

test('with the settings that are there by themselves no command needs an option more', () => {
  const [environment, list, , , ...own] = commands({});
  expect(environment).toMatch(/^export KEYWARD_TOKEN=\$\(cat \.keyward\/admin-token\) /);
  expect(list).toBe('grpcurl -plaintext 127.0.0.1:50051 list');
  expect(own[0]).toBe('npx keyward call keyward.token.v1.TokenService/ListTokens');
});

test('an address that means all is told as one that can be reached, and each command names it', () => {
  const told = commands({ KEYWARD_LISTEN: '0.0.0.0:0', KEYWARD_ALLOW_PLAINTEXT: 'true' }, 40_001);
  expect(told[1]).toBe('grpcurl -plaintext 127.0.0.1:40001 list');
  for (const command of told.slice(4)) expect(command).toContain(' --server 127.0.0.1:40001');
});

test('a directory with a space in its name is one word', () => {
  expect(commands({ KEYWARD_DATA_DIR: '/srv/key ward' })[0]).toContain("$(cat '/srv/key ward/admin-token')");
});

test('without reflection grpcurl gets the protos, and is not told to list', () => {
  const told = commands({ KEYWARD_REFLECTION: 'false' });
  expect(told.join('\n')).not.toContain(' list');
  expect(told[1]).toMatch(/ -import-path \S+\/proto .*-proto keyward\/token\/v1\/token_service\.proto /);
});

test('with TLS the commands use the name of the certificate, and the authority that is known', () => {
  const told = commands(MUTUAL_TLS);
  expect(told[1]).toBe('grpcurl -cacert CA.pem -cert CLIENT.pem -key CLIENT-KEY.pem localhost:50051 list');
  for (const command of told.slice(4))
    expect(command).toContain(' --server localhost:50051 --ca CA.pem --cert CLIENT.pem --key CLIENT-KEY.pem');
  const own = { KEYWARD_TLS_CERT: CA, KEYWARD_TLS_KEY: 'unread' };
  expect(commands(own)[1]).toContain(`-cacert ${CA} `);
});
