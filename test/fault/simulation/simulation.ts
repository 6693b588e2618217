import { Random } from '../../support/random.js';
import { Checker, Contradiction } from './checker.js';
import { Database, digestOf, type Change } from './database.js';
import { MAX_FAULT_MS, strike, type Site } from './faults.js';
import { Machine, Process } from './machine.js';
import { Network } from './network.js';
import { CLIENT_FAULTS, strikeClient } from './client-faults.js';
import { Scheduler } from './scheduler.js';
import { SimulatedClient } from './simulated-client.js';
import { SimulatedReplica, type Parts, type TokenRecord } from './simulated-replica.js';

const TOKENS = 4;
const OWNERS = 2;
const VALIDATE_EVERY_MS = 40;
/** After the last fault: leases and times for stale answers run out, and all have come back. */
const RECOVERY_MS = MAX_FAULT_MS + 12_000;
/** A change that meets no fault waits no longer. */
const MAX_HEALTHY_WAIT_MS = 500;

/** Result is what one schedule came to. */
export interface Result {
  readonly answers: number;
  readonly staleAnswers: number;
  /** Those of clients, from their own memory. */
  readonly clientAnswers: number;
  readonly changes: number;
  readonly complete: number;
  readonly faults: number;
  /** A number made from everything that was answered and reported, and when. */
  readonly fingerprint: number;
  /** The first answer that the protocol rules out, or what was not well again once the faults were over. */
  readonly problem: string | undefined;
}

/** Character is what a whole schedule is like. */
interface Character {
  readonly replicas: number;
  readonly clients: number;
  readonly maxStaleMs: number;
  readonly delayMs: number;
  readonly commitMs: number;
  readonly notifyMs: number;
  readonly faultEveryMs: number;
  readonly changeEveryMs: number;
  readonly lengthMs: number;
  readonly checksRecovery: boolean;
  readonly hasTurns: boolean;
}

/** Desk is a place for a client: the processes at it come and go. */
interface Desk {
  readonly machine: Machine;
  readonly network: Network;
  client: SimulatedClient;
}

/** Simulation is one schedule: everything that happens in it follows from its seed. */
export class Simulation {
  readonly #random: Random;
  readonly #scheduler = new Scheduler();
  readonly #parts: Parts;
  readonly #log: ((line: string) => void) | undefined;
  readonly #character: Character;
  readonly #database: Database;
  readonly #checker: Checker;
  readonly #sites: readonly Site[];
  readonly #desks: readonly Desk[];
  readonly #counts = { answers: 0, staleAnswers: 0, clientAnswers: 0, changes: 0, complete: 0, faults: 0 };
  #processes = 0;
  #barriers = 0;
  #isCalm = false;
  #fingerprint = 0;
  #problem: string | undefined;

