import {
  Metadata,
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  status,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { checkOptions, FUNCTION, TEXTS, type Rules } from '../transport/options.js';
import type { Validator } from '../validator/validator.js';
import { Decider, rememberVerdict, type Refused } from './decision.js';

export interface GrpcAuthOptions {
  /** Scopes that calls need, all alike or by the path of the method, such as `/orders.v1.Orders/List`; none if not given. */
  readonly scopes?: readonly string[] | ((path: string) => readonly string[]);
  /** Tells methods that anybody may call, by their path, for example those of gRPC's health. None if not given. */
  readonly isOpen?: (path: string) => boolean;
}

const RULES: Rules<GrpcAuthOptions> = {
  scopes: {
    what: 'a list of texts, or a function',
    is: (value) => TEXTS.is(value) || FUNCTION.is(value),
  },
  isOpen: FUNCTION,
};

const CODES = {
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  503: status.UNAVAILABLE,
} as const;

/**
 * grpcAuth makes an interceptor for servers of grpc-js. Calls with credentials that pass go on, and `verdictOf(call.metadata)` tells whose
 * they are. Others fail with UNAUTHENTICATED, PERMISSION_DENIED for a missing scope, or UNAVAILABLE where nobody can tell.
 */
export function grpcAuth(validator: Validator, options: GrpcAuthOptions = {}): ServerInterceptor {
  checkOptions('grpcAuth', options, RULES);
  const { scopes = [], isOpen = () => false } = options;
  const decider = new Decider(validator);
  return ({ path }, call) => {
    if (isOpen(path)) return new ServerInterceptingCall(call);
    const judging = { scopes: typeof scopes === 'function' ? scopes(path) : scopes, realm: '' };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, next) => {
        const [authorization] = metadata.get('authorization');
        const text = authorization === undefined ? undefined : String(authorization);
        decider.decide(text, undefined, judging).then(
          (decision) => {
            if ('refused' in decision) {
              call.sendStatus(statusOf(decision.refused));
              return;
            }
            rememberVerdict(metadata, decision.verdict);
            next(metadata);
          },
          () => call.sendStatus({ code: status.INTERNAL, details: 'The call cannot be judged.' }),
        );
      })
      .build();
    const responder = new ResponderBuilder().withStart((next) => next(listener)).build();
    return new ServerInterceptingCall(call, responder);
  };
}

function statusOf({ statusCode, message, headers }: Refused): {
  code: status;
  details: string;
  metadata: Metadata;
} {
  const metadata = new Metadata();
  const retryAfter = headers['retry-after'];
  if (retryAfter !== undefined) metadata.set('retry-after', retryAfter);
  return { code: CODES[statusCode], details: message, metadata };
}
