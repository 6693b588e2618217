import { expect, test } from 'vitest';
import { check, type ContradictionKind } from './checker.js';
import type {
  Answer,
  Change,
  ClientValidation,
  Fault,
  History,
  Result,
  Validation,
  Verdict,
} from './history.js';

/** What is promised in these histories: changes are as old as they need to be for leases not to matter. */
const DEFAULT_MODE = { leaseMs: 3_000, maxStaleMs: 5_000 };
const STRICT_MODE = { leaseMs: 3_000, maxStaleMs: 0 };

const TOKEN = 1;
const BYSTANDER = 2;
const CLIENT = 4;
const CREATED = change({ at: [0, 0], result: { kind: 'created' }, then: ['OK'] });
const COMPLETE: Result = { kind: 'complete', waitedMs: 5 };
const OFF = change({ at: [100, 120], result: COMPLETE, then: ['INACTIVE'] });

function change(given: {
  readonly at: readonly [number, number];
  readonly result: Result;
  readonly then: readonly Verdict[];
}): Change {
  const [startedAt, endedAt] = given.at;
  const through = given.result.kind === 'committed' ? 'SQL' : 0;
  const verdicts = new Map([[TOKEN, new Set(given.then)]]);
  return { what: 'change', through, startedAt, endedAt, result: given.result, verdicts };
}

function validation(at: readonly [number, number], answer: Answer, credential = TOKEN): Validation {
  return { credential, replica: 1, startedAt: at[0], endedAt: at[1], answer };
}

function inClient(at: readonly [number, number], answer: Answer, isFromMemory = true): ClientValidation {
  const [startedAt, endedAt] = at;
  return { credential: TOKEN, client: CLIENT, isFromMemory, count: 1, startedAt, endedAt, answer };
}

function says(verdict: Verdict, stale = false): Answer {
  return { verdict, valid: verdict === 'OK', stale };
}

function fault(kind: Fault['kind'], [startedAt, endedAt]: readonly [number, number]): Fault {
  return { kind, replica: 1, startedAt, endedAt };
}

function clientFault(kind: Fault['kind'], client: number): Fault {
  return { kind, replica: undefined, client, startedAt: 50, endedAt: 9_000 };
}

function found(history: Partial<History>, rules = DEFAULT_MODE): ContradictionKind[] {
  const bystanders = new Set([BYSTANDER]);
  const bystander = { ...CREATED, verdicts: new Map([[BYSTANDER, new Set<Verdict>(['OK'])]]) };
  const changes = [bystander, ...(history.changes ?? [])];
  const { contradictions } = check(
    { validations: [], clientValidations: [], faults: [], joins: [], bystanders, ...history, changes },
    rules,
  );
  return contradictions.map(({ kind }) => kind);
}

const COMMITTED = change({ at: [100, 120], result: { kind: 'committed' }, then: ['INACTIVE'] });
const incomplete = (effectiveBy: number, pending = 1) =>
  change({
    at: [100, 120],
    result: { kind: 'incomplete', effectiveBy, pending, waitedMs: 5 },
    then: ['INACTIVE'],
  });
const UNKNOWN_OUTCOME = change({
  at: [100, 120],
  result: { kind: 'unknown', error: 'DEADLINE_EXCEEDED' },
  then: ['INACTIVE', 'OK'],
});
const POOL_BLACKHOLED = fault('pool blackholed', [50, 9_000]);

