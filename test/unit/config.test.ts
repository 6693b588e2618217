import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig, SETTINGS, unknownVariables } from '../../src/config.js';
import { FernetKey } from '../../src/crypto/fernet.js';
import { fernetKey } from '../support/fernet-vectors.js';

const KEYS = [FernetKey.generate(), FernetKey.generate()];

function malformedKey(position: number): string {
  return `must be Fernet keys, each the base64 of 32 bytes, separated by commas: number ${position} is none`;
}

/** problems are the lines of the error that an environment leads to. */
function problems(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.message.split('\n  ').slice(1);
  }
}

test('nothing has to be set', () => {
  expect(loadConfig({})).toEqual({
    listen: { host: '127.0.0.1', port: 50051 },
    httpListen: { host: '127.0.0.1', port: 9464 },
    workers: 1,
    http2GcWorkaround: true,
    fastLane: true,
    databaseUrl: undefined,
    databaseListenUrl: undefined,
    databasePasswordFile: undefined,
    databasePoolSize: 10,
    databaseTimeoutSeconds: 5,
    dataDir: './.keyward',
    fernetKeys: [],
    fernetKeysFile: undefined,
    secretRetentionDays: 30,
    tlsCert: undefined,
    tlsKey: undefined,
    tlsClientCa: undefined,
    tlsClientScopes: ['keyward.tokens.validate'],
    gatewayListen: undefined,
    gatewayCredentialHeaders: ['authorization', 'x-api-key'],
    gatewayRemoveCredential: true,
    allowPlaintext: false,
    reflection: true,
    requestTimeoutSeconds: 10,
    maxConnections: 4096,
    maxConnectionsPerPeer: 1024,
    idleConnectionSeconds: 600,
    cacheMaxEntries: 100_000,
    cacheTtlSeconds: 60,
    maxStaleSeconds: 60,
    maxCallsPerCaller: 200,
    maxStreamsPerCaller: 200,
    holderMaxEntries: 10_000,
    maxHolders: 1_000,
    shutdownSeconds: 10,
    logLevel: 'info',
  });
});

test('what is set is read', () => {
  const config = loadConfig({
    KEYWARD_LISTEN: '[::]:0',
    KEYWARD_HTTP_LISTEN: '',
    KEYWARD_WORKERS: '64',
    DATABASE_URL: 'postgresql://keyward:secret@db/keyward',
    KEYWARD_DATABASE_POOL_SIZE: '1000',
    KEYWARD_MAX_STALE_SECONDS: '0',
    KEYWARD_FERNET_KEYS: `${KEYS.join(',')}\n`,
    KEYWARD_SECRET_RETENTION_DAYS: '0',
    KEYWARD_TLS_CERT: 'cert.pem',
    KEYWARD_TLS_KEY: 'key.pem',
    KEYWARD_TLS_CLIENT_CA: 'ca.pem',
    KEYWARD_TLS_CLIENT_SCOPES: 'a, b.*',
    KEYWARD_REFLECTION: 'false',
    KEYWARD_SHUTDOWN_SECONDS: '0',
    KEYWARD_LOG_LEVEL: 'silent',
  });
  expect(config).toMatchObject({
    listen: { host: '[::]', port: 0 },
    httpListen: undefined,
    workers: 64,
    databasePoolSize: 1000,
    maxStaleSeconds: 0,
    secretRetentionDays: 0,
    tlsCert: 'cert.pem',
    tlsKey: 'key.pem',
    tlsClientCa: 'ca.pem',
    tlsClientScopes: ['a', 'b.*'],
    reflection: false,
    shutdownSeconds: 0,
    logLevel: 'silent',
  });
  expect(config.databaseUrl?.reveal()).toBe('postgresql://keyward:secret@db/keyward');
  expect(config.fernetKeys.map(({ id }) => id)).toEqual(KEYS.map((text) => fernetKey(text).id));
});

test('the settings cannot be changed once read, and printing them shows no password and no key', () => {
  const config = loadConfig({
    DATABASE_URL: 'postgres://keyward:canary@db/keyward',
    KEYWARD_FERNET_KEYS: KEYS.join(','),
  });
  expect(Object.isFrozen(config)).toBe(true);
  const printed = JSON.stringify(config) + inspect(config, { depth: 9, showHidden: true });
  for (const secret of ['canary', ...KEYS]) expect(printed).not.toContain(secret);
});

