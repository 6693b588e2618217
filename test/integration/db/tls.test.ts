import { chmod, chown, copyFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openCluster } from '../../../src/db/embedded/cluster.js';
import { DEFAULT_SETTINGS } from '../../../src/db/embedded/server.js';
import { openDatabase } from '../../../src/db/knex.js';
import { makeDataDir, removeDataDir } from '../../support/data-dir.js';
import { keyward, runKeyward } from '../../support/keyward-command.js';
import { startTcpPostmaster, type TcpPostmaster } from '../../support/tcp-postmaster.js';

const TLS_FILES = fileURLToPath(new URL('../../fixtures/tls/', import.meta.url));

/** An address of this machine that is not loopback. The server's certificate does not name it. */
const ADDRESS = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;

let dataDir: string;
let postgres: TcpPostmaster;

beforeAll(async () => {
  dataDir = await makeDataDir();
  const ignore = () => undefined;
  const cluster = await openCluster(dataDir, DEFAULT_SETTINGS, { onProgress: ignore, onWarning: ignore });
  for (const name of ['server.pem', 'server.key.pem']) {
    const copy = join(cluster.path, name);
    await copyFile(TLS_FILES + name, copy);
    await chmod(copy, 0o600);
    if (cluster.user) await chown(copy, cluster.user.uid, cluster.user.gid);
  }
  postgres = await startTcpPostmaster(cluster, {
    listen_addresses: '*',
    ssl: 'on',
    ssl_cert_file: 'server.pem',
    ssl_key_file: 'server.key.pem',
  });
});

afterAll(async () => {
  await postgres.kill();
  await removeDataDir(dataDir);
});

function urlAt(host: string, query: string): string {
  const url = new URL(postgres.url);
  url.hostname = host;
  url.search = query;
  return url.href;
}

async function connect(url: string): Promise<unknown> {
  const knex = openDatabase({ url, poolSize: 1, connectTimeoutMs: 5_000 });
  try {
    const { rows } = await knex.raw<{ rows: { ssl: boolean }[] }>(
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    return rows[0];
  } finally {
    await knex.destroy();
  }
}

const authority = `sslrootcert=${TLS_FILES}ca.pem`;

test('a certificate that names the host, of an authority that is trusted, is accepted', async () => {
  expect(await connect(urlAt('localhost', authority))).toEqual({ ssl: true });
});

test('on this machine nothing is asked for', async () => {
  expect(await connect(urlAt('127.0.0.1', ''))).toEqual({ ssl: false });
});

// NOT TESTED where the machine has no address but loopback.
test.runIf(ADDRESS !== undefined).each([
  ['an authority that nobody named is not trusted', '', /self-signed|unable to (get|verify)/i],
  ['a certificate for another host is refused', authority, /altnames|does not match/i],
  [
    'a certificate for another host is refused, said out loud',
    `${authority}&sslmode=verify-full`,
    /altnames/,
  ],
])('beyond this machine %s', async (_, query, message) => {
  await expect(connect(urlAt(ADDRESS ?? '', query))).rejects.toThrow(message);
});

test.runIf(ADDRESS !== undefined).each([
  ['sslmode=disable', false, 'is not encrypted'],
  ['sslmode=no-verify', true, 'is encrypted and its server is not verified'],
])('a URL with %s is obeyed, and one line says what it means', async (query, ssl, words) => {
  const url = urlAt(ADDRESS ?? '', query);
  expect(await connect(url)).toEqual({ ssl });
  const { code, stderr } = await runKeyward(['migrate'], { env: { DATABASE_URL: url } });
  expect(code).toBe(0);
  expect(stderr).toContain(`keyward: warning: the connection to the database at ${ADDRESS} ${words}`);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

test.runIf(ADDRESS !== undefined)('a command is refused by the rule too, without the password', async () => {
  const { code, stderr } = await runKeyward(['migrate'], {
    env: { DATABASE_URL: urlAt(ADDRESS ?? '', authority), PGSSLMODE: 'disable' },
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^keyward: .*\n$/);
  expect(stderr).not.toContain(new URL(postgres.url).password);
  expect(await keyward(['migrate'], { env: { DATABASE_URL: urlAt('localhost', authority) } })).not.toBe('');
});
