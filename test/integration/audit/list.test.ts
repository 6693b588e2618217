import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AuditAction, type AuditEvent } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { outcomeOf, Peer } from '../../support/rpc.js';
import { certificateOptions, MUTUAL_TLS } from '../../support/server.js';
import { ACCOUNT_A, ACCOUNT_B, existing, World, type Issued, type Member } from '../../support/world.js';

let world: World;
let ofA: Issued;
let ofB: Issued;

beforeAll(async () => {
  world = await World.create();
  ofA = await world.issue('owner-a');
  ofB = await world.issue('staff-b');
  await world.as('owner-a').tokens.deactivateToken({ selector: byId(ofA) });
});

afterAll(() => world.close());

/** What a timer records, at a time that no test chooses. */
const BY_TIMER = [
  AuditAction.AUDIT_ACTION_AUTHENTICATION_SUCCEEDED,
  AuditAction.AUDIT_ACTION_AUTHENTICATION_FAILED,
];

/** eventsOf reads all pages. */
async function eventsOf(client = world.admin, filter = '', orderBy = ''): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (let pageToken: string | undefined = ''; pageToken !== undefined;) {
    const page = await client.audit.listAuditEvents({ pageSize: 7, filter, orderBy, pageToken });
    events.push(...page.events);
    pageToken = page.nextPageToken === '' ? undefined : page.nextPageToken;
  }
  return events.filter(({ action }) => !BY_TIMER.includes(action));
}

function owners(events: readonly AuditEvent[]): string[] {
  return [...new Set(events.map(({ resource }) => existing(resource).accountNumber))].sort();
}

describe('who sees which records', () => {
  test('a superuser sees all', async () => {
    const events = await eventsOf();
    expect(owners(events)).toEqual(expect.arrayContaining(['', ACCOUNT_A, ACCOUNT_B]));
    expect(events.length).toBeGreaterThan(20);
    expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  });

  test.each<[Member, string[]]>([
    ['staff-a', [ACCOUNT_A]],
    ['staff-b', [ACCOUNT_B]],
    ['staff-a-and-b', [ACCOUNT_A, ACCOUNT_B]],
  ])('%s sees those of resources of the own accounts', async (member, expected) => {
    const events = await eventsOf(world.as(member));
    expect(owners(events)).toEqual(expected);
    const all = await eventsOf();
    const visible = all.filter(({ resource }) => expected.includes(existing(resource).accountNumber));
    expect(events).toEqual(visible);
  });

  test('who is not staff sees what they did themselves, and nothing else', async () => {
    const { tokens } = world.as('plain-a');
    expect(await eventsOf(world.as('plain-a'))).toEqual([]);
    const { tokens: own } = await tokens.listTokens({ filter: 'username = "plain-a"' });
    await tokens.renameToken({ selector: byId(existing(own[0])), newName: world.newName() });
    expect(await eventsOf(world.as('plain-a'))).toMatchObject([
      {
        action: AuditAction.AUDIT_ACTION_TOKEN_RENAMED,
        resource: { id: own[0]?.id },
        actor: { username: 'plain-a' },
      },
    ]);
  });

  test('a refused access to a secret that the caller may not read is shown to its account, and not to the caller', async () => {
    const { secret } = await world.admin.secrets.createSecret({
      owner: byId(world.profileOf('owner-a')),
      name: world.newName(),
      payload: { value: { $case: 'text', value: 'hidden' } },
    });
    const { id } = existing(secret);
    const access = world.as('staff-b').secrets.accessSecret({ secret: byId({ id }) });
    expect(await outcomeOf(access)).toBe('NOT_FOUND NOT_FOUND');

    const filter = `resource_kind = "secret" AND resource_id = ${id} AND outcome = "NOT_FOUND"`;
    expect(await eventsOf(world.as('staff-a'), filter)).toMatchObject([{ actor: { username: 'staff-b' } }]);
    expect(await eventsOf(world.as('staff-b'), 'outcome = "NOT_FOUND"')).toEqual([]);
  });

  test('a caller without the scope for values is recorded at once, before the request is looked at', async () => {
    const { plaintext, keyId } = await world.issue('owner-a', { scopes: ['keyward.secrets.read'] });
    const { secrets } = world.client(plaintext);
    for (const call of [secrets.accessSecret({}), secrets.batchAccessSecrets({})]) {
      expect(await outcomeOf(call)).toBe('PERMISSION_DENIED SCOPE_MISSING');
    }
    const refused = await eventsOf(world.admin, `actor_key_id = "${keyId}"`);
    expect(refused).toMatchObject([
      { action: AuditAction.AUDIT_ACTION_SECRET_ACCESSED, outcome: 'SCOPE_MISSING' },
    ]);
  });

  test('a user without a profile sees nothing, not even a superuser', async () => {
    const server = await world.startServer(MUTUAL_TLS);
    for (const user of ['superuser-without-profile', 'user-without-profile']) {
      const peer = new Peer(server.address, certificateOptions(user));
      const { code, response } = await peer.call('listAuditEvents', {});
      expect([user, code, response.length]).toEqual([user, 'OK', 0]);
      peer.close();
    }
  });

  test('without the scope nobody sees anything', async () => {
    const { plaintext } = await world.issue('admin', { scopes: ['keyward.tokens.read'] });
    expect(await outcomeOf(world.client(plaintext).audit.listAuditEvents({}))).toBe(
      'PERMISSION_DENIED SCOPE_MISSING',
    );
  });
});

