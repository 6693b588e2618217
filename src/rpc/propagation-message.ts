import type { Propagation } from '../coherence/propagation.js';
import type { Propagation as PropagationMessage } from '../gen/keyward/coherence/v1/propagation.js';
import { instantFromMillis } from '../lib/instant.js';
import { toDuration, toTimestamp } from './timestamp.js';

export function toPropagation(propagation: Propagation): PropagationMessage {
  const { complete, acknowledged, pending, clientsAcknowledged, clientsExpired } = propagation;
  const { waitedMs, effectiveByMs } = propagation;
  return {
    complete,
    acknowledged,
    pending,
    clientsAcknowledged,
    clientsExpired,
    waited: toDuration(waitedMs),
    effectiveBy: effectiveByMs === undefined ? undefined : toTimestamp(instantFromMillis(effectiveByMs)),
  };
}
