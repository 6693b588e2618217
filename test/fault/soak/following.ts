import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardClient } from '../../../src/client/index.js';
import { Random } from '../../support/random.js';
import { present } from '../campaign/changes.js';
import type { DurablePostgres } from '../campaign/durable-postgres.js';
import type { Calls, Kind } from './calls.js';
import { BOUND_MS } from './limits.js';
import { misTold, placeOf, type Told, type Written } from './told.js';

/** Message is what all watches tell. */
interface Message {
  readonly revision: bigint;
  readonly resumeToken: string;
  readonly events: readonly { readonly revision: bigint; readonly id: bigint }[];
}

/** Followed is a kind of resources that is watched. */
export interface Followed {
  readonly kind: string;
  /** From after a message on, or from the present on. */
  readonly watch: (client: KeywardClient, resumeToken: string | undefined) => AsyncIterable<Message>;
}

const MAX_WATCH_MS = 6_000;
const MAX_PAUSE_MS = 1_000;
/** So that a watch on which nothing happens can be left. */
const HEARTBEAT = { seconds: 1n, nanos: 0 };
/** What was watched is over, and has to be listed anew. */
const ENDED = ['FAILED_PRECONDITION'];
const TAIL_EVERY_MS = 500;

const startAt = (resumeToken: string | undefined) => ({
  heartbeatInterval: HEARTBEAT,
  ...(resumeToken === undefined ? {} : { start: { $case: 'resumeToken', value: resumeToken } as const }),
});

export const FOLLOWED: readonly Followed[] = [
  {
    kind: 'token',
    watch: async function* ({ tokens }, resumeToken) {
      for await (const message of tokens.watchTokens(startAt(resumeToken)))
        yield withIds(message, (event) => event.tokenId);
    },
  },
  {
    kind: 'secret',
    watch: async function* ({ secrets }, resumeToken) {
      for await (const message of secrets.watchSecrets(startAt(resumeToken)))
        yield withIds(message, (event) => event.secretId);
    },
  },
];

export interface FollowerOptions {
  readonly followed: Followed;
  /** Of one who may read everything, one for each replica. */
  readonly clients: readonly KeywardClient[];
  readonly calls: Calls;
  readonly seed: number;
}

/** Follower watches, leaves, and goes on at any replica after the last message that it got. */
export class Follower {
  /** Of each epoch one, as far as it was followed without listing anew. */
  readonly told: Told[] = [];
  resumed = 0;
  readonly #options: FollowerOptions;
  readonly #random: Random;
  readonly #kind: Kind;
  #resumeToken: string | undefined;
  #events = new Map<bigint, readonly bigint[]>();

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#kind = { name: `follow ${options.followed.kind}s`, boundMs: BOUND_MS, expects: ENDED };
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#follow(this.#random.below(MAX_WATCH_MS));
      await delay(this.#random.below(MAX_PAUSE_MS));
    }
  }

  /** #follow goes on for some time, or until the stream ends. The first message comes at once. */
  async #follow(ms: number): Promise<void> {
    const { followed, clients, calls } = this.#options;
    const replica = this.#random.below(clients.length);
    const isResumed = this.#resumeToken !== undefined;
    const watch = followed.watch(present(clients[replica]), this.#resumeToken);
    const messages = watch[Symbol.asyncIterator]();
    const until = performance.now() + ms;
    const first = await calls.make(this.#kind, replica, () => messages.next());
    if ('code' in first) this.#ended(first.code);
    else if (isResumed) this.resumed += 1;
    try {
      let next = 'code' in first ? undefined : first.value;
      while (next !== undefined && next.done !== true) {
        this.#hear(next.value);
        if (performance.now() > until) break;
        next = await messages.next();
      }
    } catch (error) {
      this.#ended((error as { codeName?: string }).codeName ?? String(error));
    }
    void messages.return?.().catch(() => undefined);
  }

  #hear({ resumeToken, events }: Message): void {
    const { kind } = this.#options.followed;
    const to = placeOf(resumeToken);
    const before = this.told.at(-1);
    for (const { revision, id } of events)
      if (id !== 0n) this.#events.set(revision, [...(this.#events.get(revision) ?? []), id]);
    const isNew = this.#resumeToken === undefined || before === undefined;
    if (isNew) this.told.push({ kind, from: to, to, events: this.#events });
    else this.told.splice(-1, 1, { ...before, to });
    this.#resumeToken = resumeToken;
  }

  #ended(code: string): void {
    if (!ENDED.some((each) => code.startsWith(each))) return;
    this.#resumeToken = undefined;
    this.#events = new Map();
  }
}

