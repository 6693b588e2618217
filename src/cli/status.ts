import type { Command } from 'commander';
import type { ListReplicasResponse, Replica } from '../client/index.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';
import { printJson, printTable } from './io/output.js';
import { spanText } from './token/propagation.js';
import { withClient } from './with-client.js';

/** Labels that a line of the table names. */
const MAX_LABELS = 5;

const HELP = `
A replica is one process of the service. LEASE is for how many seconds it may answer from memory yet, BEHIND how many
changes it, or a client of it, has not applied. CLIENTS hold verdicts in memories of their own.`;

/** statusCommand is `keyward status`. */
export function statusCommand(command: Command): void {
  withClientOptions(command)
    .option('--json', 'print them as JSON')
    .addHelpText('after', HELP)
    .action(async (given: GivenOptions) => {
      const status = await withClient(clientOptions(given), (client) => client.status.listReplicas({}));
      if (given.json === true) printJson(toJson(status));
      else printReplicas(status);
    });
}

function toJson({ replicas, ...status }: ListReplicasResponse): object {
  return {
    ...status,
    replicas: replicas.map(({ leaseLeft, ...replica }) => ({
      ...replica,
      ...(leaseLeft === undefined ? {} : { leaseLeft: spanText(leaseLeft) }),
    })),
  };
}

function printReplicas({ replicas, revision }: ListReplicasResponse): void {
  printTable(
    ['REPLICA', 'VERSION', 'LEASE', 'BEHIND', 'CLIENTS', 'LABELS'],
    replicas.map((replica) => [
      replica.id,
      replica.version,
      leaseOf(replica),
      String(revision > replica.revision ? revision - replica.revision : 0n),
      String(replica.clients),
      labelsOf(replica),
    ]),
  );
}

function leaseOf({ leaseLeft }: Replica): string {
  if (leaseLeft === undefined) return '';
  const seconds = Number(leaseLeft.seconds) + leaseLeft.nanos / 1e9;
  return seconds > 0 ? seconds.toFixed(1) : 'none';
}

function labelsOf({ clientGroups }: Replica): string {
  const labels = [...new Set(clientGroups.map(({ label }) => label))];
  const more = labels.length > MAX_LABELS ? [`and ${labels.length - MAX_LABELS} more`] : [];
  return [...labels.slice(0, MAX_LABELS), ...more].join(', ');
}
