import { expect, test } from 'vitest';
import { AUDIT_ACTIONS } from '../../../src/audit/audit-entry.js';
import { toAuditEvent } from '../../../src/audit/audit-messages.js';
import type { AuditEvent } from '../../../src/audit/audit-service.js';
import { AuditAction } from '../../../src/gen/keyward/audit/v1/audit.js';

const EVENT: AuditEvent = {
  id: 7n,
  chain: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  seq: 3n,
  mac: Buffer.alloc(32),
  occurredAt: 1_700_000_000_000_001n,
  action: 'SECRET_ACCESSED',
  outcome: 'OK',
  actor: {
    keyId: undefined,
    userId: 1n,
    username: 'alice',
    accountNumber: undefined,
    peer: '127.0.0.1:5',
    certificate: 'CN=alice sha256=00',
    requestId: undefined,
  },
  resource: { kind: 'secret', id: null },
  detail: { version: '1' },
};

test('every action has a value of the enum, and every value is an action', () => {
  const named = AUDIT_ACTIONS.map((action) => toAuditEvent({ ...EVENT, action }).action);
  expect(named.map((action) => AuditAction[action])).toEqual(
    AUDIT_ACTIONS.map((action) => `AUDIT_ACTION_${action}`),
  );
  const values = Object.values(AuditAction).filter((value) => typeof value === 'number');
  expect([...named, AuditAction.AUDIT_ACTION_UNSPECIFIED].sort((a, b) => a - b)).toEqual(
    values.sort((a, b) => a - b),
  );
});

test('what a record does not know is empty, or 0', () => {
  expect(toAuditEvent(EVENT)).toEqual({
    id: 7n,
    occurredAt: { seconds: 1_700_000_000n, nanos: 1000 },
    action: AuditAction.AUDIT_ACTION_SECRET_ACCESSED,
    outcome: 'OK',
    actor: {
      keyId: '',
      userId: 1n,
      username: 'alice',
      accountNumber: '',
      peer: '127.0.0.1:5',
      certificate: 'CN=alice sha256=00',
    },
    resource: { kind: 'secret', id: 0n, userProfileId: 0n, accountNumber: '', accountId: 0n },
    detail: new Map([['version', '1']]),
    requestId: '',
    chain: EVENT.chain,
    sequence: 3n,
  });
});

test('a record that somebody changed can still be shown', () => {
  const changed = { ...EVENT, action: '__proto__', detail: { version: 1, more: { a: null } } };
  expect(toAuditEvent(changed)).toMatchObject({
    action: AuditAction.AUDIT_ACTION_UNSPECIFIED,
    detail: new Map([
      ['version', '1'],
      ['more', '{"a":null}'],
    ]),
  });
});
