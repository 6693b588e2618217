import { Random } from '../../support/random.js';
import { Checker, Contradiction, type Answered } from './checker.js';
import { drawChange, drawCharacter, type Character } from './character.js';
import { Database } from './database.js';
import { MAX_FAULT_MS, strike, type Site } from './faults.js';
import { Machine, Process } from './machine.js';
import { Network } from './network.js';
import { CLIENT_FAULTS, strikeClient } from './client-faults.js';
import { Scheduler } from './scheduler.js';
import { SimulatedClient } from './simulated-client.js';
import { CALLERS, NO_CHANGE, ownerOf, rowsMeant, SECRETS, TOKENS, type Change, type Row } from './rows.js';
import { SimulatedReplica, type Parts } from './simulated-replica.js';

const VALIDATE_EVERY_MS = 40;
const ASKED_OF_CLIENTS = [...TOKENS, ...SECRETS];
/** After the last fault: leases and times for stale answers run out, and all have come back. */
const RECOVERY_MS = MAX_FAULT_MS + 12_000;
/** A change that meets no fault waits no longer. */
const MAX_HEALTHY_WAIT_MS = 500;

/** Result is what one schedule came to. */
export interface Result {
  readonly answers: number;
  readonly staleAnswers: number;
  /** Those of clients, from their own memory: of tokens, and values of secrets. */
  readonly clientAnswers: number;
  readonly clientValues: number;
  readonly changes: number;
  readonly complete: number;
  readonly faults: number;
  /** A number made from everything that was answered and reported, and when. */
  readonly fingerprint: number;
  /** The first answer that the protocol rules out, or what was not well again once the faults were over. */
  readonly problem: string | undefined;
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
  readonly #counts = {
    answers: 0,
    staleAnswers: 0,
    clientAnswers: 0,
    clientValues: 0,
    changes: 0,
    complete: 0,
    faults: 0,
  };
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
      this.#validate(this.#random.pick(this.#sites), this.#random.pick(TOKENS));
      if (this.#desks.length > 0)
        this.#askClient(this.#random.pick(this.#desks).client, this.#random.pick(ASKED_OF_CLIENTS));
    });
    this.#again(changeEveryMs, () => {
      this.#plan(drawChange(this.#random, this.#database));
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
      caller: this.#random.pick(CALLERS),
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

  #validate(site: Site, token: Row): void {
    const question = this.#checker.ask(token, this.#scheduler.now);
    const { replica } = site;
    replica.place.process.deliver(() => {
      replica.validate(token, (record, isStale) => {
        this.#guarded(() => {
          this.#checker.answer(question, record, isStale, this.#scheduler.now);
        });
        this.#counts.answers += 1;
        if (isStale) this.#counts.staleAnswers += 1;
        this.#answered(site.name, token, record, isStale);
      });
    });
  }

  /** #askClient lets a client judge, or give a value; one that is gone or cut off may say nothing. */
  #askClient(client: SimulatedClient, row: Row): void {
    const { name, process, caller } = client.near;
    const question = this.#checker.ask(row, this.#scheduler.now);
    const right = this.#checker.ask(caller, this.#scheduler.now);
    const tell = (answered: Answered, isStale: boolean): void => {
      this.#guarded(() => {
        this.#checker.may(right, this.#scheduler.now);
        // A stale answer was given by a replica, at a time between the question and now: it may have been long on its way.
        const givenAt = isStale ? question.begunAt : this.#scheduler.now;
        this.#checker.answer(question, answered, isStale, givenAt);
      });
      this.#answered(name, row, answered, isStale);
    };
    process.local(() => {
      const isFromMemory = SECRETS.includes(row) ? client.read(row, tell) : client.validate(row, tell);
      if (!isFromMemory) return;
      if (SECRETS.includes(row)) this.#counts.clientValues += 1;
      else this.#counts.clientAnswers += 1;
    });
  }

  #answered(name: string, row: Row, answered: Answered, isStale: boolean): void {
    const version = answered?.version ?? -1;
    this.#mark(row, version, isStale ? 1 : 0);
    this.#note(() => `${name}: row ${row} is ${version}${isStale ? ', stale' : ''}`);
  }

  /** #plan lets all remember what is to be changed, changes it, and perhaps lets a fault meet the change. */
  #plan(change: Change): void {
    if (this.#random.chance(0.7)) this.#askAll(change);
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

  async #change(change: Change): Promise<void> {
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
      this.#askAll(change);
    } else {
      this.#scheduler.after(effectiveBy - this.#scheduler.now + 0.01, () => this.#askAll(change));
    }
  }

  #askAll(change: Change): void {
    for (const row of rowsMeant(change)) {
      const asked = CALLERS.includes(row) ? ASKED_OF_CLIENTS : TOKENS.filter((each) => ownerOf(each) === row);
      for (const each of asked.length === 0 ? [row] : asked) {
        if (TOKENS.includes(each)) for (const site of this.#sites) this.#validate(site, each);
        for (const { client } of this.#desks) this.#askClient(client, each);
      }
    }
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
      if (!this.#isWell(client)) this.#found(`${client.near.name} has no lease after all faults`);
    for (const { name, replica } of this.#sites) {
      if (replica.replica.state !== 'HELD') this.#found(`${name} holds no lease after all faults`);
      const barrier = { id: `last of ${name}`, writer: replica.id };
      const change = { ...NO_CHANGE, changed: TOKENS.slice(0, 1), barrier };
      const propagation = await this.#resolved(replica.change(change, () => undefined));
      if (propagation?.complete !== true || propagation.waitedMs > MAX_HEALTHY_WAIT_MS) {
        this.#found(`a change through ${name} came to ${JSON.stringify(propagation)} after all faults`);
      }
    }
  }

  /** #isWell tells whether a client answers from memory, or may not: for want of the right, or because it was too slow too often. */
  #isWell(client: SimulatedClient): boolean {
    return client.isLeased || client.streams.isTooSlow || !this.#database.row(client.near.caller).isThere;
  }

  /** #lookAround: a lease of the dead that the clock of the database prolongs is waited for once by each replica. */
  async #lookAround(): Promise<void> {
    for (const { name, replica } of this.#sites) {
      const barrier = { id: `first of ${name}`, writer: replica.id };
      const change = { ...NO_CHANGE, changed: TOKENS.slice(0, 1), barrier };
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
