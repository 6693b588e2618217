import type { Replica, StatusServiceService } from '../gen/keyward/coherence/v1/status_service.js';
import type { Handlers } from '../rpc/handlers.js';
import { toSignedDuration } from '../rpc/timestamp.js';
import type { ReplicaStatus } from './replica-status.js';
import type { StatusService } from './status-service.js';

export { StatusServiceService } from '../gen/keyward/coherence/v1/status_service.js';

export function statusHandlers(service: StatusService): Handlers<typeof StatusServiceService> {
  return {
    listReplicas: {
      permission: 'keyward.status.read',
      handle: async (_request, caller) => {
        const { epoch, revision, replicas } = await service.list(caller);
        return { epoch, revision, replicas: replicas.map(toReplica) };
      },
    },
  };
}

function toReplica({ id, version, leaseLeftMs, revision, clients, groups }: ReplicaStatus): Replica {
  return {
    id,
    version,
    leaseLeft: toSignedDuration(leaseLeftMs),
    revision,
    clients,
    clientGroups: groups.map(({ label, agent, clients: number, entries }) => ({
      label,
      agent,
      clients: number,
      entries: BigInt(entries),
    })),
  };
}
