import type { Caller } from '../authz/caller.js';
import type { CallerRights, CallerRightsReader } from '../authz/rights.js';
import { reading } from '../db/transaction.js';
import type { Page, PageQuery } from '../lib/page.js';
import type { AuditRepository, VisibleEvents } from './audit-repository.js';
import type { AuditEvent } from './audit-rows.js';

export type { AuditEvent } from './audit-rows.js';

export interface AuditServiceDependencies {
  readonly events: AuditRepository;
  readonly rightsReader: CallerRightsReader;
}

/** AuditService is who may see which records of the audit log. */
export class AuditService {
  readonly #deps: AuditServiceDependencies;

  constructor(deps: AuditServiceDependencies) {
    this.#deps = deps;
  }

  async list(caller: Caller, page: PageQuery): Promise<Page<AuditEvent>> {
    return reading(async () => {
      const visible = visibleTo(await this.#deps.rightsReader.of(caller));
      return visible === 'nothing' ? { items: [], nextPageToken: '' } : this.#deps.events.list(visible, page);
    });
  }
}

/**
 * visibleTo: superusers see every record, staff those about resources of their accounts, everyone those of what they
 * did themselves. A user without a profile sees nothing, as everywhere.
 */
function visibleTo({ userId, isStaff, isSuperuser, profiles }: CallerRights): VisibleEvents | 'nothing' {
  if (profiles.length === 0) return 'nothing';
  if (isSuperuser) return 'everything';
  return { actorUserId: userId, accountIds: isStaff ? profiles.map(({ accountId }) => accountId) : [] };
}
