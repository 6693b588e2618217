import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VerdictCache, type CachedOwner, type OwnerFacts } from '../../../src/token/verdict-cache.js';
import { ManualClock } from '../../support/manual-clock.js';
import { byOwners, NOTHING } from './cache-fixture.js';
import { ControlledFetch, settled } from './controlled-fetch.js';

/** Facts carry the version of the token and, in the owner's username, that of its owner. */
interface Facts {
  readonly version: number;
  readonly owner: OwnerFacts;
}

interface Record {
  readonly version: number;
  readonly owner: CachedOwner;
  readonly staleAt: number;
}

const DIGESTS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const PROFILES = [0, 1];
const TTL_MS = 60_000;

/** Versioned is a row of the model database: every change of it adds a state; a state may be "no such row". */
class Versioned {
  readonly exists: boolean[] = [true];
  /** The oldest version that whoever asks from now on may be told. */
  floor = 0;

  get latest(): number {
    return this.exists.length - 1;
  }

  change(exists: boolean): void {
    this.exists.push(exists);
  }

  /** evicted is what the cache promised when an eviction of this row returned. */
  evicted(): void {
    this.floor = this.latest;
  }
}

/** Floors are the oldest versions that may be told. */
interface Floors {
  readonly token: number;
  readonly owner: number;
}

type Command =
  | {
      readonly do: 'change' | 'delete' | 'evict' | 'forget' | 'get' | 'ask' | 'lookUp' | 'recall';
      readonly digest: string;
    }
  | { readonly do: 'changeOwner' | 'evictOwner' | 'forgetOwner'; readonly profile: number }
  | { readonly do: 'clear' }
  | { readonly do: 'answer' | 'fail'; readonly which: number; readonly late: boolean }
  | { readonly do: 'advance'; readonly ms: number }
  | { readonly do: 'turn'; readonly microtasks: number };

/** Two digests are in most commands, so that these meet; the others crowd the queue. */
const digest = fc.oneof({ weight: 6, arbitrary: fc.constantFrom('a', 'b') }, fc.constantFrom(...DIGESTS));
const profile = fc.constantFrom(...PROFILES);
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('change', 'evict', 'forget', 'lookUp', 'recall'), digest }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('get', 'get', 'ask'), digest }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), digest }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('changeOwner', 'evictOwner', 'forgetOwner'), profile }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('answer'), which: fc.nat(5), late: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail'), which: fc.nat(5), late: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('advance'), ms: fc.constantFrom(1, 5_000, TTL_MS) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn'), microtasks: fc.nat(8) }) },
);

