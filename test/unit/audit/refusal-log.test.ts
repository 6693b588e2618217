import { beforeEach, describe, expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/audit/audit-log.js';
import { RefusalLog } from '../../../src/audit/refusal-log.js';
import { Tally } from '../../../src/audit/tally.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { anEntry } from '../../support/audit-records.js';
import { ManualClock } from '../../support/manual-clock.js';

let written: AuditEntry[];
/** writing is what each record waits for. */
let writing: () => Promise<void>;
let clock: ManualClock;
let tally: Tally;
let refusals: RefusalLog;

beforeEach(() => {
  written = [];
  writing = () => Promise.resolve();
  clock = new ManualClock(Date.UTC(2026, 0, 31));
  const audit = {
    append: async (entry: AuditEntry) => {
      await writing();
      written.push(entry);
    },
  };
  tally = new Tally({ audit, clock, logger: createLogger('silent'), staysOpen: true });
  refusals = new RefusalLog(audit, tally);
});

function refused(keyId = 'key-1', changes: Partial<AuditEntry> = {}): AuditEntry {
  const { actor } = anEntry();
  const resource = { kind: 'secret', id: null } as const;
  return {
    ...anEntry(),
    action: 'SECRET_ACCESSED',
    outcome: 'NOT_FOUND',
    resource,
    detail: {},
    ...changes,
    actor: { ...actor, keyId },
  };
}

function counts(): (string | undefined)[] {
  return written.map(({ detail }) => detail['count']);
}

test('the first refusal is recorded at once, and those that follow within a minute as one record with their number', async () => {
  await refusals.add(refused(), 'a');
  expect(written).toEqual([refused()]);
  clock.advance(10_000);
  for (let count = 0; count < 500; count += 1) await refusals.add(refused(), 'a');
  expect(written).toHaveLength(1);
  await tally.flush();
  expect(written).toHaveLength(2);
  expect(written[1]).toMatchObject({
    action: 'SECRET_ACCESSED',
    outcome: 'NOT_FOUND',
    actor: { keyId: 'key-1', requestId: undefined },
    detail: { count: '500', since: '2026-01-31T00:00:10.000Z' },
  });
});

test('what goes on is one record a minute, and what has ended none', async () => {
  await refusals.add(refused(), 'a');
  for (let minute = 0; minute < 3; minute += 1) {
    await refusals.add(refused(), 'a');
    await refusals.add(refused(), 'a');
    await tally.flush();
  }
  expect(counts()).toEqual([undefined, '2', '2', '2']);
  await tally.flush();
  await tally.flush();
  expect(written).toHaveLength(4);
  await refusals.add(refused(), 'a');
  expect(counts().at(-1)).toBeUndefined();
});

describe('refusals are told apart', () => {
  test.each<[string, AuditEntry, string]>([
    ['by caller', refused('key-2'), 'a'],
    ['by certificate', refused('key-1', {}), 'a'],
    ['by action', refused('key-1', { action: 'SECRET_CLONED' }), 'a'],
    ['by outcome', refused('key-1', { outcome: 'SCOPE_MISSING' }), 'a'],
    ['by resource', refused('key-1', { resource: { kind: 'secret', id: 7n } }), 'a'],
    ['by what was asked for', refused(), 'b'],
  ])('%s', async (how, entry, attempt) => {
    await refusals.add(refused(), 'a');
    const other =
      how === 'by certificate' ? { ...entry, actor: { ...entry.actor, certificate: 'CN=x' } } : entry;
    await refusals.add(other, attempt);
    expect(written).toEqual([refused(), other]);
  });
});

test('no refusal is answered before the first of its kind is durable, and none if that fails', async () => {
  let release = (): void => undefined;
  writing = () => new Promise((_, reject) => (release = () => reject(new Error('away'))));
  const all = [refusals.add(refused(), 'a'), refusals.add(refused(), 'a')];
  const settled = Promise.allSettled(all);
  release();
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  writing = () => Promise.resolve();
  await refusals.add(refused(), 'a');
  await tally.flush();
  expect(counts()).toEqual([undefined]);
});

test('a caller who is refused ever different things has a hundred records a minute, and one for the others', async () => {
  for (let count = 0; count < 250; count += 1) await refusals.add(refused('noisy'), String(count));
  await refusals.add(refused('quiet'), 'a');
  expect(written).toHaveLength(101);
  await tally.stop();
  expect(written.slice(101)).toEqual([
    expect.objectContaining({
      actor: { ...refused('noisy').actor, requestId: undefined },
      detail: { count: '150', since: '2026-01-31T00:00:00.000Z' },
    }),
  ]);
});

test('a misplaced value is recorded with its secret, whatever else the caller was refused', async () => {
  const misplaced = refused('noisy', { outcome: 'SECRET_MISPLACED', resource: { kind: 'secret', id: 7n } });
  for (let count = 0; count < 250; count += 1) await refusals.add(refused('noisy'), String(count));
  await refusals.add(misplaced, 'a');
  await refusals.add(misplaced, 'a');
  expect(written.slice(100)).toEqual([misplaced, misplaced]);
});

test('however many callers are refused, the records of a minute have a bound', async () => {
  for (let caller = 0; caller < 3_000; caller += 1) await refusals.add(refused(`key-${caller}`), 'a');
  await tally.stop();
  expect(written).toHaveLength(1_000 + 1_000 + 1);
  expect(written.at(-1)).toMatchObject({
    actor: { peer: 'many', keyId: undefined },
    detail: { count: '1000' },
  });
});
