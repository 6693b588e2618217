import type { Caller } from '../authz/caller.js';
import { managesAccounts, type CallerRights, type CallerRightsReader } from '../authz/rights.js';
import { reading } from '../db/transaction.js';
import { publicIdsIn, type PublicId, type ResourceKind } from '../lib/public-id.js';
import { covers } from '../lib/scopes.js';
import type { IdRepository, Named } from './id-repository.js';

/** Names tells what the resources of a kind are called, of those that a caller may read. */
interface Names {
  readable(callerRights: CallerRights, ids: readonly bigint[]): Promise<readonly Named[]>;
}

export interface IdServiceDependencies {
  readonly ids: IdRepository;
  readonly tokens: Names;
  readonly secrets: Names;
  readonly rightsReader: CallerRightsReader;
}

/** NamedOfKind is a resource that an id stands for. */
export interface NamedOfKind extends Named {
  readonly kind: ResourceKind;
}

/** ResolvedId is an id of a text with what it stands for, as far as the caller may know. */
export interface ResolvedId extends PublicId {
  readonly resources: readonly NamedOfKind[];
}

interface Resolved {
  readonly ids: readonly ResolvedId[];
  readonly hasMore: boolean;
}

const MAX_IDS = 100;
const KINDS = ['account', 'userprofile', 'token', 'secret'] as const satisfies ResourceKind[];

/** IdService tells what the ids in a text stand for, to whoever could read it by other means. */
export class IdService {
  readonly #deps: IdServiceDependencies;

  constructor(deps: IdServiceDependencies) {
    this.#deps = deps;
  }

  resolve(caller: Caller, text: string): Promise<Resolved> {
    const { ids, hasMore } = firstIdsIn(text);
    return reading(async () => {
      const callerRights = await this.#deps.rightsReader.of(caller);
      const found: NamedOfKind[] = [];
      for (const kind of KINDS) {
        const numbers = ids.filter((each) => means(each, kind)).map(({ id }) => id);
        if (numbers.length === 0) continue;
        const named = await this.#readable(kind, caller, callerRights, [...new Set(numbers)]);
        found.push(...named.map((each) => ({ ...each, kind })));
      }
      const resolved = ids.map((each) => ({
        ...each,
        resources: found.filter(({ id, kind }) => id === each.id && means(each, kind)),
      }));
      return { ids: resolved, hasMore };
    });
  }

  /** #readable finds those that the caller could read by GetAccount, GetUserProfile, GetToken and GetSecret. */
  async #readable(
    kind: ResourceKind,
    caller: Caller,
    callerRights: CallerRights,
    numbers: readonly bigint[],
  ): Promise<readonly Named[]> {
    const { ids, tokens, secrets } = this.#deps;
    switch (kind) {
      case 'account':
        return managesAccounts(callerRights) ? ids.accounts(numbers) : [];
      case 'userprofile':
        return managesAccounts(callerRights) ? ids.profiles(numbers) : [];
      case 'token':
        return covers(caller.scopes, 'keyward.tokens.read') ? tokens.readable(callerRights, numbers) : [];
      case 'secret':
        return covers(caller.scopes, 'keyward.secrets.read') ? secrets.readable(callerRights, numbers) : [];
    }
  }
}

/** means tells whether an id of a text may stand for something of a kind. */
function means(id: PublicId, kind: ResourceKind): boolean {
  return id.kind === undefined || id.kind === kind;
}

function firstIdsIn(text: string): { readonly ids: readonly PublicId[]; readonly hasMore: boolean } {
  const ids = new Map<string, PublicId>();
  for (const each of publicIdsIn(text)) {
    if (ids.size === MAX_IDS && !ids.has(each.text)) return { ids: [...ids.values()], hasMore: true };
    ids.set(each.text, each);
  }
  return { ids: [...ids.values()], hasMore: false };
}