  /** `log` is told of everything, to look into one schedule. */
  constructor(seed: number, parts: Parts = {}, log?: (line: string) => void) {
    this.#random = new Random(seed);
    this.#parts = parts;
    this.#log = log;
    this.#character = drawCharacter(this.#random);
    const { replicas, clients, delayMs, commitMs, notifyMs, maxStaleMs } = this.#character;
    this.#database = new Database(this.#scheduler, this.#random, {
      tokens: TOKENS,
      owners: OWNERS,
      commitMs: () => this.#about(this.#calmed(commitMs)),
      statementMs: () => this.#about(0.5),
      notifyMs: () => this.#about(this.#calmed(notifyMs)),
    });
    this.#checker = new Checker(this.#database, maxStaleMs);
    this.#sites = Array.from({ length: replicas }, (_each, place) => {
      const machine = new Machine(this.#scheduler, this.#random);
      const network = new Network(this.#scheduler, () => this.#about(this.#calmed(delayMs)));
      return {
        name: `site ${place}`,
        machine,
        network,
        replica: this.#boot(machine, network),
        isStopping: false,
      };
    });
    this.#desks = Array.from({ length: clients }, () => {
      const machine = new Machine(this.#scheduler, this.#random);
      const network = new Network(this.#scheduler, () => this.#about(this.#calmed(delayMs)));
      return { machine, network, client: this.#seat(machine, network) };
    });
  }

  async run(): Promise<Result> {
    const { lengthMs, faultEveryMs, changeEveryMs, checksRecovery } = this.#character;
    this.#note(() => JSON.stringify(this.#character));
    this.#again(VALIDATE_EVERY_MS, () => {
      this.#validate(this.#random.pick(this.#sites), this.#random.below(TOKENS));
      if (this.#desks.length > 0)
        this.#validateAt(this.#random.pick(this.#desks).client, this.#random.below(TOKENS));
    });
    this.#again(changeEveryMs, () => {
      this.#plan(this.#draw());
    });
    this.#again(faultEveryMs, () => {
      this.#fault();
    });
    await this.#scheduler.run(lengthMs);
    this.#isCalm = true;
    if (checksRecovery) await this.#recover();
    return { ...this.#counts, fingerprint: this.#fingerprint, problem: this.#problem };
  }

  #boot(machine: Machine, network: Network): SimulatedReplica {
    this.#processes += 1;
    const place = {
      scheduler: this.#scheduler,
      process: new Process(machine),
      network,
      database: this.#database,
    };
    const id = `replica ${this.#processes}`;
    return new SimulatedReplica(id, place, this.#character.maxStaleMs, this.#parts);
  }

  #seat(machine: Machine, network: Network): SimulatedClient {
    this.#processes += 1;
    const near = {
      name: `client ${this.#processes}`,
      process: new Process(machine),
      network,
      scheduler: this.#scheduler,
    };
    const replicas = (): SimulatedReplica[] => this.#sites.map(({ replica }) => replica);
    return new SimulatedClient(near, this.#random, replicas, this.#parts.clients ?? {});
  }

  /** #again does something at random moments, until the schedule is over or has a problem. */
  #again(everyMs: number, work: () => void): void {
    this.#scheduler.after(this.#about(everyMs), () => {
      if (this.#isCalm || this.#problem !== undefined) return;
      work();
      this.#again(everyMs, work);
    });
  }

  #validate(site: Site, token: number): void {
    const question = this.#checker.ask(token, this.#scheduler.now);
    const { replica } = site;
    replica.place.process.deliver(() => {
      replica.validate(token, (record, isStale) => {
        this.#guarded(() => {
          this.#checker.answer(question, record, isStale, this.#scheduler.now);
        });
        this.#answered(site, token, record, isStale);
      });
    });
  }

  /** #validateAt lets a client judge; one that is gone or cut off may say nothing. */
  #validateAt(client: SimulatedClient, token: number): void {
    const question = this.#checker.ask(token, this.#scheduler.now);
    const { name, process } = client.near;
    process.deliver(() => {
      const isFromMemory = client.validate(digestOf(token), (record, isStale) => {
        this.#guarded(() => {
          // A stale answer was given by a replica, at a time between the question and now: it may have been long on its way.
          const givenAt = isStale ? question.begunAt : this.#scheduler.now;
          this.#checker.answer(question, record, isStale, givenAt);
        });
        this.#mark(token, record?.version ?? -1, isStale ? 1 : 0);
        this.#note(() => `${name}: token ${token} is ${record?.version ?? -1}`);
      });
      if (isFromMemory) this.#counts.clientAnswers += 1;
    });
  }

  #answered(site: Site, token: number, record: TokenRecord | null, isStale: boolean): void {
    this.#counts.answers += 1;
    if (isStale) this.#counts.staleAnswers += 1;
    const version = record?.version ?? -1;
    this.#mark(token, version, isStale ? 1 : 0);
    this.#note(() => `${site.name}: token ${token} is ${version}${isStale ? ', stale' : ''}`);
  }

  /** #draw thinks of a change. */
  #draw(): Omit<Change, 'barrier'> {
    const token = this.#random.below(TOKENS);
    const none = { tokens: [], deleted: [], unchanged: [], owners: [], isUntold: false };
    const kind = this.#random.below(100);
    if (kind < 50) return { ...none, tokens: [token] };
    if (kind < 60) return { ...none, deleted: [token] };
    if (kind < 75) return { ...none, owners: [this.#checker.ownerOf(token)] };
    if (kind < 85) return { ...none, tokens: [token, (token + 1) % TOKENS], isUntold: true };
    return { ...none, unchanged: [token] };
  }

  /** #plan lets all remember what is to be changed, changes it, and perhaps lets a fault meet the change. */
  #plan(change: Omit<Change, 'barrier'>): void {
    if (this.#random.chance(0.7)) this.#validateOnAll(change);
    this.#scheduler.after(this.#about(20), () => {
      void this.#change(change);
    });
    if (this.#random.chance(0.3)) {
      this.#scheduler.after(this.#about(80), () => {
        if (!this.#isCalm) this.#fault();
      });
    }
    // The worst moment for a replica to be cut off: it has just renewed its lease, and not yet heard of the change.
    if (this.#random.chance(0.1)) this.#fault('blackhole the session after its next answer');
  }

  async #change(change: Omit<Change, 'barrier'>): Promise<void> {
    const site = this.#random.pick(this.#sites);
    const { replica } = site;
    if (this.#random.chance(0.25)) {
      this.#database.commit(change, () => this.#note(() => `changed by SQL: ${JSON.stringify(change)}`));
      return;
    }
    if (replica.place.process.isDead || site.machine.isFrozen) return;
    this.#barriers += 1;
    const barrier = { id: String(this.#barriers), writer: replica.id };
    let floors: ReturnType<Checker['versionsAfter']> | undefined;
    const propagation = await replica.change({ ...change, barrier }, () => {
      floors = this.#checker.versionsAfter(change);
      this.#note(() => `changed through ${site.name}: ${JSON.stringify(change)}`);
    });
    if (propagation === undefined || floors === undefined) return;
    const { complete, effectiveByMs, waitedMs } = propagation;
    const effectiveBy = effectiveByMs === undefined ? undefined : site.machine.trueTime(effectiveByMs);
    this.#counts.changes += 1;
    if (complete) this.#counts.complete += 1;
    this.#mark(complete ? 1 : 0, Math.round(waitedMs * 1000), 2);
    this.#note(() => `the call returns ${JSON.stringify(propagation)}, by ${effectiveBy ?? 'now'}`);
    this.#checker.returned(floors, propagation, effectiveBy);
    if (effectiveBy === undefined) {
      this.#validateOnAll(change);
    } else {
      this.#scheduler.after(effectiveBy - this.#scheduler.now + 0.01, () => this.#validateOnAll(change));
    }
  }

  #validateOnAll({ tokens, deleted, unchanged, owners }: Omit<Change, 'barrier'>): void {
    const affected = [...tokens, ...deleted, ...unchanged, ...owners];
    for (const site of this.#sites) for (const token of affected) this.#validate(site, token);
    for (const { client } of this.#desks) for (const token of affected) this.#validateAt(client, token);
  }

  #fault(kind?: Parameters<typeof strike>[2]): void {
    this.#counts.faults += 1;
    if (kind === undefined && this.#desks.length > 0 && this.#random.chance(0.4)) {
      this.#clientFault();
      return;
    }
    const site = this.#random.pick(this.#sites);
    const targets = {
      scheduler: this.#scheduler,
      random: this.#random,
      database: this.#database,
      sites: this.#sites,
      hasTurns: this.#character.hasTurns,
      boot: (at: Site) => {
        at.replica = this.#boot(at.machine, at.network);
      },
    };
    const what = strike(site, targets, kind);
    this.#note(() => what);
  }

  #clientFault(): void {
    const desk = this.#random.pick(this.#desks);
    const kind = this.#random.pick(CLIENT_FAULTS);
    const what = strikeClient(desk, kind, this.#scheduler, this.#random, () => {
      desk.client = this.#seat(desk.machine, desk.network);
    });
    this.#note(() => what);
  }

  /** #recover: some time after the last fault all hold leases, and changes are seen by all at once. */
  async #recover(): Promise<void> {
    await this.#scheduler.run(this.#scheduler.now + RECOVERY_MS);
    if (this.#database.isClockWrong) await this.#lookAround();
    for (const { client } of this.#desks)
      if (!client.isWell) this.#found(`${client.near.name} has no lease after all faults`);
    for (const { name, replica } of this.#sites) {
      if (replica.replica.state !== 'HELD') this.#found(`${name} holds no lease after all faults`);
      const barrier = { id: `last of ${name}`, writer: replica.id };
      const change = { tokens: [0], deleted: [], unchanged: [], owners: [], isUntold: false, barrier };
      const propagation = await this.#resolved(replica.change(change, () => undefined));
      if (propagation?.complete !== true || propagation.waitedMs > MAX_HEALTHY_WAIT_MS) {
        this.#found(`a change through ${name} came to ${JSON.stringify(propagation)} after all faults`);
      }
    }
  }

  /** #lookAround: a lease of the dead that the clock of the database prolongs is waited for once by each replica. */
  async #lookAround(): Promise<void> {
    for (const { name, replica } of this.#sites) {
      const barrier = { id: `first of ${name}`, writer: replica.id };
      const change = { tokens: [0], deleted: [], unchanged: [], owners: [], isUntold: false, barrier };
      void replica.change(change, () => undefined);
    }
    await this.#scheduler.run(this.#scheduler.now + RECOVERY_MS);
  }

  async #resolved<T>(promise: Promise<T>): Promise<T | undefined> {
    let result: T | undefined;
    void promise.then((value) => {
      result = value;
    });
    await this.#scheduler.run(this.#scheduler.now + 3 * MAX_HEALTHY_WAIT_MS);
    return result;
  }

  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      if (!(error instanceof Contradiction)) throw error;
      this.#found(error.message);
    }
  }

  #found(problem: string): void {
    this.#note(() => `PROBLEM: ${problem}`);
    this.#problem ??= problem;
  }

  #note(line: () => string): void {
    this.#log?.(`${this.#scheduler.now.toFixed(3)} ${line()}`);
  }

  #mark(...values: readonly number[]): void {
    for (const value of [Math.round(this.#scheduler.now * 1000), ...values]) {
      this.#fingerprint = Math.imul(this.#fingerprint ^ value, 16_777_619) >>> 0;
    }
  }

  /** #calmed: once the faults are over, network and database are fast. */
  #calmed(ms: number): number {
    return this.#isCalm ? Math.min(ms, 5) : ms;
  }

  /** #about is a random span of roughly that length; a few are much longer. */
  #about(ms: number): number {
    const span = (2 * ms * this.#random.below(10_000)) / 10_000;
    return this.#random.chance(0.02) ? 5 * span : span;
  }
}

function drawCharacter(random: Random): Character {
  return {
    replicas: random.pick([2, 3, 3, 4]),
    clients: random.pick([0, 1, 2, 3]),
    maxStaleMs: random.pick([0, 0, 1_000, 3_000]),
    delayMs: random.pick([0.3, 0.3, 5, 40]),
    commitMs: random.pick([0.3, 5, 200]),
    notifyMs: random.pick([0.3, 0.3, 50, 300]),
    faultEveryMs: random.pick([300, 1_000, 3_000]),
    changeEveryMs: random.pick([200, 500, 1_500]),
    lengthMs: random.pick([4_000, 7_000, 10_000]),
    checksRecovery: random.chance(0.2),
    hasTurns: random.chance(0.5),
  };
}
