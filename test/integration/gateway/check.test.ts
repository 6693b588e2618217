import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeaderValueOption_HeaderAppendAction as AppendAction } from '../../../src/gen/envoy/config/core/v3/base.js';
import { EnvoyCheck, toldBy, type Asked, type Told } from '../../support/envoy-check.js';
import { certificateOptions, MUTUAL_TLS, startTestServer } from '../../support/server.js';
import { execute } from '../../support/sql.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { ACCOUNT_A, World, type Issued } from '../../support/world.js';

/** What Envoy is told. Each question is asked twice: the second time memory answers it before the library hears of it. */

const CHALLENGE = 'Bearer realm="keyward"';

let world: World;
let gateway: EnvoyCheck;
let key: Issued;

beforeAll(async () => {
  world = await World.create({ KEYWARD_LOG_LEVEL: 'info' });
  const asking = await world.issue('staff-b', { scopes: ['keyward.tokens.validate'] });
  gateway = new EnvoyCheck({ server: world.server.address, token: asking.plaintext });
  key = await world.issue('staff-a', { name: 'Production Key', scopes: ['orders.*', 'parts.read'] });
});

afterAll(async () => {
  gateway.close();
  await world.close();
});

async function ask(asked: Asked, by = gateway): Promise<Told> {
  const told = toldBy(await by.ask(asked));
  expect(toldBy(await by.ask(asked))).toEqual(told);
  return told;
}

function bearer(token = key.plaintext): Asked {
  return { headers: { authorization: `Bearer ${token}` } };
}

/** inSeconds is a time to come, in whole seconds. */
function inSeconds(seconds: number): { readonly seconds: bigint; readonly nanos: number } {
  return { seconds: BigInt(Math.floor(world.clock.now() / 1000) + seconds), nanos: 0 };
}

describe('a request that passes', () => {
  test('has the identity of its key in headers and metadata, in the place of what the client sent', async () => {
    const told = await ask(bearer());
    expect(told).toMatchObject({
      status: 200,
      headers: {
        'x-keyward-user': 'staff-a',
        'x-keyward-account': ACCOUNT_A,
        'x-keyward-key-id': key.keyId,
        'x-keyward-key-name': 'Production%20Key',
        'x-keyward-scopes': 'orders.* parts.read',
        'x-keyward-stale': 'false',
      },
      metadata: {
        reason: 'OK',
        user: 'staff-a',
        account: ACCOUNT_A,
        key_id: key.keyId,
        key_name: 'Production Key',
        scopes: 'orders.* parts.read',
        stale: false,
      },
    });
    const { httpResponse } = await gateway.ask(bearer());
    const actions = httpResponse?.value.headers.map(({ appendAction }) => appendAction);
    expect(new Set(actions)).toEqual(new Set([AppendAction.OVERWRITE_IF_EXISTS_OR_ADD]));
  });

  test.each([
    ['Bearer', (token: string) => ({ headers: { authorization: `bEaReR  ${token} ` } }), ['authorization']],
    ['Token', (token: string) => ({ headers: { authorization: `Token ${token}` } }), ['authorization']],
    ['x-api-key', (token: string) => ({ headers: { 'x-api-key': token } }), ['x-api-key']],
    ['the raw form', (token: string) => ({ raw: [['X-Api-Key', token]] as const }), ['x-api-key']],
    [
      'two headers that hold the same',
      (token: string) => ({ headers: { authorization: `Bearer ${token}`, 'x-api-key': token } }),
      ['authorization', 'x-api-key'],
    ],
    [
      'one of two, where the other is no key of ours',
      (token: string) => ({ headers: { authorization: 'Basic YTpi', 'x-api-key': token } }),
      ['x-api-key'],
    ],
  ])('loses its credential, presented by %s', async (_, asked, removed) => {
    const told = await ask(asked(key.plaintext));
    expect(told).toMatchObject({ status: 200, removed });
  });

  test('keeps its credential where that is set', async () => {
    const server = await world.startServer({ KEYWARD_GATEWAY_REMOVE_CREDENTIAL: 'false' });
    const other = new EnvoyCheck({ server: server.address, token: world.adminToken });
    expect(await ask(bearer(), other)).toMatchObject({ status: 200, removed: [] });
    other.close();
  });

  test('has a name in its headers that cannot break out of them', async () => {
    const { id, plaintext } = await world.issue('staff-a');
    const name = 'a\r\nx-keyward-user: root é%名';
    await execute(world.database.url, `UPDATE tokens SET name = $1 WHERE id = $2`, [name, id]);
    await world.server.heard();
    const { headers } = await ask(bearer(plaintext));
    const value = headers['x-keyward-key-name'] ?? '';
    expect(value).toMatch(/^[!-~]+$/);
    expect(decodeURIComponent(value)).toBe(name);
    expect(headers['x-keyward-user']).toBe('staff-a');
  });

  test('counts as a validation, and as a call of Check', async () => {
    const before = [
      await world.server.metric('keyward_validations_total'),
      await world.server.metric('keyward_grpc_server_handled_total'),
    ];
    await ask(bearer());
    expect(await world.server.metric('keyward_validations_total')).toBe((before[0] ?? 0) + 2);
    expect(await world.server.metric('keyward_grpc_server_handled_total')).toBe((before[1] ?? 0) + 2);
  });
});