const RIGHT: Readonly<Record<string, Partial<History>>> = {
  'what a change says once it is complete': {
    changes: [CREATED, OFF],
    validations: [validation([121, 122], says('INACTIVE'))],
  },
  'either, while a change is under way': {
    changes: [CREATED, OFF],
    validations: [validation([90, 105], says('OK')), validation([110, 130], says('INACTIVE'))],
  },
  'what was before, until a change is complete': {
    changes: [CREATED, OFF],
    validations: [validation([119, 200], says('OK'))],
  },
  'stale answers by what was before, until a change is effective': {
    changes: [CREATED, incomplete(4_000)],
    validations: [validation([3_999, 4_010], says('OK', true))],
    faults: [POOL_BLACKHOLED],
  },
  'either, where the outcome of a change is unknown, and for as long': {
    changes: [CREATED, UNKNOWN_OUTCOME],
    validations: [validation([60_000, 60_001], says('OK')), validation([60_002, 60_003], says('INACTIVE'))],
  },
  'what was before a change by SQL, for a moment': {
    changes: [CREATED, COMMITTED],
    validations: [validation([150, 151], says('OK'))],
  },
  'no answer during a fault': {
    changes: [CREATED],
    validations: [validation([100, 3_100], { failure: 'DEADLINE_EXCEEDED' })],
    faults: [fault('replica paused', [50, 3_000])],
  },
  'no answer about what memory has just lost, while the database is away': {
    changes: [CREATED],
    validations: [validation([100, 200], { failure: 'UNAVAILABLE' }, BYSTANDER)],
    faults: [POOL_BLACKHOLED],
    joins: [{ replica: 1, at: 40 }],
  },
  'no answer about what memory does not hold, while the database is away': {
    changes: [CREATED],
    validations: [validation([100, 200], { failure: 'UNAVAILABLE' })],
    faults: [POOL_BLACKHOLED],
  },
  'what was before, from the memory of a client, until a change is complete': {
    changes: [CREATED, OFF],
    clientValidations: [inClient([120, 120.1], says('OK'))],
  },
  'no answer of a client that is cut off': {
    changes: [CREATED],
    clientValidations: [inClient([100, 3_100], { failure: 'DEADLINE_EXCEEDED' }, false)],
    faults: [clientFault('client cut off', CLIENT)],
  },
  'no answer of a client that may be asking a replica that is paused': {
    changes: [CREATED],
    clientValidations: [inClient([100, 3_100], { failure: 'DEADLINE_EXCEEDED' }, false)],
    faults: [fault('replica paused', [50, 3_000])],
  },
};

test.each(Object.entries(RIGHT))('the checker accepts: %s', (_name, history) => {
  expect(found(history)).toEqual([]);
});

const WRONG: Readonly<
  Record<string, { readonly kind: ContradictionKind; readonly history: Partial<History> }>
