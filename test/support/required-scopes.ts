import { accountHandlers } from '../../src/account/account-handler.js';
import { idHandlers } from '../../src/account/id-handler.js';
import { auditHandlers } from '../../src/audit/audit-handler.js';
import { holdHandler } from '../../src/holders/hold-handler.js';
import type { Permission } from '../../src/lib/scopes.js';
import { manifestHandlers } from '../../src/manifest/manifest-handler.js';
import type { Requirements } from '../../src/rpc/handlers.js';
import { secretServiceHandlers } from '../../src/secret/secret-service-handler.js';
import { conflictHandlers } from '../../src/smarter/conflict-handler.js';
import { statusHandlers } from '../../src/status/status-handler.js';
import { tokenReferenceHandlers } from '../../src/token/reference-handler.js';
import { tokenHandlers } from '../../src/token/token-handler.js';
import { validateHandlers } from '../../src/token/validate-handler.js';
import { tokenWatchHandlers } from '../../src/token/watch-handler.js';
import { METHOD_NAMES, ofTokens, pathOf, type MethodName } from './rpc.js';

/** Handlers are asked for what they require alone, so that nothing of what they work with has to be there. */
const nothing = {} as never;

const HANDLERS: Readonly<Record<MethodName, Requirements>> = {
  ...validateHandlers(nothing, nothing),
  ...tokenHandlers(nothing, nothing),
  ...ofTokens(tokenReferenceHandlers(nothing)),
  ...tokenWatchHandlers(nothing, nothing),
  ...secretServiceHandlers(nothing, nothing, nothing, nothing),
  ...accountHandlers(nothing, nothing),
  ...idHandlers(nothing),
  holdVerdicts: holdHandler(nothing),
  ...auditHandlers(nothing),
  ...statusHandlers(nothing),
  ...manifestHandlers(nothing),
  ...conflictHandlers(nothing),
};

/** requiredScopes are the scopes that a method demands of its callers, or may by their requests, from its handler. */
export function requiredScopes(name: MethodName): readonly Permission[] {
  const { permission, alsoNeeds = [] } = HANDLERS[name];
  return [...(typeof permission === 'string' ? [permission] : permission.byRequest), ...alsoNeeds];
}

/** methodOf is the RPC of a path such as `/keyward.token.v1.TokenService/GetToken`. */
export function methodOf(path: string): MethodName {
  const found = METHOD_NAMES.find((name) => pathOf(name) === path);
  if (found === undefined) throw new Error(`there is no method ${path}`);
  return found;
}
