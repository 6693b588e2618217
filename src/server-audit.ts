import { AuditLog } from './audit/audit-log.js';
import { AuthenticationLog } from './authn/authentication-log.js';
import { ChainRepository } from './audit/chain-repository.js';
import { HeadsFile } from './audit/heads-file.js';
import { RefusalLog } from './audit/refusal-log.js';
import { Tally } from './audit/tally.js';
import type { Config } from './config.js';
import type { Keyring } from './crypto/keyring.js';
import type { Database } from './db/knex.js';
import type { Clock } from './lib/clock.js';
import type { Closer } from './lib/closer.js';
import type { AuditMetrics } from './telemetry/audit-metrics.js';
import type { Logger } from './telemetry/logger.js';

export interface AuditDependencies {
  readonly config: Pick<Config, 'auditHeadsFile'>;
  readonly knex: Database;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuditMetrics;
}

/** Audit is all that writes the audit log. */
export interface Audit {
  readonly audit: AuditLog;
  readonly authentications: AuthenticationLog;
  readonly refusals: RefusalLog;
}

/** startAudit joins what writes the audit log. At the end the counts are written first, then the heads. */
export async function startAudit(dependencies: AuditDependencies, closer: Closer): Promise<Audit> {
  const { knex, keyring, clock, logger, metrics } = dependencies;
  const heads = await startHeadsFile(dependencies, closer);
  const audit = new AuditLog({
    chains: new ChainRepository(knex),
    keys: keyring,
    clock,
    onDurable: (chain, head) => {
      heads?.note(chain, head);
    },
    onTampering: ({ chain, purpose, head, found }) => {
      metrics.tampered(purpose, found);
      logger.error({ chain, purpose, sequence: String(head.seq), found }, 'the audit log was tampered with');
    },
  });
  const tally = (staysOpen: boolean): Tally => {
    const counts = new Tally({ audit, clock, logger, staysOpen });
    counts.start();
    closer.add('the counts for the audit log', () => counts.stop());
    return counts;
  };
  const authentications = new AuthenticationLog(tally(false));
  return { audit, authentications, refusals: new RefusalLog(audit, tally(true)) };
}

async function startHeadsFile(
  { config, clock, logger, metrics }: AuditDependencies,
  closer: Closer,
): Promise<HeadsFile | undefined> {
  const path = config.auditHeadsFile;
  if (path === undefined) return undefined;
  const onFailure = (): void => {
    metrics.headsFailed();
  };
  const heads = await HeadsFile.open({ path, clock, logger, onFailure });
  heads.start();
  closer.add('the file of heads', () => heads.stop());
  return heads;
}
