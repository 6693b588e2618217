import type { Config } from './config.js';
import type { Coherence } from './server-coherence.js';
import type { OutagePolicy } from './coherence/outage-policy.js';
import { HolderHub } from './holders/holder-hub.js';
import { holdHandler } from './holders/hold-handler.js';
import { instantFromMillis } from './lib/instant.js';
import type { Clock } from './lib/clock.js';
import type { Timers } from './lib/timers.js';
import type { SecretServices } from './secret/secret-services.js';
import type { HolderMetrics } from './telemetry/holder-metrics.js';
import type { UsageRecorder } from './token/usage-recorder.js';
import type { ValidationCounts } from './token/validation-counts.js';
import type { VerdictRecord } from './token/verdict.js';

export interface HoldersDependencies {
  readonly config: Pick<Config, 'holderMaxEntries' | 'maxHolders' | 'maxStreamsPerCaller'>;
  readonly coherence: Coherence;
  readonly records: OutagePolicy<VerdictRecord>;
  readonly replicaId: string;
  readonly usage: UsageRecorder;
  readonly counts: ValidationCounts;
  readonly secrets: Pick<SecretServices, 'access' | 'accessTimes'>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly metrics: HolderMetrics;
}

/** startHolders lets clients hold what this process remembers of tokens. */
export function startHolders(deps: HoldersDependencies): {
  readonly hub: HolderHub<VerdictRecord>;
  readonly holdVerdicts: ReturnType<typeof holdHandler>;
} {
  const { config, coherence, records, replicaId, usage, counts, secrets, clock, timers, metrics } = deps;
  const maxEntries = config.holderMaxEntries;
  const hub = new HolderHub<VerdictRecord>({
    lease: coherence.lease,
    facts: records,
    missed: (after, upTo) => coherence.feed.evictionsAfter(after, upTo),
    timers,
    metrics,
    maxEntries,
    maxHolders: config.maxHolders,
    // As many as may have streams, once more for those that are gone and may have a lease yet.
    maxHoldersOfUser: 2 * config.maxStreamsPerCaller,
  });
  coherence.lend(hub);
  metrics.watch(() => {
    const { holders } = hub;
    return { clients: holders.length, entries: holders.reduce((sum, { size }) => sum + size, 0) };
  });
  const holdVerdicts = holdHandler({
    hub,
    replicaId,
    maxEntries,
    secrets: secrets.access,
    used: ({ uses, secretUses }) => {
      const now = clock.now();
      for (const { id, count, agoMs } of uses) {
        counts.OK += count;
        usage.report(id, now - agoMs);
      }
      for (const { id, agoMs } of secretUses)
        // What cannot be written is lost: the access itself has been recorded.
        void secrets.accessTimes
          .add({ secretId: id, at: instantFromMillis(now - agoMs) })
          .catch(() => undefined);
    },
    clock,
    timers,
  });
  return { hub, holdVerdicts };
}
