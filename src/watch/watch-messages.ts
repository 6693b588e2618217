import type { ResourceEvent } from './resource-watch.js';
import { formatPosition, parsePosition, type Start } from './feed-slice.js';
import type { News, WatchOptions } from './feed-watch.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import { hashedId, recordLocator } from '../lib/public-id.js';
import type { Violations } from '../lib/violations.js';
import { fromDuration, toTimestamp } from '../rpc/timestamp.js';

/** The translation between messages and watches, as far as all watches have it in common. */

/** What a request for a watch holds. */
interface WatchRequest {
  readonly start?:
    | { readonly $case: 'revision'; readonly value: bigint }
    | { readonly $case: 'resumeToken'; readonly value: string }
    | undefined;
  readonly heartbeatInterval?: Duration | undefined;
}

const DEFAULT_HEARTBEAT_MS = 15_000;
const MIN_HEARTBEAT = 1_000_000n;
const MAX_HEARTBEAT = 300_000_000n;

export function readWatch(v: Violations, { start, heartbeatInterval }: WatchRequest): WatchOptions {
  return { start: readStart(v, start), heartbeatMs: readHeartbeat(v, heartbeatInterval) };
}

/** toNews writes what all responses of watches have, with events as they are written for one kind of resources. */
export function toNews<Resource, Message>(
  { events, position }: News<ResourceEvent<Resource>>,
  toMessage: (event: ResourceEvent<Resource>) => Message,
): { revision: bigint; resumeToken: string; events: Message[] } {
  return {
    revision: position.revision,
    resumeToken: formatPosition(position),
    events: events.map(toMessage),
  };
}

/** toEventFacts writes what all events have; `id` is that of the resource, 0 for events that are about none. */
export function toEventFacts<Resource>(kind: 'token' | 'secret', { item }: ResourceEvent<Resource>) {
  const { change, revision, committedAt } = item;
  const own = (owner: string): bigint | undefined => (change.kind === owner ? change.id : undefined);
  const id = own(kind);
  return {
    id: id ?? 0n,
    facts: {
      revision,
      committedAt: toTimestamp(committedAt),
      hashedId: id === undefined ? '' : hashedId(id),
      recordLocator: id === undefined ? '' : recordLocator(kind, id),
      userProfileId: own('user_profile') ?? change.profileId ?? 0n,
      userId: own('user') ?? change.userId ?? 0n,
      accountId: own('account') ?? change.accountId ?? 0n,
    },
  };
}

function readStart(v: Violations, start: WatchRequest['start']): Start | undefined {
  if (start === undefined) return undefined;
  if (start.$case === 'revision') {
    v.check(start.value >= 0n, 'revision', 'must be 0 or above');
    return { epoch: undefined, revision: start.value, skip: 0 };
  }
  const position = parsePosition(start.value);
  v.check(position !== undefined, 'resume_token', 'must be that of a message of a watch');
  return position;
}

function readHeartbeat(v: Violations, interval: Duration | undefined): number {
  if (interval === undefined) return DEFAULT_HEARTBEAT_MS;
  const span = fromDuration(v, 'heartbeat_interval', interval);
  if (span === undefined) return DEFAULT_HEARTBEAT_MS;
  const isFit = span >= MIN_HEARTBEAT && span <= MAX_HEARTBEAT;
  v.check(isFit, 'heartbeat_interval', 'must be 1 to 300 seconds');
  return Number(span) / 1000;
}
