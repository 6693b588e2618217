import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { linkWarning, readLink } from '../../../src/db/database-link.js';

const ENVIRONMENT = ['PGSSLMODE', 'PGHOST', 'PGPORT', 'PGPASSWORD'];

beforeEach(() => {
  for (const variable of ENVIRONMENT) vi.stubEnv(variable, undefined);
  // The driver warns of names for which it has other meanings than libpq.
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe('beyond this machine, TLS is verified unless the URL says otherwise', () => {
  test.each([
    ['postgres://k:p@db.example.com/keyward', 'db.example.com', 'verified'],
    ['postgresql://k@db:6432/keyward?application_name=x', 'db', 'verified'],
    ['postgres://k@192.0.2.7/keyward', '192.0.2.7', 'verified'],
    ['postgres://k@[2001:db8::1]:5432/keyward', '2001:db8::1', 'verified'],
    ['postgres://k@db/keyward?sslmode=verify-full', 'db', 'verified'],
    ['postgres://k@db/keyward?sslmode=require', 'db', 'verified'],
    ['postgres://k@db/keyward?sslmode=prefer', 'db', 'verified'],
    ['postgres://k@db/keyward?sslmode=verify-ca', 'db', 'verified'],
    ['postgres://k@db/keyward?sslmode=allow', 'db', 'verified'],
    ['postgres://k@db/keyward?ssl=true', 'db', 'verified'],
    ['postgres://k@db/keyward?sslmode=disable', 'db', 'none'],
    ['postgres://k@db/keyward?ssl=0', 'db', 'none'],
    ['postgres://k@db/keyward?sslmode=no-verify', 'db', 'unverified'],
    ['postgres://k@db/keyward?uselibpqcompat=true&sslmode=require', 'db', 'unverified'],
    ['postgres://k@db/keyward?uselibpqcompat=true&sslmode=prefer', 'db', 'unverified'],
    // Where a query names a host, the driver connects to that.
    ['postgres://k@localhost/keyward?host=db.example.com', 'db.example.com', 'verified'],
    ['postgres://k@127.0.0.1/keyward?host=db.example.com', 'db.example.com', 'verified'],
    // The driver knows neither lists of hosts nor hostaddr.
    ['postgres://k@localhost/keyward?host=localhost,db.example.com', 'localhost,db.example.com', 'verified'],
    ['postgres://k@db/keyward?hostaddr=127.0.0.1', 'db', 'verified'],
    // These only look like loopback, or are it in a form that is not worth an exception.
    ['postgres://k@127.0.0.1.example.com/keyward', '127.0.0.1.example.com', 'verified'],
    ['postgres://k@localhost.example.com/keyward', 'localhost.example.com', 'verified'],
    ['postgres://k@0.0.0.0/keyward', '0.0.0.0', 'verified'],
    ['postgres://k@127.1/keyward', '127.1', 'verified'],
  ])('%s', (url, host, tls) => {
    expect(readLink(url)).toEqual({ host, isLocal: false, tls, requiresScram: false });
  });

  test.each(['disable', 'prefer', 'no-verify'])('whatever PGSSLMODE says: %s', (mode) => {
    vi.stubEnv('PGSSLMODE', mode);
    expect(readLink('postgres://k@db/keyward')).toMatchObject({ tls: 'verified' });
  });

  test('also where PGHOST names the host', () => {
    vi.stubEnv('PGHOST', 'db.example.com');
    expect(readLink('postgres:///keyward')).toMatchObject({ host: 'db.example.com', tls: 'verified' });
  });

  test('also where the URL names an authority and no mode; one that uselibpqcompat weakens is told of', async () => {
    const authority = join(tmpdir(), `keyward-authority-${process.pid}.pem`);
    await writeFile(authority, 'certificate');
    try {
      const url = `postgres://k@db/keyward?sslrootcert=${authority}`;
      expect(readLink(url)).toMatchObject({ tls: 'verified' });
      for (const mode of ['verify-ca', 'require']) {
        const weaker = readLink(`${url}&uselibpqcompat=true&sslmode=${mode}`);
        expect(weaker).toMatchObject({ tls: 'issuer' });
      }
    } finally {
      await rm(authority);
    }
  });
});

describe('on this machine, the URL and the environment count as they always did', () => {
  test.each([
    ['postgres://k@localhost/keyward', 'localhost', 'none'],
    ['postgres://k@127.0.0.1:5433/keyward', '127.0.0.1', 'none'],
    ['postgres://k@127.9.9.9/keyward', '127.9.9.9', 'none'],
    ['postgres://k@[::1]/keyward', '::1', 'none'],
    ['postgres:///keyward', 'localhost', 'none'],
    ['postgres://k:p@%2Frun%2Fpostgresql/keyward', '/run/postgresql', 'none'],
    ['postgres://k@db/keyward?host=/run/postgresql', '/run/postgresql', 'none'],
    ['postgres://k@localhost/keyward?sslmode=verify-full', 'localhost', 'verified'],
  ])('%s', (url, host, tls) => {
    expect(readLink(url)).toEqual({ host, isLocal: true, tls, requiresScram: false });
  });

  test('PGSSLMODE turns TLS on', () => {
    vi.stubEnv('PGSSLMODE', 'verify-full');
    expect(readLink('postgres://k@localhost/keyward')).toMatchObject({ tls: 'verified' });
  });
});

test('require_auth asks for SCRAM, and for nothing else', () => {
  expect(readLink('postgres://k@localhost/k?require_auth=scram-sha-256').requiresScram).toBe(true);
  expect(() => readLink('postgres://k@localhost/k?require_auth=md5,password')).toThrow('require_auth');
});

test('what cannot be read is refused without its password', () => {
  expect(() => readLink('postgres://k:canary@:x/k')).toThrow(expect.not.stringContaining('canary') as string);
  expect(() => readLink('postgres://k:canary@db/k?sslrootcert=/no/such/file')).toThrow(
    /ENOENT.*\/no\/such\/file/,
  );
});

test.each([
  ['sslmode=disable', /at db is not encrypted: .*; DATABASE_URL says so$/],
  ['sslmode=no-verify', /at db is encrypted and its server is not verified: .*; DATABASE_URL says so$/],
  ['sslmode=verify-full', undefined],
  ['', undefined],
])('one line says in plain words what %j gives up', (query, line) => {
  const warning = linkWarning('DATABASE_URL', readLink(`postgres://k@db/keyward?${query}`));
  if (line === undefined) expect(warning).toBeUndefined();
  else expect(warning).toMatch(line);
  expect(linkWarning('DATABASE_URL', readLink(`postgres://k@localhost/k?${query}`))).toBeUndefined();
});