/** Model is a cache, the database behind it, and what it must not answer. */
class Model {
  readonly #clock = new ManualClock();
  readonly #tokens = new Map(DIGESTS.map((each) => [each, new Versioned()]));
  readonly #owners = PROFILES.map(() => new Versioned());
  readonly #database = new ControlledFetch<Facts>();
  /** What each open query saw when it was asked: the oldest that it may answer. */
  readonly #snapshots = new Map<readonly string[], Map<string, Facts>>();
  readonly #answers: Promise<void>[] = [];
  readonly #cache = new VerdictCache<Facts, Record>({
    fetch: (digests) => {
      this.#snapshots.set(digests, this.#read(digests));
      return this.#database.fetch(digests);
    },
    ownerOf: ({ owner }) => owner,
    toRecord: ({ version }, owner, staleAt) => ({ version, owner, staleAt }),
    clock: this.#clock,
    maxEntries: 4,
    ttlMs: TTL_MS,
  });

  async run(step: Command): Promise<void> {
    switch (step.do) {
      case 'change':
        this.#token(step.digest).change(true);
        break;
      case 'delete':
        this.#token(step.digest).change(false);
        break;
      case 'evict':
        this.#cache.evict([step.digest]);
        this.#token(step.digest).evicted();
        break;
      case 'forget':
        this.#cache.forget({ ...NOTHING, digests: [step.digest] });
        this.#token(step.digest).evicted();
        break;
      case 'clear':
        this.#cache.clear();
        for (const row of [...this.#tokens.values(), ...this.#owners]) row.evicted();
        break;
      case 'changeOwner':
        this.#owner(step.profile).change(true);
        break;
      case 'evictOwner':
        this.#cache.evictOwners(({ profileId }) => profileId === BigInt(step.profile));
        this.#owner(step.profile).evicted();
        break;
      case 'forgetOwner':
        this.#cache.forget(byOwners({ profileIds: [BigInt(step.profile)] }));
        this.#owner(step.profile).evicted();
        break;
      case 'get':
        this.#expect(step.digest, this.#floors(step.digest), this.#cache.get(step.digest));
        break;
      case 'ask':
        // What is true now is the oldest that it may be told, whatever was evicted.
        this.#expect(step.digest, this.#latest(step.digest), this.#cache.ask(step.digest));
        break;
      case 'recall':
        this.#check(step.digest, this.#floors(step.digest), this.#cache.recall(step.digest));
        break;
      case 'lookUp':
        this.#check(
          step.digest,
          this.#floors(step.digest),
          this.#cache.lookUp(step.digest, this.#clock.now()),
        );
        break;
      case 'answer':
      case 'fail':
        this.#answer(step.which, step.late, step.do === 'fail');
        break;
      case 'advance':
        this.#clock.advance(step.ms);
        break;
      case 'turn':
        for (let turn = 0; turn < step.microtasks; turn += 1) await Promise.resolve();
    }
  }

  /** end answers all that is still open; every caller must have got an answer then. */
  async end(): Promise<void> {
    while (this.#database.open.length > 0) {
      this.#answer(0, false, false);
      await settled();
    }
    await Promise.all(this.#answers);
    for (const each of DIGESTS)
      this.#check(each, this.#floors(each), this.#cache.lookUp(each, this.#clock.now()));
  }

  #expect(asked: string, floors: Floors, answered: Promise<Record | null>): void {
    const answer = answered.then(
      (record) => this.#check(asked, floors, record),
      (error: unknown) => expect(error).toBe('failed'),
    );
    // Kept until the end, where a failed check is thrown.
    answer.catch(() => undefined);
    this.#answers.push(answer);
  }

  #answer(which: number, late: boolean, fails: boolean): void {
    const { open } = this.#database;
    if (open.length === 0) return;
    const query = this.#database.take(which % open.length);
    const snapshot = this.#snapshots.get(query.digests) ?? new Map<string, Facts>();
    if (fails) query.reject('failed');
    else query.resolve(late ? this.#read(query.digests) : snapshot);
  }

  #read(digests: readonly string[]): Map<string, Facts> {
    const existing = digests.filter((each) => this.#token(each).exists.at(-1) === true);
    return new Map(
      existing.map((each) => [each, { version: this.#token(each).latest, owner: this.#ownerFacts(each) }]),
    );
  }

  #floors(asked: string): Floors {
    return { token: this.#token(asked).floor, owner: this.#owner(profileOf(asked)).floor };
  }

  #latest(asked: string): Floors {
    return { token: this.#token(asked).latest, owner: this.#owner(profileOf(asked)).latest };
  }

  /** #check: a record is of a version not older than the floor; "unknown" was true at some time since then. */
  #check(asked: string, floors: Floors, record: Record | null | undefined): void {
    if (record === undefined) return;
    if (record === null) {
      expect(this.#token(asked).exists.slice(floors.token)).toContain(false);
      return;
    }
    expect(record.version).toBeGreaterThanOrEqual(floors.token);
    expect(Number(record.owner.username)).toBeGreaterThanOrEqual(floors.owner);
  }

  #ownerFacts(asked: string): OwnerFacts {
    const id = BigInt(profileOf(asked));
    return {
      profileId: id,
      userId: id,
      username: String(this.#owner(profileOf(asked)).latest),
      accountId: id,
      accountNumber: '',
      isStaff: true,
      isSuperuser: true,
      userIsActive: true,
      accountIsActive: true,
    };
  }

  #token(asked: string): Versioned {
    const token = this.#tokens.get(asked);
    if (token === undefined) throw new Error(`the model has no token ${asked}`);
    return token;
  }

  #owner(asked: number): Versioned {
    const owner = this.#owners[asked];
    if (owner === undefined) throw new Error(`the model has no owner ${asked}`);
    return owner;
  }
}

function profileOf(asked: string): number {
  return asked.charCodeAt(0) % PROFILES.length;
}

test('whoever asks after an eviction is never told what was true before the change, in whatever order things happen', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 100, size: 'max' }), async (commands) => {
      const model = new Model();
      for (const step of commands) await model.run(step);
      await model.end();
    }),
    { numRuns: 1000 },
  );
});
