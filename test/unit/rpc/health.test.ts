import { Server, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Health } from '../../../src/rpc/health.js';
import { collectLog } from '../../support/log-lines.js';
import { ManualClock } from '../../support/manual-clock.js';

const SERVICE = 'keyward.token.v1.TokenService';
const TOLERANCE_MS = 60_000;

let clock: ManualClock;
let problem: () => Promise<string | undefined>;
let checks: number;
let log: ReturnType<typeof collectLog>;
let health: Health;
let statuses: (service: string) => unknown;

beforeEach(() => {
  vi.useFakeTimers();
  clock = new ManualClock();
  problem = () => Promise.resolve(undefined);
  checks = 0;
  log = collectLog();
  health = new Health({
    services: [SERVICE],
    problem: () => {
      checks += 1;
      return problem();
    },
    toleranceMs: TOLERANCE_MS,
    stopping: new AbortController().signal,
    clock,
    logger: log.logger,
  });
  statuses = readStatuses(health);
});

afterEach(() => {
  health.stop();
  vi.useRealTimers();
});

/** readStatuses calls the health service's own Check. */
function readStatuses(of: Health): (service: string) => unknown {
  const server = new Server();
  let check:
    ((call: unknown, callback: (error: unknown, response?: { status: unknown }) => void) => void) | undefined;
  vi.spyOn(server, 'addService').mockImplementation((_, implementation: UntypedServiceImplementation) => {
    check = implementation['check'] as typeof check;
  });
  of.addTo(server);
  return (service) => {
    let found: unknown = 'no answer';
    check?.({ request: { service } }, (error, response) => {
      found = error ?? response?.status;
    });
    return found;
  };
}

async function nextCheck(): Promise<void> {
  clock.advance(2_000);
  await vi.advanceTimersByTimeAsync(2_000);
}

test('the server is not serving until the database was found good', async () => {
  expect([statuses(''), statuses(SERVICE)]).toEqual(['NOT_SERVING', 'NOT_SERVING']);
  await health.start();
  expect([statuses(''), statuses(SERVICE)]).toEqual(['SERVING', 'SERVING']);
});

test('a schema that does not fit is not served, from the start on, and the log tells why, once', async () => {
  problem = () => Promise.resolve('the database has no Keyward schema');
  await health.start();
  expect(statuses('')).toBe('NOT_SERVING');
  await nextCheck();
  expect(log.text().split('the database has no Keyward schema')).toHaveLength(2);
  problem = () => Promise.resolve(undefined);
  await nextCheck();
  expect(statuses('')).toBe('SERVING');
});

test('an outage is survived for as long as answers can come from memory, and not longer', async () => {
  await health.start();
  problem = () => Promise.reject(new Error('unreachable'));
  for (let waited = 0; waited < TOLERANCE_MS; waited += 2_000) {
    await nextCheck();
    expect(statuses('')).toBe('SERVING');
  }
  await nextCheck();
  expect(statuses('')).toBe('NOT_SERVING');
  problem = () => Promise.resolve(undefined);
  await nextCheck();
  expect(statuses('')).toBe('SERVING');
});

test('an outage is told once, without a stack, and its end too', async () => {
  await health.start();
  problem = () => Promise.reject(new Error('the database "x" at db:5432 cannot be used'));
  for (let check = 0; check < 3; check += 1) await nextCheck();
  expect(log.text().split('the database \\"x\\" at db:5432 cannot be used')).toHaveLength(2);
  expect(log.text()).not.toContain('"stack"');
  problem = () => Promise.resolve(undefined);
  await nextCheck();
  expect(log.text()).toContain('the database is reached again');
});

test('what is not serving says why, and what serves does not', async () => {
  problem = () => Promise.resolve('the database has no Keyward schema');
  await health.start();
  expect(health.readiness).toEqual({ status: 'NOT_SERVING', reason: 'the database has no Keyward schema' });
  problem = () => Promise.reject(new Error('unreachable'));
  await nextCheck();
  expect(health.readiness).toEqual({ status: 'NOT_SERVING', reason: 'the database cannot be reached' });
  problem = () => Promise.resolve(undefined);
  await nextCheck();
  expect(health.readiness).toEqual({ status: 'SERVING' });
  health.stop();
  expect(health.readiness).toEqual({ status: 'NOT_SERVING', reason: 'stopping' });
});

test('an outage right at the start is not survived: there is nothing in memory', async () => {
  problem = () => Promise.reject(new Error('unreachable'));
  await health.start();
  expect(statuses('')).toBe('NOT_SERVING');
});

test('a stopped server is not serving, and asks the database no more', async () => {
  await health.start();
  health.stop();
  expect([statuses(''), statuses(SERVICE)]).toEqual(['NOT_SERVING', 'NOT_SERVING']);
  await nextCheck();
  expect(checks).toBe(1);
});

test('a check that was under way when the server stopped changes nothing, and is the last', async () => {
  await health.start();
  let answer: ((found: string | undefined) => void) | undefined;
  problem = () => new Promise((resolve) => (answer = resolve));
  await nextCheck();
  health.stop();
  answer?.(undefined);
  await nextCheck();
  await nextCheck();
  expect(statuses('')).toBe('NOT_SERVING');
  expect(checks).toBe(2);
  expect(vi.getTimerCount()).toBe(0);
});
