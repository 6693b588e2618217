import { beforeEach, expect, test } from 'vitest';
import type { Caller } from '../../../src/authz/caller.js';
import type { AuditEntry } from '../../../src/audit/audit-log.js';
import { AuthenticationLog } from '../../../src/authn/authentication-log.js';
import { Tally } from '../../../src/audit/tally.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { ManualClock } from '../../support/manual-clock.js';

let written: AuditEntry[];
let isAvailable: boolean;
let clock: ManualClock;
let tally: Tally;
let authentications: AuthenticationLog;

beforeEach(() => {
  written = [];
  isAvailable = true;
  clock = new ManualClock(Date.UTC(2026, 0, 31));
  const audit = {
    append: (entry: AuditEntry) => {
      if (!isAvailable) return Promise.reject(new Error('the database is away'));
      written.push(entry);
      return Promise.resolve();
    },
  };
  const logger = createLogger('warn', { write: () => undefined });
  tally = new Tally({ audit, clock, logger, staysOpen: false });
  authentications = new AuthenticationLog(tally);
});

function caller(keyId: string | undefined, certificate?: string): Caller {
  return {
    userId: 7n,
    username: 'someone',
    profileId: undefined,
    accountNumber: '1111-1111-1111',
    keyId,
    scopes: ['*'],
    origin: { peer: '10.0.0.1:5000', requestId: 'a-request', certificate },
    isGone: () => false,
  };
}

test('the calls of one key are one record, with their number and the time of the first', async () => {
  authentications.succeeded(caller('key-1'));
  clock.advance(10_000);
  authentications.succeeded(caller('key-1'));
  authentications.succeeded(caller('key-2'));
  await tally.flush();
  expect(written).toEqual([
    {
      actor: {
        keyId: 'key-1',
        userId: 7n,
        username: 'someone',
        accountNumber: '1111-1111-1111',
        peer: '10.0.0.1:5000',
        certificate: undefined,
        requestId: undefined,
      },
      action: 'AUTHENTICATION_SUCCEEDED',
      outcome: 'OK',
      resource: { kind: 'service', id: null },
      detail: { count: '2', since: '2026-01-31T00:00:00.000Z' },
    },
    expect.objectContaining({ detail: { count: '1', since: '2026-01-31T00:00:10.000Z' } }),
  ]);
});

test('what was written is not written again', async () => {
  authentications.succeeded(caller('key-1'));
  await tally.flush();
  await tally.flush();
  expect(written).toHaveLength(1);
});

test('callers with different certificates are told apart', async () => {
  authentications.succeeded(caller(undefined, 'CN=someone sha256=1'));
  authentications.succeeded(caller(undefined, 'CN=someone sha256=2'));
  await tally.flush();
  expect(written.map(({ actor }) => actor.certificate)).toEqual([
    'CN=someone sha256=1',
    'CN=someone sha256=2',
  ]);
});

test('refusals are counted by host, whatever the port', async () => {
  for (const peer of ['10.0.0.1:5000', '10.0.0.1:5001', '[2001:db8::1]:5000', '[2001:db8::1]:5001']) {
    authentications.failed(peer);
  }
  await tally.flush();
  expect(
    written.map(({ action, outcome, actor, detail }) => [action, outcome, actor.peer, detail['count']]),
  ).toEqual([
    ['AUTHENTICATION_FAILED', 'CREDENTIALS_REFUSED', '10.0.0.1', '2'],
    ['AUTHENTICATION_FAILED', 'CREDENTIALS_REFUSED', '[2001:db8::1]', '2'],
  ]);
});

test('a thousand are told apart, and the rest is counted together', async () => {
  for (let host = 0; host < 1_500; host += 1) authentications.failed(`host-${host}:1`);
  authentications.failed('host-3:2');
  authentications.succeeded(caller('late'));
  await tally.flush();
  const counts = written.map(({ actor, action, detail }) => [action, actor.peer, detail['count']]);
  expect(counts).toHaveLength(1_002);
  expect(counts[3]).toEqual(['AUTHENTICATION_FAILED', 'host-3', '2']);
  expect(counts.slice(1_000)).toEqual([
    ['AUTHENTICATION_FAILED', 'many', '500'],
    ['AUTHENTICATION_SUCCEEDED', 'many', '1'],
  ]);
});

test('what cannot be written is kept, and counted on', async () => {
  authentications.failed('10.0.0.1:1');
  isAvailable = false;
  await tally.flush();
  clock.advance(60_000);
  authentications.failed('10.0.0.1:2');
  await tally.flush();
  isAvailable = true;
  await tally.stop();
  expect(written.map(({ detail }) => detail)).toEqual([{ count: '2', since: '2026-01-31T00:00:00.000Z' }]);
});
