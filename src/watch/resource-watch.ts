/**
 * `watch/` tells clients of changes as the change feed has them: each change once, in order, and only what the caller may
 * read at that moment. A watch goes on where it was left at the position of its last message.
 *
 *     for await (const { events, position } of tokenWatch.watch(options, call)) send(events, position);
 */

import type { Change } from '../coherence/change.js';
import type { FeedItem, FeedSlice } from './feed-slice.js';
import {
  watchFeed,
  type FeedEvent,
  type News,
  type WatchDependencies,
  type WatchOptions,
} from './feed-watch.js';
import { bytesOf, type Fields } from '../lib/fields.js';
import { bytesOfConsumers, type Consumers } from '../lib/references.js';
import type { Caller, LiveCall } from '../authz/caller.js';
import {
  isOwnerChange,
  mayKnowOwner,
  reachOfChanges,
  type ChangeAudience,
  type ChangeAudienceReader,
} from '../authz/change-audience.js';
import type { CallerRights } from '../authz/rights.js';
import type { WatcherRights } from '../authz/watcher-rights.js';

/** ResourceEvent is a change of a resource, or of what may own such. */
export interface ResourceEvent<Resource> extends FeedEvent {
  /** The resource as it is at present; undefined if it does not exist for the caller, and for other events. */
  readonly resource: Resource | undefined;
  /** Who used it, where it cannot be used any more. */
  readonly consumers: Consumers | undefined;
}

/** Telling is what someone is told of a change of one resource. */
interface Telling<Resource> {
  readonly type: 'CREATED' | 'UPDATED' | 'DELETED';
  readonly resource: Resource | undefined;
  readonly consumers?: Consumers | undefined;
}

/** Subject is the kind of resources that is watched. */
export interface Subject<Resource, Facts> {
  readonly kind: 'token' | 'secret';
  /** What its owner sets, of any length. */
  readonly fields: Fields;
  /** read gets what the changes of some resources are told with: the same for everyone. */
  read(ids: readonly bigint[]): Promise<Facts>;
  /** bytesOf is about what that takes. */
  bytesOf(facts: Facts): number;
  /** tell is what someone may know of a change; undefined for nothing. */
  tell(
    change: Change & { readonly id: bigint },
    facts: Facts & { readonly reach: ChangeAudience },
    callerRights: CallerRights,
    scopes: readonly string[],
  ): Telling<Resource> | undefined;
  /** tellsOwners tells whether those with some scopes are told of owners, too; all are if it is not given. */
  tellsOwners?(scopes: readonly string[]): boolean;
}

export interface ResourceWatchDependencies extends WatchDependencies {
  readonly owners: ChangeAudienceReader;
  readonly rights: Pick<WatcherRights, 'of'>;
}

type Known<Facts> = Facts & { readonly reach: ChangeAudience };

/** Rights are those of one user, with when they were asked for. */
interface Rights {
  readonly askedAt: number;
  readonly callerRights: Promise<CallerRights>;
}

/** Shared is what is read about one slice for all who watch. */
interface Shared<Facts> {
  /** What that takes; 0 until it is read. */
  bytes: number;
  readonly facts: Promise<Known<Facts>>;
  /** By user. */
  readonly rights: Map<bigint, Rights>;
}

/** Most that is kept of what was read, for those who come to the same slice later. Whoever is further behind reads it again. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
const MAX_KEPT_SLICES = 500;
/** For how long rights serve further watches of the user that come to the same slice. */
const RIGHTS_SERVE_MS = 1_000;

/** ResourceWatch tells callers of the changes of resources that they may read, as their rights are with each message. */
export class ResourceWatch<Resource extends object, Facts extends object> {
  readonly #deps: ResourceWatchDependencies;
  readonly #subject: Subject<Resource, Facts>;
  /** The oldest first. */
  readonly #shared = new Map<FeedSlice, Shared<Facts>>();
  #keptBytes = 0;

  constructor(deps: ResourceWatchDependencies, subject: Subject<Resource, Facts>) {
    this.#deps = deps;
    this.#subject = subject;
  }

