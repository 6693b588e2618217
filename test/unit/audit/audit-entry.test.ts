import { expect, test } from 'vitest';
import { AUDIT_ACTIONS, changedFields } from '../../../src/audit/audit-entry.js';
import { AuditAction } from '../../../src/gen/keyward/audit/v1/audit.js';

test('the protocol has every action, and no other', () => {
  const names = Object.keys(AuditAction).filter((name) => name.startsWith('AUDIT_ACTION_'));
  const expected = AUDIT_ACTIONS.map((action) => `AUDIT_ACTION_${action}`);
  expect(names).toEqual(['AUDIT_ACTION_UNSPECIFIED', ...expected]);
});

test('of a change the names of its fields are told, as the protocol has them, and no values', () => {
  expect(changedFields({ isActive: true, companyName: 'a name', tags: undefined })).toEqual({
    fields: 'company_name,is_active',
  });
});
