import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../../src/db/knex.js';
import { ListenSession } from '../../../src/db/listen-session.js';
import { reading } from '../../../src/db/transaction.js';
import { PostgresSource } from '../../../src/smarter/postgres-source.js';
import { startImpostor, type Impostor, type Trick } from '../../support/impostor.js';

const PASSWORD = 'canary-password';
const QUERY = "SELECT 'canary-query'";
const TLS_FILES = fileURLToPath(new URL('../../fixtures/tls/', import.meta.url));

let impostor: Impostor | undefined;

afterEach(async () => {
  await impostor?.close();
});

const urlOf = (port: number, query = '', host = '127.0.0.1') =>
  `postgres://keyward:${PASSWORD}@${host}:${port}/keyward?${query}`;

/** Every way on which Keyward connects to a PostgreSQL. */
const WAYS: readonly (readonly [name: string, connect: (url: string) => Promise<unknown>])[] = [
  [
    'the pool',
    async (url) => {
      const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 2_000 });
      try {
        return await reading<unknown>(() => knex.raw(QUERY));
      } finally {
        await knex.destroy();
      }
    },
  ],
  [
    'the session that listens',
    async (url) => {
      const session = await ListenSession.open({
        url,
        timeoutMs: 2_000,
        onNotification: () => undefined,
        onLost: () => undefined,
      });
      return session.query(QUERY).finally(() => {
        session.close();
      });
    },
  ],
  ['the import', async (url) => (await PostgresSource.open(url, 5_000)).close()],
];

/** isSilent: neither a password, nor its hash, nor a query; a farewell, and what SCRAM says, tell nothing. */
function learnt(heard: readonly string[]): string[] {
  return heard.filter(
    (text) => !text.startsWith('X') && !/^p: (SCRAM-SHA-256\0.*n,,n=|c=biws,r=)/s.test(text),
  );
}

describe.each(WAYS)('%s', (_, connect) => {
  test.each<[Trick, string]>([
    ['asks for the password in clear', ''],
    ['asks for a hash of the password', 'require_auth=scram-sha-256'],
    ['asks for no password', 'require_auth=scram-sha-256'],
    ['skips the authentication', ''],
    ['skips the authentication', 'require_auth=scram-sha-256'],
    ['begins SCRAM and does not end it', ''],
    ['ends SCRAM with a proof of its own', ''],
    ['ends SCRAM with a proof of its own', 'require_auth=scram-sha-256'],
  ])('tells nothing to a server that %s (%j)', async (trick, query) => {
    impostor = await startImpostor(trick);
    await expect(connect(urlOf(impostor.port, query))).rejects.toThrow();
    expect(learnt(impostor.heard)).toEqual([]);
    expect(impostor.heard.join()).not.toContain('canary');
  });

  test.each(['', 'sslmode=verify-full', 'sslmode=require'])(
    'tells nothing to a server beyond this machine that has no TLS (%j)',
    async (query) => {
      impostor = await startImpostor('asks for no password', { host: '0.0.0.0', port: 0 });
      await expect(connect(urlOf(impostor.port, query, '0.0.0.0'))).rejects.toThrow();
      expect(impostor.connections()).toBe(1);
      expect(impostor.heard).toEqual([]);
    },
  );
});

describe('a server that asks for the password in clear', () => {
  const authority = `sslrootcert=${TLS_FILES}ca.pem`;

  test.each([
    ['gets it over TLS that is verified', authority, true],
    ['does not get it over TLS that is not verified', 'sslmode=no-verify', false],
    ['does not get it over TLS whose authority is unknown', 'sslmode=verify-full', false],
  ])('%s', async (_, query, gets) => {
    const [key, cert] = await Promise.all(
      ['server.key.pem', 'server.pem'].map((name) => readFile(TLS_FILES + name)),
    );
    const context = createSecureContext({ ...(key && { key }), ...(cert && { cert }) });
    impostor = await startImpostor('asks for the password in clear', undefined, context);
    await ListenSession.open({
      url: urlOf(impostor.port, query, 'localhost'),
      timeoutMs: 2_000,
      onNotification: () => undefined,
      onLost: () => undefined,
    }).then(
      (session) => {
        session.close();
      },
      () => undefined,
    );
    // What follows on the password is the start of the session.
    expect(impostor.heard.slice(0, 1)).toEqual(gets ? [`p: ${PASSWORD}\0`] : []);
  });
});

test.each<[Trick, string]>([
  ['asks for the password in clear', 'it asks for the password in clear'],
  ['asks for no password', 'it asks for no password, and SCRAM is required'],
])('that it was refused is known as an outage of the database, with the cause: %s', async (trick, why) => {
  impostor = await startImpostor(trick);
  const [, byPool] = WAYS[0] ?? [];
  await expect(byPool?.(urlOf(impostor.port, 'require_auth=scram-sha-256'))).rejects.toMatchObject({
    reason: 'DATABASE_UNAVAILABLE',
    cause: { message: expect.stringContaining(why) as string },
  });
});