/** FeedTail reads what is written to the change feed, directly, as long as that is there. */
export class FeedTail {
  readonly #postgres: DurablePostgres;
  readonly #written = new Map<string, Reading>();
  /** How many copies had taken the place of the database when it was read last. */
  #copies = 0;

  constructor(postgres: DurablePostgres) {
    this.#postgres = postgres;
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      // The database is away now and then.
      await this.#read().catch(() => undefined);
      await delay(TAIL_EVERY_MS);
    }
    await this.#read();
  }

  of(epoch: string): Written | undefined {
    return this.#written.get(epoch);
  }

  /** misTold is all that followers were not told exactly once. */
  misTold(followers: readonly Follower[]): string[] {
    return followers.flatMap(({ told }) => told.flatMap((each) => misTold(each, this.of(each.to.epoch))));
  }

  async #read(): Promise<void> {
    const { copies } = this.#postgres;
    if (copies !== this.#copies) this.#forgetLost();
    this.#copies = copies;
    const latest = [...this.#written].at(-1);
    const rows = await this.#postgres.execute(
      `SELECT e.epoch, f.revision, f.changes FROM feed_epoch e
       LEFT JOIN change_feed f ON f.revision > CASE WHEN e.epoch = $1 THEN $2::bigint ELSE 0 END
       ORDER BY f.revision`,
      [latest?.[0] ?? null, String(latest?.[1].upTo ?? 0n)],
    );
    for (const { epoch, revision, changes } of rows)
      if (revision !== null)
        this.#add(String(epoch), BigInt(revision as string), changes as readonly Row[], copies);
  }

  /** #forgetLost: after a copy was begun revisions were written that are lost, and then others by the same numbers. */
  #forgetLost(): void {
    const { copiedFeed } = this.#postgres;
    if (copiedFeed === undefined) return;
    const written = this.#written.get(copiedFeed.epoch);
    if (written !== undefined && written.upTo > copiedFeed.revision) written.upTo = copiedFeed.revision;
  }

  #add(epoch: string, revision: bigint, changes: readonly Row[], copies: number): void {
    const none: Reading = { copies, upTo: 0n, ids: new Map() };
    const written = this.#written.get(epoch) ?? none;
    this.#written.set(epoch, written);
    // A copy that was put back gives revisions once more until its replicas end the epoch. Followers may have been told of
    // those that are lost, which nobody can read any more.
    if (written.copies !== copies || revision <= written.upTo) return;
    written.upTo = revision;
    for (const { kind, id } of changes) {
      if (id == null) continue;
      const ofKind = written.ids.get(kind) ?? new Map<bigint, readonly bigint[]>();
      written.ids.set(kind, ofKind.set(revision, [...(ofKind.get(revision) ?? []), BigInt(id)]));
    }
  }
}

/** Reading is what was read of an epoch, up to a revision, before a copy took the place of the database. */
interface Reading {
  readonly copies: number;
  upTo: bigint;
  readonly ids: Map<string, Map<bigint, readonly bigint[]>>;
}

interface Row {
  readonly kind: string;
  readonly id?: string | null;
}

function withIds<Event extends { readonly revision: bigint }>(
  message: { readonly revision: bigint; readonly resumeToken: string; readonly events: readonly Event[] },
  idOf: (event: Event) => bigint,
): Message {
  const events = message.events.map((event) => ({ revision: event.revision, id: idOf(event) }));
  return { revision: message.revision, resumeToken: message.resumeToken, events };
}
