import { expect, test } from 'vitest';
import { sourceWarning } from '../../../src/smarter/connect-source.js';
import { readMysqlLink } from '../../../src/smarter/mysql-link.js';

const VERIFIED = { rejectUnauthorized: true, verifyIdentity: true };

test.each([
  ['mysql://reader:p@db.example.com/smarter', 'db.example.com', VERIFIED],
  ['mariadb://reader@db:3307/smarter?sslmode=verify-full', 'db', VERIFIED],
  ['mysql://reader@localhost.example.com/smarter', 'localhost.example.com', VERIFIED],
  ['mysql://reader@[2001:db8::1]/smarter', '2001:db8::1', VERIFIED],
  ['mysql://reader@localhost/smarter?sslmode=verify-full', 'localhost', VERIFIED],
  ['mysql://reader@db/smarter?sslmode=no-verify', 'db', { rejectUnauthorized: false, verifyIdentity: false }],
  ['mysql://reader@db/smarter?sslmode=disable', 'db', undefined],
  ['mysql://reader@127.0.0.1/smarter', '127.0.0.1', undefined],
  ['mysql://reader@[::1]/smarter', '::1', undefined],
  ['mysql://reader@db/smarter?socketPath=/run/mysqld.sock', '/run/mysqld.sock', undefined],
])(
  'a source of MySQL beyond this machine is reached by verified TLS unless its URL says otherwise: %s',
  (url, host, ssl) => {
    const link = readMysqlLink(url);
    expect(link.host).toBe(host);
    expect(link.options.ssl).toEqual(ssl);
    expect(link.options.uri).not.toContain('sslmode');
  },
);

test.each(['', 'sslmode=disable&', 'sslmode=no-verify&'])(
  'only over verified TLS may a server have the password in clear, whatever the URL says (%j)',
  (mode) => {
    const link = readMysqlLink(`mysql://reader@db/smarter?${mode}enableCleartextPlugin=true`);
    expect(link.options.enableCleartextPlugin).toBe(mode === '');
    expect(link.options.uri).not.toContain('enableCleartextPlugin');
  },
);

test('what is not known is refused, not ignored', () => {
  expect(() => readMysqlLink('mysql://reader@db/smarter?sslmode=prefer')).toThrow(
    /verify-full, no-verify or disable/,
  );
  expect(() => readMysqlLink('mysql://reader@db/smarter?ssl={"rejectUnauthorized":false}')).toThrow(
    /sslmode/,
  );
});

test.each([
  ['mysql://reader@db/smarter?sslmode=disable', /source at db is not encrypted: .*; the URL says so$/],
  [
    'postgres://reader@db/smarter?sslmode=no-verify',
    /source at db is encrypted and its server is not verified/,
  ],
  ['mysql://reader@db/smarter', undefined],
  ['postgres://reader@db/smarter', undefined],
  ['postgres://reader@localhost/smarter', undefined],
])('one line tells what the URL of a source gives up: %s', (url, line) => {
  if (line === undefined) expect(sourceWarning(url)).toBeUndefined();
  else expect(sourceWarning(url)).toMatch(line);
});
