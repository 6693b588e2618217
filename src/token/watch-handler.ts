import type { ResourceEvent } from '../watch/resource-watch.js';
import type { EventType } from '../watch/feed-watch.js';
import {
  TokenEventType,
  type TokenEvent,
  type TokenServiceService,
} from '../gen/keyward/token/v1/token_service.js';
import type { Clock } from '../lib/clock.js';
import { presentOf, type Instant } from '../lib/instant.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { readWatch, toEventFacts, toNews } from '../watch/watch-messages.js';
import { toToken } from './token-messages.js';
import type { TokenWatch } from './token-watch.js';
import type { Token } from './token.js';

const TYPES: Readonly<Record<EventType, TokenEventType>> = {
  CREATED: TokenEventType.TOKEN_EVENT_TYPE_CREATED,
  UPDATED: TokenEventType.TOKEN_EVENT_TYPE_UPDATED,
  DELETED: TokenEventType.TOKEN_EVENT_TYPE_DELETED,
  OWNER_CHANGED: TokenEventType.TOKEN_EVENT_TYPE_OWNER_CHANGED,
  ALL_CHANGED: TokenEventType.TOKEN_EVENT_TYPE_ALL_CHANGED,
};

export function tokenWatchHandlers(
  watch: TokenWatch,
  clock: Clock,
): Handlers<Pick<typeof TokenServiceService, 'watchTokens'>> {
  return {
    watchTokens: {
      permission: 'keyward.tokens.read',
      stream: async function* (request, _caller, call) {
        const options = checked((v) => readWatch(v, request));
        for await (const news of watch.watch(options, call))
          yield toNews(news, (event: ResourceEvent<Token>) => toEvent(event, presentOf(clock)));
      },
    },
  };
}

function toEvent(event: ResourceEvent<Token>, now: Instant): TokenEvent {
  const { id, facts } = toEventFacts('token', event);
  return {
    ...facts,
    type: TYPES[event.type],
    tokenId: id,
    keyId: event.item.change.keyId ?? '',
    token: event.resource && toToken(event.resource, now),
  };
}