  watch(options: WatchOptions, call: LiveCall): AsyncIterable<News<ResourceEvent<Resource>>> {
    const select = async (slice: FeedSlice | undefined): Promise<ResourceEvent<Resource>[]> => {
      const caller = await call.reauthorize();
      return slice?.items.some((item) => this.#concerns(item)) === true ? this.#select(slice, caller) : [];
    };
    return watchFeed(this.#deps, options, select, call.gone);
  }

  async #select(slice: FeedSlice, caller: Caller): Promise<ResourceEvent<Resource>[]> {
    const shared = this.#sharedOf(slice);
    const facts = await shared.facts;
    // Last, so that rights are no older than what is told.
    const callerRights = await this.#rightsOf(caller, shared);
    return slice.items
      .filter((item) => this.#concerns(item))
      .flatMap((item) => this.#eventOf(item, facts, callerRights, caller.scopes) ?? []);
  }

  #sharedOf(slice: FeedSlice): Shared<Facts> {
    const known = this.#shared.get(slice);
    if (known !== undefined) return known;
    const shared: Shared<Facts> = { facts: this.#read(slice), rights: new Map<bigint, Rights>(), bytes: 0 };
    this.#shared.set(slice, shared);
    shared.facts.then(
      (facts) => {
        if (this.#shared.get(slice) !== shared) return;
        shared.bytes = this.#subject.bytesOf(facts);
        this.#keptBytes += shared.bytes;
        this.#makeRoom();
      },
      () => {
        this.#forget(slice);
      },
    );
    this.#makeRoom();
    return shared;
  }

  /** #makeRoom forgets the oldest, but never the newest. */
  #makeRoom(): void {
    for (const slice of this.#shared.keys()) {
      const { size } = this.#shared;
      if (size === 1 || (size <= MAX_KEPT_SLICES && this.#keptBytes <= MAX_KEPT_BYTES)) return;
      this.#forget(slice);
    }
  }

  #forget(slice: FeedSlice): void {
    this.#keptBytes -= this.#shared.get(slice)?.bytes ?? 0;
    this.#shared.delete(slice);
  }

  #rightsOf(caller: Caller, { rights }: Shared<Facts>): Promise<CallerRights> {
    const now = this.#deps.timers.monotonicMs();
    const known = rights.get(caller.userId);
    if (known !== undefined && now - known.askedAt <= RIGHTS_SERVE_MS) return known.callerRights;
    const callerRights = this.#deps.rights.of(caller);
    rights.set(caller.userId, { askedAt: now, callerRights });
    return callerRights;
  }

  async #read({ items }: FeedSlice): Promise<Known<Facts>> {
    const changes = items.map(({ change }) => change);
    const { kind } = this.#subject;
    const ids = changes.flatMap((change) =>
      change.kind === kind && change.id !== undefined ? [change.id] : [],
    );
    const [facts, reach] = await Promise.all([
      this.#subject.read([...new Set(ids)]),
      reachOfChanges(changes, this.#deps.owners),
    ]);
    return { ...facts, reach };
  }

  #concerns({ change }: FeedItem): boolean {
    return change.kind === this.#subject.kind || isOwnerChange(change);
  }

  #eventOf(
    item: FeedItem,
    facts: Known<Facts>,
    callerRights: CallerRights,
    scopes: readonly string[],
  ): ResourceEvent<Resource> | undefined {
    const { change } = item;
    const { id } = change;
    const about = { item, resource: undefined, consumers: undefined, bytes: 0 };
    if (change.kind !== this.#subject.kind) {
      const isTold = this.#subject.tellsOwners?.(scopes) ?? true;
      return isTold && mayKnowOwner(callerRights, change, facts.reach)
        ? { ...about, type: 'OWNER_CHANGED' }
        : undefined;
    }
    if (id === undefined) return { ...about, type: 'ALL_CHANGED' };
    const telling = this.#subject.tell({ ...change, id }, facts, callerRights, scopes);
    if (telling === undefined) return undefined;
    const { type, resource, consumers } = telling;
    const ofResource = resource === undefined ? 0 : bytesOf(this.#subject.fields, resource);
    const ofConsumers = consumers === undefined ? 0 : bytesOfConsumers(consumers);
    return { item, type, resource, consumers, bytes: ofResource + ofConsumers };
  }
}