describe('all that is wrong is told at once, without showing a value', () => {
  test.each<[string, string, string]>([
    ['KEYWARD_LISTEN', 'canary', 'must be <host>:<port>'],
    ['KEYWARD_LISTEN', '', 'must be <host>:<port>'],
    ['KEYWARD_LISTEN', '::1:50051', 'must be <host>:<port>'],
    ['KEYWARD_LISTEN', '127.0.0.1:65536', 'must have a port of at most 65535'],
    ['KEYWARD_HTTP_LISTEN', 'canary', 'must be <host>:<port>'],
    ['KEYWARD_HTTP_LISTEN', '127.0.0.1:65536', 'must have a port of at most 65535'],
    ['KEYWARD_WORKERS', '0', 'must be at least 1'],
    ['KEYWARD_WORKERS', '65', 'must be at most 64'],
    ['DATABASE_URL', 'mysql://keyward:canary@db/keyward', 'must be a postgres:// URL'],
    ['DATABASE_URL', 'canary', 'must be a postgres:// URL'],
    ['DATABASE_LISTEN_URL', 'canary', 'must be a postgres:// URL'],
    ['KEYWARD_MAX_STALE_SECONDS', '3601', 'must be at most 3600'],
    ['KEYWARD_DATABASE_POOL_SIZE', '1', 'must be at least 2'],
    ['KEYWARD_DATABASE_POOL_SIZE', '1001', 'must be at most 1000'],
    ['KEYWARD_DATABASE_TIMEOUT_SECONDS', '0', 'must be at least 1'],
    ['KEYWARD_DATABASE_TIMEOUT_SECONDS', '1.5', 'must be a whole number'],
    ['KEYWARD_DATA_DIR', '', 'must not be empty'],
    ['KEYWARD_FERNET_KEYS', 'canary', malformedKey(1)],
    ['KEYWARD_FERNET_KEYS', `${FernetKey.generate()},canary`, malformedKey(2)],
    ['KEYWARD_FERNET_KEYS', `,${FernetKey.generate()}`, malformedKey(1)],
    ['KEYWARD_SECRET_RETENTION_DAYS', '3651', 'must be at most 3650'],
    ['KEYWARD_TLS_CLIENT_SCOPES', 'Canary', 'must be scopes of [a-z0-9_.:/*-], separated by commas'],
    ['KEYWARD_TLS_CLIENT_SCOPES', '', 'must be scopes of [a-z0-9_.:/*-], separated by commas'],
    ['KEYWARD_ALLOW_PLAINTEXT', 'yes', 'must be true or false'],
    ['KEYWARD_REFLECTION', 'TRUE', 'must be true or false'],
    ['KEYWARD_CACHE_MAX_ENTRIES', '-1', 'must be a whole number'],
    ['KEYWARD_CACHE_TTL_SECONDS', '86401', 'must be at most 86400'],
    ['KEYWARD_SHUTDOWN_SECONDS', 'canary', 'must be a whole number'],
    ['KEYWARD_LOG_LEVEL', 'loud', 'must be one of trace, debug, info, warn, error, fatal, silent'],
  ])('%s=%s', (variable, value, rule) => {
    expect(problems({ [variable]: value })).toEqual([`${variable} ${rule}`]);
  });

  test('several at once, contradictions too', () => {
    expect(
      problems({
        DATABASE_URL: 'canary',
        KEYWARD_LOG_LEVEL: 'canary',
        KEYWARD_TLS_KEY: 'canary',
        KEYWARD_LISTEN: '0.0.0.0:1',
      }),
    ).toEqual([
      'DATABASE_URL must be a postgres:// URL',
      'KEYWARD_LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent',
      'KEYWARD_TLS_CERT and KEYWARD_TLS_KEY must be set together',
      'KEYWARD_LISTEN is not a loopback address: set KEYWARD_TLS_CERT and KEYWARD_TLS_KEY, or KEYWARD_ALLOW_PLAINTEXT=true',
    ]);
  });

  test('what could not be read contradicts nothing', () => {
    expect(problems({ KEYWARD_LISTEN: '0.0.0.0:1', KEYWARD_ALLOW_PLAINTEXT: 'yes' })).toHaveLength(1);
    expect(problems({ KEYWARD_LISTEN: 'x' })).toHaveLength(1);
  });
});