describe('a filter', () => {
  test.each<[string, () => string, (event: AuditEvent) => unknown]>([
    ['action', () => 'action = "TOKEN_CREATED"', ({ action }) => action],
    ['outcome', () => 'outcome = "OK"', ({ outcome }) => outcome],
    ['resource_kind', () => 'resource_kind = user', ({ resource }) => resource?.kind],
    ['resource_id', () => `resource_id = ${ofB.id}`, ({ resource }) => resource?.id],
    [
      'user_profile_id',
      () => `user_profile_id = ${world.profileOf('owner-a').id}`,
      ({ resource }) => resource?.userProfileId,
    ],
    [
      'account_id',
      () => `account_id = ${world.profileOf('staff-b').accountId}`,
      ({ resource }) => resource?.accountId,
    ],
    ['account_number', () => `account_number = "${ACCOUNT_B}"`, ({ resource }) => resource?.accountNumber],
    [
      'actor_user_id',
      () => `actor_user_id = ${world.profileOf('owner-a').userId}`,
      ({ actor }) => actor?.userId,
    ],
    ['actor_username', () => 'actor_username = "operator"', ({ actor }) => actor?.username],
    [
      'actor_account_number',
      () => `actor_account_number = "${ACCOUNT_A}"`,
      ({ actor }) => actor?.accountNumber,
    ],
  ])('by %s gives those records, and no others', async (_, filter, valueOf) => {
    const all = await eventsOf();
    const found = await eventsOf(world.admin, filter());
    const [first] = found;
    const value = valueOf(existing(first));
    expect(found).toEqual(all.filter((event) => valueOf(event) === value));
    expect(found.length).toBeLessThan(all.length + (value === 'OK' ? 1 : 0));
  });

  test('by key and by call finds one record', async () => {
    const [event] = await eventsOf(world.admin, `resource_id = ${ofA.id} AND action = TOKEN_DEACTIVATED`);
    const { requestId, actor } = existing(event);
    expect(await eventsOf(world.admin, `request_id = "${requestId}"`)).toEqual([event]);
    expect(await eventsOf(world.admin, `actor_key_id = "${existing(actor).keyId}"`)).toEqual([event]);
  });

  test('by time finds what happened since', async () => {
    world.clock.advance(3_600_000);
    const since = new Date(world.clock.now()).toISOString();
    const { id } = await world.issue('owner-a');
    const found = await eventsOf(world.admin, `occurred_at >= "${since}"`);
    expect(found).toMatchObject([{ resource: { id } }]);
    const { seconds, nanos } = existing(existing(found[0]).occurredAt);
    expect(Number(seconds) * 1000 + nanos / 1_000_000).toBe(world.clock.now());
  });

  test('by anything else is refused', async () => {
    const outcome = await outcomeOf(world.admin.audit.listAuditEvents({ filter: 'mac = "x"' }));
    expect(outcome).toBe('INVALID_ARGUMENT INVALID_FIELDS');
  });
});

test('the newest come first where that is asked for', async () => {
  const events = await eventsOf(world.admin, '', 'id desc');
  expect(events.map(({ id }) => id)).toEqual((await eventsOf()).map(({ id }) => id).reverse());
});

test('a record tells its place in its chain', async () => {
  const events = await eventsOf();
  const chains = new Set(events.map(({ chain }) => chain));
  for (const chain of chains) {
    const places = events.filter((event) => event.chain === chain).map(({ sequence }) => sequence);
    expect(places).toEqual(places.map((_, index) => BigInt(index + 1)));
  }
});
