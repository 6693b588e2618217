import { expect, test } from 'vitest';
import { Metrics, type MetricsSnapshot } from '../../../src/telemetry/metrics.js';
import { MetricsSum } from '../../../src/telemetry/metrics-sum.js';

const VALIDATE = '/keyward.token.v1.TokenService/ValidateToken';
const METHOD = 'grpc_service="keyward.token.v1.TokenService",grpc_method="ValidateToken"';

/** snapshotOf is a process that answered some calls, each in 2 ms, and has applied changes up to a revision. */
function snapshotOf(calls: number, revision: bigint): Promise<MetricsSnapshot> {
  const metrics = new Metrics();
  metrics.watch({
    validations: { OK: calls },
    caches: { tokens: { hits: calls, misses: 0, size: 1 } },
    pool: () => ({ used: 0, idle: 1, waiting: 0, max: 10 }),
  });
  metrics.coherence.watch({ holdsLease: () => true, revisionApplied: () => revision });
  for (let call = 0; call < calls; call += 1) metrics.calls.ended(VALIDATE, 'OK', 0.002);
  return metrics.snapshot();
}

async function lines(sum: MetricsSum, running: MetricsSnapshot[]): Promise<string[]> {
  return (await sum.text(running)).split('\n');
}

test('what processes count and hold is summed, and the revision is that of the slowest', async () => {
  expect(await lines(new MetricsSum(), [await snapshotOf(2, 7n), await snapshotOf(3, 5n)])).toEqual(
    expect.arrayContaining([
      '# TYPE keyward_validations_total counter',
      'keyward_validations_total{reason="OK"} 5',
      'keyward_cache_entries{cache="tokens"} 2',
      'keyward_database_pool_max_connections 20',
      `keyward_grpc_server_handled_total{${METHOD},grpc_code="OK"} 5`,
      `keyward_grpc_server_handling_seconds_bucket{le="0.0025",${METHOD}} 5`,
      `keyward_grpc_server_handling_seconds_count{${METHOD}} 5`,
      'keyward_coherence_lease_held 2',
      'keyward_coherence_revision_applied 5',
    ]),
  );
});

test('the counts of ended processes stay, and what they held is gone', async () => {
  const sum = new MetricsSum();
  sum.retire(await snapshotOf(2, 1n));
  sum.retire(await snapshotOf(3, 2n));
  const running = [await snapshotOf(4, 9n)];
  const expected = expect.arrayContaining([
    'keyward_validations_total{reason="OK"} 9',
    `keyward_grpc_server_handling_seconds_count{${METHOD}} 9`,
    'keyward_cache_entries{cache="tokens"} 1',
    'keyward_coherence_lease_held 1',
    'keyward_coherence_revision_applied 9',
  ]) as string[];
  expect(await lines(sum, running)).toEqual(expected);
  expect(await lines(sum, running)).toEqual(expected);
});

test('a process that ended before anybody looked, and no process at all, are no obstacle', async () => {
  const sum = new MetricsSum();
  sum.retire([]);
  expect((await sum.text([])).trim()).toBe('');
});