> = {
  'what was before a complete change': {
    kind: 'outdated',
    history: { changes: [CREATED, OFF], validations: [validation([121, 122], says('OK'))] },
  },
  'what was before a complete change, however much later': {
    kind: 'outdated',
    history: { changes: [CREATED, OFF], validations: [validation([90_000, 90_001], says('OK'))] },
  },
  'what was before a complete change, marked as stale': {
    kind: 'outdated though marked as stale',
    history: { changes: [CREATED, OFF], validations: [validation([121, 122], says('OK', true))] },
  },
  'a refusal for another reason than there is': {
    kind: 'outdated',
    history: { changes: [CREATED, OFF], validations: [validation([121, 122], says('EXPIRED'))] },
  },
  'what was before two changes, the later of which is complete': {
    kind: 'outdated',
    history: {
      changes: [CREATED, UNKNOWN_OUTCOME, change({ at: [200, 210], result: COMPLETE, then: ['INACTIVE'] })],
      validations: [validation([211, 212], says('OK'))],
    },
  },
  'what was before a change that is effective later, without the mark': {
    kind: 'outdated',
    history: { changes: [CREATED, incomplete(4_000)], validations: [validation([130, 140], says('OK'))] },
  },
  'what was before a change, marked as stale, once it is effective': {
    kind: 'outdated though marked as stale',
    history: {
      changes: [CREATED, incomplete(4_000)],
      validations: [validation([4_001, 4_002], says('OK', true))],
    },
  },
  'what was before a change of which little is known, after every lease': {
    kind: 'outdated',
    history: {
      changes: [CREATED, incomplete(8_000, 0)],
      validations: [validation([3_121, 3_122], says('OK'))],
    },
  },
  'what was before a change by SQL, after every lease': {
    kind: 'outdated',
    history: {
      changes: [CREATED, COMMITTED],
      validations: [validation([3_121, 3_122], says('OK'))],
      faults: [fault('replica paused', [50, 3_100])],
    },
  },
  'what was before a change by SQL, marked as stale, after every stale time': {
    kind: 'outdated though marked as stale',
    history: {
      changes: [CREATED, COMMITTED],
      validations: [validation([8_300, 8_301], says('OK', true))],
      faults: [POOL_BLACKHOLED],
    },
  },
  'what was before a change by SQL, for long, though nothing is wrong': {
    kind: 'SQL unseen',
    history: { changes: [CREATED, COMMITTED], validations: [validation([2_000, 2_001], says('OK'))] },
  },
  'a stale answer that a token is unknown': {
    kind: 'stale and unknown',
    history: {
      changes: [CREATED, change({ at: [100, 120], result: COMPLETE, then: ['UNKNOWN'] })],
      validations: [validation([130, 131], says('UNKNOWN', true))],
    },
  },
  'a pass with a reason to refuse': {
    kind: 'valid is not the verdict',
    history: {
      changes: [CREATED, OFF],
      validations: [validation([130, 131], { verdict: 'INACTIVE', valid: true, stale: false })],
    },
  },
  'a change that is effective later than any replica may be outdated': {
    kind: 'effective too late',
    history: { changes: [CREATED, incomplete(60_000)] },
  },
  'no answer though nothing is wrong': {
    kind: 'unanswered',
    history: { changes: [CREATED], validations: [validation([100, 200], { failure: 'UNAVAILABLE' })] },
  },
  'no answer because the session that listens is lost': {
    kind: 'unanswered',
    history: {
      changes: [CREATED],
      validations: [validation([100, 200], { failure: 'UNAVAILABLE' })],
      faults: [fault('listener blackholed', [50, 9_000])],
    },
  },
  'no answer long after a fault': {
    kind: 'unanswered',
    history: {
      changes: [CREATED],
      validations: [validation([20_000, 20_001], { failure: 'UNAVAILABLE' })],
      faults: [POOL_BLACKHOLED],
    },
  },
  'no answer about what memory holds, while the database is away': {
    kind: 'unanswered',
    history: {
      changes: [CREATED],
      validations: [validation([100, 200], { failure: 'UNAVAILABLE' }, BYSTANDER)],
      faults: [POOL_BLACKHOLED],
    },
  },
  'what was before a complete change, from the memory of a client': {
    kind: 'outdated',
    history: { changes: [CREATED, OFF], clientValidations: [inClient([120.1, 120.2], says('OK'))] },
  },
  'that, of a client that was paused meanwhile': {
    kind: 'outdated',
    history: {
      changes: [CREATED, OFF],
      clientValidations: [inClient([200, 9_000], says('OK'))],
      faults: [clientFault('client paused', CLIENT)],
    },
  },
  'what a client says by its memory, marked as stale': {
    kind: 'stale from memory',
    history: { changes: [CREATED], clientValidations: [inClient([100, 101], says('OK', true))] },
  },
  'no answer of a client while replicas are updated one by one': {
    kind: 'unanswered',
    history: {
      changes: [CREATED],
      clientValidations: [inClient([100, 200], { failure: 'UNAVAILABLE' }, false)],
      faults: [{ kind: 'replicas updated', replica: undefined, startedAt: 50, endedAt: 9_000 }],
    },
  },
  'no answer of a client because another one is cut off': {
    kind: 'unanswered',
    history: {
      changes: [CREATED],
      clientValidations: [inClient([100, 200], { failure: 'UNAVAILABLE' }, false)],
      faults: [clientFault('client cut off', CLIENT + 1)],
    },
  },
  'a caller who is refused instead of asked to come back': {
    kind: 'wrong failure',
    history: {
      changes: [CREATED],
      validations: [validation([100, 200], { failure: 'UNAUTHENTICATED' })],
      faults: [POOL_BLACKHOLED],
    },
  },
};

test.each(Object.entries(WRONG))('the checker catches: %s', (_name, { kind, history }) => {
  expect(found(history)).toEqual([kind]);
});

test('the checker catches any stale answer in strict mode', () => {
  const validations = [validation([100, 101], says('OK', true))];
  expect(found({ changes: [CREATED], validations }, STRICT_MODE)).toEqual(['stale in strict mode']);
});

test('in strict mode the checker excuses that nothing is answered without the database', () => {
  const validations = [validation([100, 200], { failure: 'UNAVAILABLE' }, BYSTANDER)];
  expect(found({ validations, faults: [POOL_BLACKHOLED] }, STRICT_MODE)).toEqual([]);
});
