import type { Propagation } from '../coherence/propagation.js';
import type { Propagation as PropagationMessage } from '../gen/keyward/coherence/v1/propagation.js';
import { instantFromMillis } from '../lib/instant.js';
import { toDuration, toTimestamp } from './timestamp.js';

/** COMPLETE_AT_COMMIT is for changes of what is remembered nowhere. */
export const COMPLETE_AT_COMMIT: Propagation = {
  complete: true,
  acknowledged: 0,
  pending: 0,
  waitedMs: 0,
};

export function toPropagation(propagation: Propagation): PropagationMessage {
  const { complete, acknowledged, pending, waitedMs, effectiveByMs } = propagation;
  return {
    complete,
    acknowledged,
    pending,
    waited: toDuration(waitedMs),
    effectiveBy: effectiveByMs === undefined ? undefined : toTimestamp(instantFromMillis(effectiveByMs)),
  };
}
