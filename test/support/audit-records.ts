import fc from 'fast-check';
import type { AuditEntry } from '../../src/audit/audit-log.js';
import type { AuditRecord } from '../../src/audit/audit-record.js';

const text = fc.string({ unit: 'binary', maxLength: 8 });
const optionalText = fc.option(text, { nil: undefined });
const optionalId = fc.option(fc.bigInt(1n, 1000n), { nil: undefined });

/** anyRecord is any record, of values that are easily mistaken for one another. */
export const anyRecord: fc.Arbitrary<AuditRecord> = fc.record({
  id: fc.bigInt(1n, 20n),
  chain: fc.constantFrom('00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002'),
  seq: fc.bigInt(1n, 20n),
  occurredAt: fc.bigInt(0n, 20n),
  action: fc.constantFrom('TOKEN_CREATED', 'TOKEN_EDITED'),
  outcome: fc.constantFrom('OK', 'NOT_FOUND'),
  actor: fc.record({
    keyId: optionalText,
    userId: optionalId,
    username: text,
    accountNumber: optionalText,
    peer: text,
    certificate: optionalText,
    requestId: optionalText,
  }),
  resource: fc.record({
    kind: fc.constantFrom('token', 'user'),
    id: fc.option(fc.bigInt(1n, 1000n)),
    profileId: optionalId,
    accountId: optionalId,
    accountNumber: optionalText,
  }),
  detail: fc.dictionary(text, text, { maxKeys: 3 }),
});

/** anEntry is an entry of an actor who has everything, with what a test is about. */
export function anEntry(entry: Partial<AuditEntry> = {}): AuditEntry {
  return {
    actor: {
      keyId: '11111111-1111-4111-8111-111111111111',
      userId: 7n,
      username: 'someone',
      accountNumber: '1111-1111-1111',
      peer: '127.0.0.1:1234',
      certificate: 'CN=someone sha256=00',
      requestId: '22222222-2222-4222-8222-222222222222',
    },
    action: 'TOKEN_EDITED',
    outcome: 'OK',
    resource: { kind: 'token', id: 8n, profileId: 9n, accountId: 10n, accountNumber: '2222-2222-2222' },
    detail: { fields: 'description' },
    ...entry,
  };
}
