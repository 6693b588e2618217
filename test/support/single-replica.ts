import { Lease } from '../../src/coherence/lease.js';
import { OutagePolicy, type Source } from '../../src/coherence/outage-policy.js';
import type { PropagatedChanges } from '../../src/coherence/propagated-changes.js';
import type { Database } from '../../src/db/knex.js';
import { inTransactionFor } from '../../src/db/transaction.js';
import { ManualTimers } from './manual-timers.js';

/** underLease lets a memory answer by a lease that never ends. */
export function underLease<Record>(memory: Source<Record>): OutagePolicy<Record> {
  const timers = new ManualTimers();
  const lease = new Lease(timers, 0);
  lease.extend(lease.moment());
  return new OutagePolicy(memory, lease, timers, 5_000);
}

/** changesAlone makes changes that no other replica has to see. */
export function changesAlone(knex: Database): Pick<PropagatedChanges, 'make' | 'begin'> {
  const propagation = {
    complete: true,
    acknowledged: 0,
    pending: 0,
    clientsAcknowledged: 0,
    clientsExpired: 0,
    waitedMs: 0,
  };
  return {
    make: async (client, work, forget) => ({
      result: await inTransactionFor(client, knex, work, forget),
      propagation,
    }),
    begin: async (client, work, forget) => ({
      result: await inTransactionFor(client, knex, work, forget),
      seen: () => Promise.resolve(propagation),
    }),
  };
}
