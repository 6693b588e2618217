import type {
  ClientsTold,
  Connector,
  Head,
  LeaseTerms,
  Notice,
  ServerHead,
  Session,
  SessionEvents,
} from '../../../src/coherence/ports.js';
import { KeywardError } from '../../../src/lib/errors.js';
import type { Backend } from './backend.js';
import type { Database } from './database.js';
import type { Process } from './machine.js';
import type { Channel, Network } from './network.js';
import type { Scheduler } from './scheduler.js';

/** Place is where a process runs and what it is joined with. */
export interface Place {
  readonly scheduler: Scheduler;
  readonly process: Process;
  readonly network: Network;
  readonly database: Database;
}

const POOL_TIMEOUT_MS = 2_000;

/** callPool runs a statement on a connection of the pool. It rejects with DATABASE_UNAVAILABLE. */
export function callPool<T>(
  { scheduler, process, network, database }: Place,
  execute: (done: (value: T) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const { up, down } = network.connect();
    const fail = (): void =>
      reject(new KeywardError('DATABASE_UNAVAILABLE', 'The database is out of reach.'));
    const refuse = (): void => {
      down.send(() => process.deliver(fail));
    };
    process.after(POOL_TIMEOUT_MS, fail);
    up.send(() => {
      if (!database.isUp) return refuse();
      scheduler.after(database.options.statementMs(), () => {
        if (!database.isUp) return refuse();
        execute((value) => {
          down.send(() => process.deliver(() => resolve(value)));
        });
      });
    });
  });
}

/** SimulatedSession speaks with a backend over a connection. */
export class SimulatedSession implements Session {
  readonly #replica: string;
  readonly #database: Database;
  readonly #up: Channel;
  readonly #down: Channel;
  readonly #process: Process;
  readonly #events: SessionEvents;
  readonly #unanswered = new Set<(error: Error) => void>();
  #backend: Backend | undefined;
  #isOpen = false;
  #isAnsweringLast = false;
  #isClosed = false;
  /** What the last renewal would have seen as the head, had it read it in the same statement. */
  headBeforeRenewal: ServerHead | undefined;

  constructor({ process, network, database }: Place, replica: string, events: SessionEvents) {
    const { up, down } = network.connect();
    this.#replica = replica;
    this.#database = database;
    this.#up = up;
    this.#down = down;
    this.#process = process;
    this.#events = events;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get backend(): Backend | undefined {
    return this.#backend;
  }

  /** open resolves once the database has accepted the connection. */
  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#up.send(() => {
        if (!this.#database.isUp) {
          this.#toClient(() => reject(new Error('the connection is refused')));
          return;
        }
        this.#backend = this.#database.accept(this.#replica, {
          notice: (notice) => this.#toClient(() => this.#events.onNotice(notice)),
          acknowledged: (from, settled, clients) =>
            this.#toClient(() => this.#events.onAcknowledged(from, settled, clients)),
          lost: () =>
            this.#toClient(() => {
              const error = new Error('the connection is lost');
              this.#end(error);
              this.#events.onLost(error);
            }),
        });
        this.#toClient(() => {
          this.#isOpen = true;
          resolve();
        });
      });
    });
  }

  listen(): Promise<void> {
    return this.#command((backend, done) => {
      backend.listen();
      done();
    });
  }

  renew(terms: LeaseTerms): Promise<bigint> {
    return this.#command((backend, done) => {
      this.#database.register(backend, this.#replica, terms, (renewals, headBefore) => {
        this.headBeforeRenewal = headBefore;
        done(renewals);
      });
    });
  }

  head(): Promise<ServerHead> {
    return this.#command((_backend, done) => {
      done(this.#database.head);
    });
  }

  noticesAfter(after: Head, upTo: bigint): Promise<readonly Notice[] | 'pruned'> {
    return this.#command((_backend, done) => {
      done(this.#database.noticesAfter(after, upTo));
    });
  }

  acknowledge(writers: readonly string[], settled: Head, clients: readonly ClientsTold[]): Promise<void> {
    return this.#command((_backend, done) => {
      this.#database.acknowledge(writers, this.#replica, settled, clients);
      done();
    });
  }

  endEpoch(epoch: string): Promise<void> {
    return this.#command((_backend, done) => {
      this.#database.endEpoch(epoch);
      done();
    });
  }

  leave(): Promise<void> {
    return this.#command((_backend, done) => {
      this.#database.leave(this.#replica);
      done();
    });
  }

  close(): void {
    this.#end(new Error('the session is closed'));
  }

  /** blackhole keeps back what this connection alone carries, in one direction or both. */
  blackhole(ways: 'up' | 'down' | 'both'): void {
    if (ways !== 'down') this.#up.hold();
    if (ways !== 'up') this.#down.hold();
  }

  silenceAfterAnswer(): void {
    this.#isAnsweringLast = true;
  }

  heal(): void {
    this.#isAnsweringLast = false;
    this.#up.release();
    this.#down.release();
  }

  #end(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const reject of this.#unanswered) reject(error);
    this.#unanswered.clear();
    this.hangUp();
  }

  /** hangUp is what the machine does for a process that is gone. */
  hangUp(): void {
    this.#up.send(() => {
      if (this.#backend !== undefined) this.#database.end(this.#backend);
    });
  }

  #command<T>(execute: (backend: Backend, done: (value: T) => void) => void): Promise<T> {
    if (this.#isClosed) return Promise.reject(new Error('the session is closed'));
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject);
      this.#up.send(() => {
        const backend = this.#backend;
        if (backend === undefined || backend.isEnded) return;
        backend.receive((done) => {
          execute(backend, (value) => {
            this.#toClient(() => {
              this.#unanswered.delete(reject);
              resolve(value);
            });
            if (this.#isAnsweringLast) this.#down.hold();
            done();
          });
        });
      });
    });
  }

  #toClient(arrive: () => void): void {
    this.#down.send(() => {
      this.#process.deliver(() => {
        if (!this.#isClosed) arrive();
      });
    });
  }
}

/** SimulatedConnector opens sessions, and remembers the last one for faults to meet it. */
export class SimulatedConnector implements Connector {
  readonly #place: Place;
  last: SimulatedSession | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<SimulatedSession> {
    const session = new SimulatedSession(this.#place, replica, events);
    this.last = session;
    return new Promise((resolve, reject) => {
      this.#place.process.after(timeoutMs, () => {
        if (session.isOpen) return;
        session.close();
        reject(new Error('connecting took too long'));
      });
      session.open().then(() => resolve(session), reject);
    });
  }
}
