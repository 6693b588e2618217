import { ownershipOf } from '../authz/change-audience.js';
import { ResourceWatch, type ResourceWatchDependencies } from '../watch/resource-watch.js';
import { accessTo } from '../authz/rights.js';
import { reading } from '../db/transaction.js';
import { bytesOfAll } from '../lib/fields.js';
import type { TokenRepository } from './token-repository.js';
import { shownTo, TOKEN_FIELDS, type Token } from './token.js';

export interface TokenWatchDependencies extends ResourceWatchDependencies {
  readonly tokens: Pick<TokenRepository, 'findAll'>;
}

/** TokenFacts are the tokens, of those that were changed, that there are. */
interface TokenFacts {
  readonly tokens: ReadonlyMap<bigint, Token>;
}

export type TokenWatch = ResourceWatch<Token, TokenFacts>;

const TYPES = { created: 'CREATED', updated: 'UPDATED', deleted: 'DELETED', truncated: 'DELETED' } as const;

/** tokenWatch makes what tells callers of the changes of tokens that they may read. */
export function tokenWatch(deps: TokenWatchDependencies): TokenWatch {
  return new ResourceWatch(deps, {
    kind: 'token',
    fields: TOKEN_FIELDS,
    read: async (ids) => {
      const tokens = await reading(() => deps.tokens.findAll(ids));
      return { tokens: new Map(tokens.map((token) => [token.id, token])) };
    },
    bytesOf: ({ tokens }) => bytesOfAll(TOKEN_FIELDS, tokens.values()),
    tell: (change, { tokens, reach }, callerRights) => {
      const token = tokens.get(change.id);
      const owner = token?.owner ?? ownershipOf(change, reach);
      if (accessTo(callerRights, owner) === 'none') return undefined;
      return { type: TYPES[change.op], resource: token && shownTo(callerRights, token) };
    },
  });
}
