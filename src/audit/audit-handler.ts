import type { AuditServiceService } from '../gen/keyward/audit/v1/audit_service.js';
import { parseListRequest } from '../lib/page.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { AUDIT_COLUMNS } from './audit-columns.js';
import { toAuditEvent } from './audit-messages.js';
import type { AuditService } from './audit-service.js';

export { AuditServiceService } from '../gen/keyward/audit/v1/audit_service.js';

export function auditHandlers(service: AuditService): Handlers<typeof AuditServiceService> {
  return {
    listAuditEvents: {
      permission: 'keyward.audit.read',
      handle: async ({ pageSize, pageToken, filter, orderBy }, caller) => {
        const page = checked((v) =>
          parseListRequest(v, { pageSize, pageToken, filter, orderBy }, AUDIT_COLUMNS, caller),
        );
        const { items, nextPageToken } = await service.list(caller, page);
        return { events: items.map(toAuditEvent), nextPageToken };
      },
    },
  };
}
