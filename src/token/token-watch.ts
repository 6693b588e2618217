import { ownershipOf } from '../authz/change-audience.js';
import { ResourceWatch, type ResourceWatchDependencies } from '../watch/resource-watch.js';
import { accessTo } from '../authz/rights.js';
import type { ReferenceRepository } from '../db/reference-repository.js';
import { reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { bytesOfAll } from '../lib/fields.js';
import { presentOf } from '../lib/instant.js';
import { bytesOfConsumers, type Consumers } from '../lib/references.js';
import type { TokenRepository } from './token-repository.js';
import { mayPass, shownTo, TOKEN_FIELDS, type Token } from './token.js';

export interface TokenWatchDependencies extends ResourceWatchDependencies {
  readonly tokens: Pick<TokenRepository, 'findAll'>;
  readonly references: Pick<ReferenceRepository, 'consumersOfEach'>;
  readonly clock: Clock;
}

/** TokenFacts are the tokens, of those that were changed, that there are, and who holds those that pass no more. */
interface TokenFacts {
  readonly tokens: ReadonlyMap<bigint, Token>;
  readonly consumers: ReadonlyMap<bigint, Consumers>;
}

export type TokenWatch = ResourceWatch<Token, TokenFacts>;

const TYPES = { created: 'CREATED', updated: 'UPDATED', deleted: 'DELETED', truncated: 'DELETED' } as const;

/** tokenWatch makes what tells callers of the changes of tokens that they may read. */
export function tokenWatch(deps: TokenWatchDependencies): TokenWatch {
  return new ResourceWatch(deps, {
    kind: 'token',
    fields: TOKEN_FIELDS,
    read: (ids) =>
      reading(async () => {
        const found = await deps.tokens.findAll(ids);
        const now = presentOf(deps.clock);
        const passing = new Set(found.filter((token) => mayPass(token, now)).map(({ id }) => id));
        const over = ids.filter((id) => !passing.has(id));
        return {
          tokens: new Map(found.map((token) => [token.id, token])),
          consumers: await deps.references.consumersOfEach(over),
        };
      }),
    bytesOf: ({ tokens, consumers }) =>
      [...consumers.values()].reduce(
        (sum, each) => sum + bytesOfConsumers(each),
        bytesOfAll(TOKEN_FIELDS, tokens.values()),
      ),
    tell: (change, { tokens, consumers, reach }, callerRights) => {
      const token = tokens.get(change.id);
      const owner = token?.owner ?? ownershipOf(change, reach);
      if (accessTo(callerRights, owner) === 'none') return undefined;
      return {
        type: TYPES[change.op],
        resource: token && shownTo(callerRights, token),
        consumers: consumers.get(change.id),
      };
    },
  });
}