describe('contradictions', () => {
  test('another way to a database that is not named', () => {
    expect(problems({ DATABASE_LISTEN_URL: 'postgres://db/keyward' })).toEqual([
      'DATABASE_LISTEN_URL needs DATABASE_URL',
    ]);
    expect(
      problems({ DATABASE_LISTEN_URL: 'postgres://db/keyward', DATABASE_URL: 'postgres://pooler/keyward' }),
    ).toEqual([]);
  });

  test('a password in a file and in a URL, or in a file and for no database', () => {
    const DATABASE_PASSWORD_FILE = 'password';
    expect(problems({ DATABASE_PASSWORD_FILE })).toEqual(['DATABASE_PASSWORD_FILE needs DATABASE_URL']);
    const refused = (variable: string) =>
      `${variable} must hold no password where DATABASE_PASSWORD_FILE is set`;
    for (const url of [
      'postgres://keyward:canary@db/keyward',
      'postgres://db/keyward?user=a&password=canary',
    ]) {
      expect(problems({ DATABASE_PASSWORD_FILE, DATABASE_URL: url })).toEqual([refused('DATABASE_URL')]);
      expect(
        problems({ DATABASE_PASSWORD_FILE, DATABASE_URL: 'postgres://db/k', DATABASE_LISTEN_URL: url }),
      ).toEqual([refused('DATABASE_LISTEN_URL')]);
    }
    for (const url of [
      'postgres://keyward@db:5432/keyward?sslmode=disable',
      'postgres://keyward@[::1]:5432/keyward',
    ]) {
      expect(problems({ DATABASE_PASSWORD_FILE, DATABASE_URL: url })).toEqual([]);
    }
  });

  test('a certificate without its key, and the other way round', () => {
    const problem = 'KEYWARD_TLS_CERT and KEYWARD_TLS_KEY must be set together';
    expect(problems({ KEYWARD_TLS_CERT: 'cert.pem' })).toEqual([problem]);
    expect(problems({ KEYWARD_TLS_KEY: 'key.pem' })).toEqual([problem]);
  });

  test('keys in the environment and in a file', () => {
    expect(problems({ KEYWARD_FERNET_KEYS: KEYS.join(','), KEYWARD_FERNET_KEYS_FILE: 'keys' })).toEqual([
      'KEYWARD_FERNET_KEYS and KEYWARD_FERNET_KEYS_FILE must not be set together',
    ]);
  });

  test('client certificates without TLS', () => {
    expect(problems({ KEYWARD_TLS_CLIENT_CA: 'ca.pem' })).toEqual([
      'KEYWARD_TLS_CLIENT_CA needs KEYWARD_TLS_CERT and KEYWARD_TLS_KEY',
    ]);
  });

  test.each([
    '0.0.0.0:1',
    '[::]:1',
    '10.0.0.1:1',
    'example.org:1',
    '127.0.0.1.example.org:1',
    'localhost.example.org:1',
  ])('plaintext on %s, which others can reach, unless it is allowed or there is TLS', (listen) => {
    expect(problems({ KEYWARD_LISTEN: listen })).toHaveLength(1);
    expect(problems({ KEYWARD_LISTEN: listen, KEYWARD_ALLOW_PLAINTEXT: 'true' })).toEqual([]);
    expect(problems({ KEYWARD_LISTEN: listen, KEYWARD_TLS_CERT: 'c', KEYWARD_TLS_KEY: 'k' })).toEqual([]);
  });

  test.each(['127.0.0.1:1', '127.1.2.3:1', '[::1]:1', 'localhost:1'])(
    'plaintext on %s is reached from this machine alone',
    (listen) => {
      expect(problems({ KEYWARD_LISTEN: listen })).toEqual([]);
    },
  );
});

test('misspelt settings are noticed; variables of other commands and other programs are not', () => {
  expect(
    unknownVariables({
      KEYWARD_LISTENN: '',
      KEYWARD_LISTEN: '',
      DATABASE_URL: '',
      PATH: '',
      KEYWARD_TOKEN: '',
      KEYWARD_SERVER: '',
      KEYWARD_IMPORT_FROM: '',
    }),
  ).toEqual(['KEYWARD_LISTENN']);
});

test('every default is valid, and every setting is described', () => {
  for (const { variable, default: fallback, schema, description } of Object.values(SETTINGS)) {
    expect(schema.safeParse(fallback).success, variable).toBe(true);
    expect(description).toMatch(/^[A-Z].*\.$/);
  }
});
