import { expect, test } from 'vitest';
import type { Caller } from '../../../../src/authz/caller.js';
import {
  AccessService,
  type AccessRequest,
  type AccessServiceDependencies,
} from '../../../../src/secret/access/access-service.js';
import { ManualTimers } from '../../../support/manual-timers.js';

const LIMIT_MS = 5_000;
const CALLER = { userId: 1n } as Caller;
const REQUEST: AccessRequest = {
  ref: { by: 'id', id: 1n },
  version: null,
  includeExpired: false,
  skipAccessTime: false,
};

test('an access that is not read in time, whatever it waits for, is UNAVAILABLE, alone and in a batch', async () => {
  const timers = new ManualTimers();
  const never = new Promise<never>(() => undefined);
  const service = new AccessService({
    bindings: { unbound: () => Promise.resolve(undefined) },
    accesses: { facts: () => never },
    timers,
    limitMs: LIMIT_MS,
  } as unknown as AccessServiceDependencies);
  const ends = Promise.allSettled([service.access(CALLER, REQUEST), service.accessMany(CALLER, [REQUEST])]);
  await timers.advance(LIMIT_MS);
  const refused = { status: 'rejected', reason: { reason: 'DATABASE_UNAVAILABLE' } };
  expect(await ends).toMatchObject([refused, refused]);
});
