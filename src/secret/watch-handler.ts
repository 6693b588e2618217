import type { ResourceEvent } from '../watch/resource-watch.js';
import type { EventType } from '../watch/feed-watch.js';
import {
  SecretEventType,
  type SecretEvent,
  type SecretServiceService,
} from '../gen/keyward/secret/v1/secret_service.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { readWatch, toEventFacts, toNews } from '../watch/watch-messages.js';
import { toSecret } from './secret-messages.js';
import type { SecretWatch } from './secret-watch.js';
import type { Secret } from './secret.js';

const TYPES: Readonly<Record<EventType, SecretEventType>> = {
  CREATED: SecretEventType.SECRET_EVENT_TYPE_CREATED,
  UPDATED: SecretEventType.SECRET_EVENT_TYPE_UPDATED,
  DELETED: SecretEventType.SECRET_EVENT_TYPE_DELETED,
  OWNER_CHANGED: SecretEventType.SECRET_EVENT_TYPE_OWNER_CHANGED,
  ALL_CHANGED: SecretEventType.SECRET_EVENT_TYPE_ALL_CHANGED,
};

export function secretWatchHandlers(
  watch: SecretWatch,
  clock: Clock,
): Handlers<Pick<typeof SecretServiceService, 'watchSecrets'>> {
  return {
    watchSecrets: {
      permission: { byRequest: ['keyward.secrets.read', 'keyward.secrets.access'] },
      stream: async function* (request, _caller, call) {
        const options = checked((v) => readWatch(v, request));
        for await (const news of watch.watch(options, call))
          yield toNews(news, (event: ResourceEvent<Secret>) => toEvent(event, presentOf(clock)));
      },
    },
  };
}

function toEvent(event: ResourceEvent<Secret>, now: Instant): SecretEvent {
  const { id, facts } = toEventFacts('secret', event);
  return {
    ...facts,
    type: TYPES[event.type],
    secretId: id,
    secret: event.resource && toSecret(event.resource, now),
  };
}
