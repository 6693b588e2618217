import { AuditAction, type AuditEvent as AuditEventMessage } from '../gen/keyward/audit/v1/audit.js';
import { toTimestamp } from '../rpc/timestamp.js';
import type { AuditEvent } from './audit-service.js';

/** toAuditEvent writes a record as it is stored, even where somebody has changed it. */
export function toAuditEvent({ actor, resource, ...event }: AuditEvent): AuditEventMessage {
  return {
    id: event.id,
    occurredAt: toTimestamp(event.occurredAt),
    action: toAction(event.action),
    outcome: event.outcome,
    actor: {
      keyId: actor.keyId ?? '',
      userId: actor.userId ?? 0n,
      username: actor.username,
      accountNumber: actor.accountNumber ?? '',
      peer: actor.peer,
      certificate: actor.certificate ?? '',
    },
    resource: {
      kind: resource.kind,
      id: resource.id ?? 0n,
      userProfileId: resource.profileId ?? 0n,
      accountNumber: resource.accountNumber ?? '',
      accountId: resource.accountId ?? 0n,
    },
    detail: new Map(Object.entries(event.detail).map(([name, fact]) => [name, toText(fact)])),
    requestId: actor.requestId ?? '',
    chain: event.chain,
    sequence: event.seq,
  };
}

function toAction(action: string): AuditAction {
  const name = `AUDIT_ACTION_${action}`;
  return Object.hasOwn(AuditAction, name)
    ? AuditAction[name as keyof typeof AuditAction]
    : AuditAction.AUDIT_ACTION_UNSPECIFIED;
}

function toText(fact: unknown): string {
  return typeof fact === 'string' ? fact : JSON.stringify(fact);
}
