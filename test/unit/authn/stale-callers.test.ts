import { Metadata, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import { CredentialsAuthenticator } from '../../../src/authn/authenticator.js';
import { CallerLimits } from '../../../src/rpc/caller-limits.js';
import { CertificateCallers } from '../../../src/authn/certificate-callers.js';
import { chain } from '../../../src/rpc/chain.js';
import { toStatus } from '../../../src/rpc/error-status.js';
import type { Handler } from '../../../src/rpc/handlers.js';
import { databaseUnavailable } from '../../../src/lib/errors.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { UsageRecorder } from '../../../src/token/usage-recorder.js';
import { VerdictRecord } from '../../../src/token/verdict.js';
import { Verdicts } from '../../../src/token/verdicts.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ANY_OWNER } from '../../support/verdict-facts.js';

const OWNER = { ...ANY_OWNER, current: true };
const FACTS = {
  digest: '',
  tokenId: 1n,
  keyId: '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
  name: 'key',
  isActive: true,
  expiresAt: null,
  createdAt: 0n,
  scopes: ['*'],
  owner: OWNER,
};
const RECORD = new VerdictRecord(FACTS, OWNER, Infinity, '');

type Method = Omit<Handler<unknown, string>, 'handle'>;

/** call makes a call as a user who is known by an answer that is stale, or is not. */
function call(method: Method, by: 'token' | 'certificate', stale: boolean): Promise<unknown> {
  const clock = new ManualClock();
  const logger = createLogger('silent');
  const usage = new UsageRecorder(
    { recordUse: () => Promise.resolve(), idsOfKeys: () => Promise.resolve(new Map()) },
    logger,
  );
  const records = { memory: undefined, get: () => Promise.resolve({ record: RECORD, stale }) };
  const users = { get: () => Promise.resolve({ record: { userId: 1n, isActive: true }, stale }) };
  const handled = chain(
    {
      authenticator: new CredentialsAuthenticator(
        new Verdicts(records, usage, clock),
        new CertificateCallers(users, ['*'], clock),
      ),
      authentications: { succeeded: () => undefined, failed: () => undefined },
      logger,
      calls: new Metrics().calls,
      limits: new CallerLimits({ calls: 1, streams: 1 }),
      stopping: new AbortController().signal,
      fastLane: true,
    },
    '/a.Service/Method',
    { ...method, handle: () => Promise.resolve('handled') },
  );
  const metadata = new Metadata();
  if (by === 'token') metadata.set('authorization', 'Bearer x');
  const unaryCall = {
    metadata,
    request: {},
    getPeer: () => '127.0.0.1:1',
    getAuthContext: () => ({ sslPeerCertificate: { subject: { CN: 'alice' } } }),
  };
  return new Promise((resolve) => {
    const callback: sendUnaryData<string> = (error, answer) => {
      resolve(error ?? answer);
    };
    handled(unaryCall as unknown as ServerUnaryCall<unknown, string>, callback);
  });
}

test.each(['token', 'certificate'] as const)(
  'who is known only by a stale answer about a %s is served by methods that say so, and by no other',
  async (by) => {
    const permission = 'keyward.tokens.write';
    expect(await call({ permission }, by, false)).toBe('handled');
    expect(await call({ permission }, by, true)).toEqual(toStatus(databaseUnavailable()));
    expect(await call({ permission, servesStaleCallers: true }, by, true)).toBe('handled');
  },
);
