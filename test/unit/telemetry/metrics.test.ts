import { expect, test } from 'vitest';
import { Metrics, type CacheUse } from '../../../src/telemetry/metrics.js';

const VALIDATE = '/keyward.token.v1.TokenService/ValidateToken';
const METHOD = 'grpc_service="keyward.token.v1.TokenService",grpc_method="ValidateToken"';

function watched(): {
  metrics: Metrics;
  validations: Record<string, number>;
  cache: { -readonly [Key in keyof CacheUse]: CacheUse[Key] };
} {
  const metrics = new Metrics();
  const validations = { OK: 0, UNKNOWN: 0 };
  const cache = { hits: 0, misses: 0, size: 0 };
  const pool = () => ({ used: 3, idle: 2, waiting: 1, max: 10 });
  metrics.watch({ validations, caches: { tokens: cache }, pool });
  return { metrics, validations, cache };
}

/** lines are the values, without help and types. */
async function lines(metrics: Metrics): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

test('calls are counted by method and status code, and measured by method', async () => {
  const { metrics } = watched();
  metrics.calls.ended(VALIDATE, 'OK', 0.002);
  metrics.calls.ended(VALIDATE, 'UNAVAILABLE', 3);
  expect(await lines(metrics)).toEqual(
    expect.arrayContaining([
      `keyward_grpc_server_handled_total{${METHOD},grpc_code="OK"} 1`,
      `keyward_grpc_server_handled_total{${METHOD},grpc_code="UNAVAILABLE"} 1`,
      `keyward_grpc_server_handling_seconds_bucket{le="0.0025",${METHOD}} 1`,
      `keyward_grpc_server_handling_seconds_bucket{le="5",${METHOD}} 2`,
      `keyward_grpc_server_handling_seconds_sum{${METHOD}} 3.002`,
      `keyward_grpc_server_handling_seconds_count{${METHOD}} 2`,
    ]),
  );
});

test('calls answered at once are counted with the others, each once however often somebody looks', async () => {
  const { metrics } = watched();
  const answered = metrics.calls.answeredAtOnce(VALIDATE);
  const total = (count: number) => `keyward_grpc_server_handled_total{${METHOD},grpc_code="OK"} ${count}`;
  expect(await lines(metrics)).toContain(total(0));
  answered.count += 2;
  metrics.calls.ended(VALIDATE, 'OK', 0.002);
  expect(await lines(metrics)).toContain(total(3));
  expect(await lines(metrics)).toContain(total(3));
  answered.count += 1;
  await metrics.snapshot();
  expect(await lines(metrics)).toContain(total(4));
});

test('validations, caches and connections are read when somebody looks', async () => {
  const { metrics, validations, cache } = watched();
  await metrics.text();
  validations['OK'] = 5;
  Object.assign(cache, { hits: 7, misses: 8, size: 9 });
  expect(await lines(metrics)).toEqual(
    expect.arrayContaining([
      'keyward_validations_total{reason="OK"} 5',
      'keyward_validations_total{reason="UNKNOWN"} 0',
      'keyward_cache_hits_total{cache="tokens"} 7',
      'keyward_cache_misses_total{cache="tokens"} 8',
      'keyward_cache_entries{cache="tokens"} 9',
      'keyward_database_pool_connections{state="used"} 3',
      'keyward_database_pool_connections{state="idle"} 2',
      'keyward_database_pool_max_connections 10',
      'keyward_database_pool_waiting 1',
    ]),
  );
});

test('the lease and the revision are those of the moment when somebody looks', async () => {
  const { metrics } = watched();
  let held = true;
  let revision = 41n;
  metrics.coherence.watch({ holdsLease: () => held, revisionApplied: () => revision });
  expect(await lines(metrics)).toContain('keyward_coherence_lease_held 1');
  held = false;
  revision = 42n;
  expect(await lines(metrics)).toEqual(
    expect.arrayContaining(['keyward_coherence_lease_held 0', 'keyward_coherence_revision_applied 42']),
  );
});

test('waits, acknowledgements and reconnections are counted', async () => {
  const { metrics } = watched();
  metrics.coherence.waited(0.004, true);
  metrics.coherence.waited(3, false);
  metrics.coherence.acknowledged('sent');
  metrics.coherence.acknowledged('received');
  metrics.coherence.acknowledged('received');
  metrics.coherence.reconnected();
  expect(await lines(metrics)).toEqual(
    expect.arrayContaining([
      'keyward_coherence_propagation_seconds_bucket{le="0.005",complete="true"} 1',
      'keyward_coherence_propagation_seconds_count{complete="false"} 1',
      'keyward_coherence_acknowledgements_total{direction="sent"} 1',
      'keyward_coherence_acknowledgements_total{direction="received"} 2',
      'keyward_coherence_reconnects_total 1',
    ]),
  );
});

test('two services in one process count apart', async () => {
  const [one, other] = [watched(), watched()];
  one.metrics.calls.ended(VALIDATE, 'OK', 1);
  expect(await other.metrics.text()).not.toContain('ValidateToken');
});
