import { afterAll, beforeAll, expect, test } from 'vitest';
import { byId } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { existing, World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

test('a service whose newest records are cut tells by a metric, in its log and in the next records, and goes on', async () => {
  const { id, value } = await world.keep('owner-a');
  const access = async (): Promise<string | undefined> => {
    const { payload } = await world.as('owner-a').secrets.accessSecret({ secret: byId({ id }) });
    return payload?.value?.$case === 'text' ? payload.value.value : undefined;
  };
  expect(await access()).toBe(value);
  expect(await world.server.metric('keyward_audit_tampering_total')).toBe(0);
  // Both chains lose their last record, and their rows tell of the one before, as if it had never been.
  await execute(
    world.database.url,
    'DELETE FROM audit_events e USING audit_chains c WHERE e.chain = c.chain AND e.seq = c.seq',
  );
  await execute(
    world.database.url,
    `UPDATE audit_chains c SET seq = e.seq, mac = e.mac FROM audit_events e
     WHERE e.chain = c.chain AND e.seq = c.seq - 1`,
  );

  expect(await access()).toBe(value);
  await world.issue('owner-a');

  expect(await world.server.metric('keyward_audit_tampering_total')).toBe(2);
  const errors = world.server
    .log()
    .split('\n')
    .filter((line) => line.includes('the audit log was tampered with'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(errors.map(({ level, purpose }) => [level, purpose])).toEqual([
    ['error', 'APPENDED'],
    ['error', 'CHANGES'],
  ]);
  const { events } = await world.admin.audit.listAuditEvents({ filter: 'action = "AUDIT_TAMPERED"' });
  expect(events.map(({ actor, detail }) => [actor?.username, detail.get('purpose')])).toEqual([
    ['keyward', 'APPENDED'],
    ['keyward', 'CHANGES'],
  ]);
  for (const { detail, chain, sequence } of events) {
    expect([existing(detail.get('chain')) === chain, sequence]).toEqual([false, 1n]);
  }
});

test('a caller who is refused the same again and again is two records in a minute', async () => {
  const { id, keyId, plaintext } = await world.issue('owner-a');
  const { secrets } = world.client(plaintext);
  const refused = Array.from({ length: 50 }, () =>
    secrets.accessSecret({ secret: byId({ id: id + 5000n }) }),
  );
  await Promise.allSettled(refused);
  const rows = () =>
    execute(
      world.database.url,
      "SELECT detail->>'count' AS count FROM audit_events WHERE actor_key_id = $1 AND outcome = 'NOT_FOUND' ORDER BY id",
      [keyId],
    );
  expect(await rows()).toEqual([{ count: null }]);
  await world.server.stop();
  expect(await rows()).toEqual([{ count: null }, { count: '49' }]);
});
