import type {
  Connector,
  Head,
  LeaseTerms,
  Notice,
  Session,
  SessionEvents,
} from '../../../src/coherence/ports.js';
import { settled } from '../../support/manual-timers.js';

type Command = 'listen' | 'renew' | 'head' | 'notices' | 'acknowledge' | 'end' | 'leave';

/** The epoch at first; endEpoch and restore count on. */
export const EPOCH = 'epoch 1';

/** notice is one that changed a digest, and for which writers wait. */
export function notice(revision: bigint, digest: string, ...writers: string[]): Notice {
  return {
    epoch: EPOCH,
    revision,
    eviction: {
      everything: false,
      digests: [digest],
      owners: { userIds: [], accountIds: [], profileIds: [] },
      secretIds: [],
    },
    writers,
  };
}

interface Open {
  readonly events: SessionEvents;
  readonly rejects: Set<(error: Error) => void>;
  isOver: boolean;
}

/** FakeSessions stand for the database: they list what was asked, and answer at once unless that is held. */
export class FakeSessions implements Connector {
  readonly commands: string[] = [];
  connects = 0;
  closed = 0;
  readonly #feed: Notice[] = [];
  #head = 0n;
  #epochs = 1;
  #epoch = 1;
  #renewals = 0n;
  #server = 'server 1';
  #held: Command | undefined;
  #waiting: (() => void)[] = [];
  #isRefusing = false;
  #open: Open | undefined;

  connect(_replica: string, events: SessionEvents): Promise<Session> {
    this.connects += 1;
    this.commands.push('connect');
    if (this.#isRefusing) return Promise.reject(new Error('refused'));
    const open: Open = { events, rejects: new Set(), isOver: false };
    this.#open = open;
    return Promise.resolve(this.#session(open));
  }

  /** commit is a change by anyone; untold is one whose notification is lost. */
  commit(committed: Notice, { told } = { told: true }): void {
    this.#feed.push(committed);
    this.#head = committed.revision;
    if (told) this.tell(committed);
  }

  headIs(revision: bigint): void {
    this.#head = revision;
  }

  get epoch(): string {
    return `epoch ${this.#epoch}`;
  }

  /** restore lets another epoch begin at a head. */
  restore(revision: bigint): void {
    this.#begin();
    this.#head = revision;
    this.#feed.length = 0;
  }

  /** goBackTo lets an epoch from before be there again. */
  goBackTo(epoch: number, revision: bigint): void {
    this.#epoch = epoch;
    this.#head = revision;
  }

  /** startOlder is another server with an older copy, which does not know that it is one. */
  startOlder(revision: bigint, renewals: bigint): void {
    this.#head = revision;
    this.#renewals = renewals;
    this.#server = 'server 2';
    this.lose();
  }

  tell(told: Notice): void {
    this.#open?.events.onNotice(told);
  }

  tellAcknowledged(replica: string, settled: Head): void {
    this.#open?.events.onAcknowledged(replica, settled, []);
  }

  /** hold leaves commands of a kind unanswered. */
  hold(command: Command): void {
    this.#held = command;
  }

  /** unhold answers such commands again, but not those that came before. */
  unhold(): void {
    this.#held = undefined;
    this.#waiting = [];
  }

  /** release answers what was held, and all that follows from it. */
  async release(): Promise<void> {
    this.#held = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const answer of waiting) answer();
    await settled();
  }

  refuse(): void {
    this.#isRefusing = true;
  }

  accept(): void {
    this.#isRefusing = false;
  }

  lose(): void {
    const open = this.#open;
    if (open === undefined) return;
    end(open);
    open.events.onLost(new Error('lost'));
  }

  #session(open: Open): Session {
    return {
      listen: () => this.#command(open, 'listen', 'listen', () => undefined),
      renew: ({ applied }: LeaseTerms) =>
        this.#command(
          open,
          'renew',
          `renew ${String(applied?.revision ?? 0n)}`,
          () => (this.#renewals += 1n),
        ),
      head: () =>
        this.#command(open, 'head', 'head', () => ({
          epoch: this.epoch,
          revision: this.#head,
          server: this.#server,
        })),
      noticesAfter: ({ revision }, upTo) =>
        this.#command(open, 'notices', `notices ${String(revision)} to ${String(upTo)}`, () =>
          this.#noticesAfter(revision, upTo),
        ),
      acknowledge: (writers, { revision }) =>
        this.#command(
          open,
          'acknowledge',
          `acknowledge ${String(revision)} to ${writers.join(',')}`,
          () => undefined,
        ),
      endEpoch: () =>
        this.#command(open, 'end', 'end', () => {
          this.#begin();
        }),
      leave: () => this.#command(open, 'leave', 'leave', () => undefined),
      close: () => {
        if (!open.isOver) this.closed += 1;
        end(open);
      },
    };
  }

  #begin(): void {
    this.#epochs += 1;
    this.#epoch = this.#epochs;
  }

  #noticesAfter(revision: bigint, upTo: bigint): readonly Notice[] | 'pruned' {
    const found = this.#feed.filter((each) => each.revision > revision && each.revision <= upTo);
    return BigInt(found.length) === upTo - revision ? found : 'pruned';
  }

  #command<T>(open: Open, command: Command, text: string, answer: () => T): Promise<T> {
    if (open.isOver) return Promise.reject(new Error('closed'));
    this.commands.push(text);
    return new Promise((resolve, reject) => {
      open.rejects.add(reject);
      const settle = (): void => {
        open.rejects.delete(reject);
        resolve(answer());
      };
      if (this.#held === command) this.#waiting.push(settle);
      else settle();
    });
  }
}

function end(open: Open): void {
  open.isOver = true;
  for (const reject of open.rejects) reject(new Error('closed'));
  open.rejects.clear();
}