describe('a request that is refused', () => {
  test('is asked for a credential, and accused of nothing, where it presents none', async () => {
    for (const headers of [{}, { authorization: 'Basic YTpi' }, { 'x-api-key': '' }]) {
      const told = await ask({ headers });
      expect(told).toMatchObject({ status: 401, headers: { 'www-authenticate': CHALLENGE } });
      expect(JSON.parse(told.body)).toEqual({ error: 'missing_token' });
    }
  });

  test('learns nothing of why its key is refused, which metadata tell', async () => {
    const expired = await world.issue('staff-a', { expiry: { $case: 'expiresAt', value: inSeconds(1) } });
    const off = await world.issue('staff-a');
    await world.admin.tokens.deactivateToken({
      selector: { selector: { $case: 'keyId', value: off.keyId } },
    });
    world.clock.advance(2000);
    const answers = [
      await ask(bearer('0'.repeat(64))),
      await ask(bearer(expired.plaintext)),
      await ask(bearer(off.plaintext)),
      await ask(bearer('two words')),
    ];
    const [first] = answers;
    expect(first).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': `${CHALLENGE}, error="invalid_token"`, 'cache-control': 'no-store' },
      body: '{"error":"invalid_token"}\n',
    });
    expect(answers.map(({ metadata }) => metadata)).toEqual([
      { reason: 'UNKNOWN' },
      { reason: 'EXPIRED', key_id: expired.keyId },
      { reason: 'INACTIVE', key_id: off.keyId },
      { reason: 'UNKNOWN' },
    ]);
    for (const { metadata: _, ...told } of answers)
      expect({ ...told, metadata: {} }).toEqual({ ...first, metadata: {} });
  });

  test('presents two different credentials', async () => {
    const headers = { authorization: `Bearer ${key.plaintext}`, 'x-api-key': world.adminToken };
    expect(await ask({ headers })).toMatchObject({ status: 401, metadata: { reason: 'UNKNOWN' } });
    const raw = [key.plaintext, world.adminToken].map(
      (token) => ['authorization', `Bearer ${token}`] as const,
    );
    expect(await ask({ raw })).toMatchObject({ status: 401, metadata: { reason: 'UNKNOWN' } });
  });

  test('lacks a scope that its route demands', async () => {
    const asked = (scopes: string): Asked => ({ ...bearer(), extensions: { required_scopes: scopes } });
    expect(await ask(asked('orders.read'))).toMatchObject({ status: 200 });
    expect(await ask(asked('orders.read, parts.read'))).toMatchObject({ status: 200 });
    const told = await ask(asked('orders.read,parts.write'));
    expect(told).toMatchObject({
      status: 403,
      headers: {
        'www-authenticate': `${CHALLENGE}, error="insufficient_scope", scope="orders.read parts.write"`,
      },
      body: '{"error":"insufficient_scope"}\n',
      metadata: { reason: 'INSUFFICIENT_SCOPE', key_id: key.keyId },
    });
  });
});

test('a route whose scopes are none is answered by an error, so that a slip opens nothing', async () => {
  for (const scopes of ['', ' , ', 'Orders', 'a b" c']) {
    const asked = gateway.ask({ ...bearer(), extensions: { required_scopes: scopes } });
    await expect(asked).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  }
});

test('bytes that are no CheckRequest are refused', async () => {
  const broken = gateway.ask({ headers: { ['x'.repeat(300_000)]: '' } });
  await expect(broken).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

describe('whoever asks', () => {
  test('needs credentials with the scope to validate', async () => {
    const { plaintext } = await world.issue('staff-b', { scopes: ['keyward.tokens.read'] });
    for (const [token, code] of [
      [undefined, status.UNAUTHENTICATED],
      ['nobody', status.UNAUTHENTICATED],
      [plaintext, status.PERMISSION_DENIED],
    ] as const) {
      const other = new EnvoyCheck({ server: world.server.address, ...(token && { token }) });
      await expect(other.ask(bearer())).rejects.toMatchObject({ code });
      other.close();
    }
  });

  test('may be known by a client certificate', async () => {
    const server = await world.startServer(MUTUAL_TLS);
    const other = new EnvoyCheck({ server: server.address, ...certificateOptions('staff-a') });
    expect(await ask(bearer(), other)).toMatchObject({ status: 200 });
    other.close();
  });
});

test('what cannot be decided is a denied response with 503, be it the key or who asks', async () => {
  const proxy = await startTcpProxy(world.database.url);
  const server = await startTestServer({ databaseUrl: proxy.url, clock: world.clock });
  const [known, stranger] = [world.adminToken, world.tokenOf('staff-b')].map(
    (token) => new EnvoyCheck({ server: server.address, token }),
  ) as [EnvoyCheck, EnvoyCheck];
  expect(await ask(bearer(), known)).toMatchObject({ status: 200 });
  proxy.cut();
  for (const gateway of [known, stranger]) {
    expect(toldBy(await gateway.ask(bearer('0'.repeat(64))))).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1', 'cache-control': 'no-store' },
      body: '{"error":"temporarily_unavailable"}\n',
      metadata: { reason: 'UNDECIDABLE' },
    });
    gateway.close();
  }
  await server.stop();
  await proxy.close();
});
