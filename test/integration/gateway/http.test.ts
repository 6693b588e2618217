import { request as httpsRequest } from 'node:https';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { once } from 'node:events';
import * as oauth from 'oauth4webapi';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateOptions, MUTUAL_TLS, startTestServer } from '../../support/server.js';
import { startTcpProxy } from '../../support/tcp-proxy.js';
import { ACCOUNT_A, World, type Issued } from '../../support/world.js';

/** The listener of gateways over HTTP: forward auth, introspection and values of secrets. */

/** In seconds since 1970, far from now. */
const EXPIRES = 4_000_000_000;
const LISTENS = { KEYWARD_GATEWAY_LISTEN: '127.0.0.1:0' };

let world: World;
let url: string;
/** Whoever asks: a key that may validate and nothing else. */
let gateway: Issued;
let key: Issued;

beforeAll(async () => {
  world = await World.create(LISTENS);
  url = world.server.gatewayUrl;
  gateway = await world.issue('staff-b', { scopes: ['keyward.tokens.validate'] });
  key = await world.issue('staff-a', { name: 'Production Key', scopes: ['orders.*', 'parts.read'] });
});

afterAll(() => world.close());

interface Got {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

async function send(path: string, options: RequestInit = {}, base = url): Promise<Got> {
  const response = await fetch(base + path, options);
  expect(response.headers.get('cache-control')).toBe('no-store');
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? undefined : (JSON.parse(text) as unknown),
  };
}

function auth(query: string, headers: Record<string, string>, base = url): Promise<Got> {
  return send(
    `/auth${query}`,
    { headers: { 'x-keyward-gateway-token': gateway.plaintext, ...headers } },
    base,
  );
}

function bearer(token = key.plaintext): { readonly authorization: string } {
  return { authorization: `Bearer ${token}` };
}

function post(path: string, body: string, type: string, headers: Record<string, string>): Promise<Got> {
  return send(path, { method: 'POST', body, headers: { 'content-type': type, ...headers } });
}

describe('GET /auth', () => {
  test('gives the identity of a key that passes', async () => {
    for (const headers of [bearer(), { 'x-api-key': key.plaintext }]) {
      const got = await auth('?scope=orders.read&scope=parts.read', headers);
      expect(got).toMatchObject({ status: 200, body: undefined });
      const told = [...got.headers].filter(([name]) => name.startsWith('x-keyward-'));
      expect(Object.fromEntries(told)).toEqual({
        'x-keyward-user': 'staff-a',
        'x-keyward-account': ACCOUNT_A,
        'x-keyward-key-id': key.keyId,
        'x-keyward-key-name': 'Production%20Key',
        'x-keyward-scopes': 'orders.* parts.read',
        'x-keyward-stale': 'false',
      });
    }
  });

  test.each([
    ['no credential', {}, '', 401, 'Bearer realm="keyward"', 'missing_token'],
    [
      'an unknown key',
      bearer('0'.repeat(64)),
      '',
      401,
      'Bearer realm="keyward", error="invalid_token"',
      'invalid_token',
    ],
    [
      'two credentials',
      { ...bearer('a'), 'x-api-key': 'b' },
      '',
      401,
      'Bearer realm="keyward", error="invalid_token"',
      'invalid_token',
    ],
  ])('refuses %s', async (_, headers, query, status, challenge, error) => {
    const got = await auth(query, headers);
    expect(got).toMatchObject({ status, body: { error } });
    expect(got.headers.get('www-authenticate')).toBe(challenge);
  });

  test('refuses a key without a scope of the route, whichever way scopes are written', async () => {
    for (const query of ['?scope=orders.read&scope=parts.write', '?scope=orders.read,parts.write']) {
      const got = await auth(query, bearer());
      expect(got).toMatchObject({ status: 403, body: { error: 'insufficient_scope' } });
      expect(got.headers.get('www-authenticate')).toBe(
        'Bearer realm="keyward", error="insufficient_scope", scope="orders.read parts.write"',
      );
    }
  });

  test('is no open door where a route is misspelt', async () => {
    for (const query of ['?scopes=orders.read', '?scope=', '?scope=ORDERS', '?scope=orders.read&x=1'])
      expect(await auth(query, bearer())).toMatchObject({ status: 400, body: { error: 'invalid_request' } });
  });

  test('is for gateways alone', async () => {
    const reader = await world.issue('staff-b', { scopes: ['keyward.tokens.read'] });
    for (const [token, status, error] of [
      [undefined, 401, 'invalid_client'],
      ['nobody', 401, 'invalid_client'],
      [reader.plaintext, 403, 'insufficient_scope'],
    ] as const) {
      const headers = { ...bearer(world.adminToken), ...(token && { 'x-keyward-gateway-token': token }) };
      expect(await send('/auth', { headers })).toMatchObject({ status, body: { error } });
    }
  });

  test('is 503 where the database would have to be asked and cannot', async () => {
    const proxy = await startTcpProxy(world.database.url);
    const server = await startTestServer({ databaseUrl: proxy.url, clock: world.clock, env: LISTENS });
    expect(await auth('', bearer(), server.gatewayUrl)).toMatchObject({ status: 200 });
    proxy.cut();
    const unknown = await auth('', bearer('1'.repeat(64)), server.gatewayUrl);
    const stranger = await auth('', { 'x-keyward-gateway-token': '2'.repeat(64) }, server.gatewayUrl);
    for (const got of [unknown, stranger]) {
      expect(got).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
      expect(got.headers.get('retry-after')).toBe('1');
    }
    await server.stop();
    await proxy.close();
  });
});

describe('POST /introspect', () => {
  const as = (): oauth.AuthorizationServer => ({
    issuer: 'https://keyward.example',
    introspection_endpoint: `${url}/introspect`,
  });

  async function introspect(
    token: string,
    client = { client_id: gateway.keyId },
    by = oauth.ClientSecretBasic(gateway.plaintext),
  ): Promise<oauth.IntrospectionResponse> {
    const response = await oauth.introspectionRequest(as(), client, by, token, {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- it is called so to make it stand out
      [oauth.allowInsecureRequests]: true,
    });
    return oauth.processIntrospectionResponse(as(), client, response);
  }

  test('answers an independent client that authenticates by Basic', async () => {
    const limited = await world.issue('staff-a', {
      scopes: ['orders.read'],
      expiry: { $case: 'expiresAt', value: { seconds: BigInt(EXPIRES), nanos: 0 } },
    });
    const { token } = await world.admin.tokens.getToken({
      token: { selector: { $case: 'keyId', value: limited.keyId } },
    });
    expect(await introspect(limited.plaintext)).toEqual({
      active: true,
      scope: 'orders.read',
      client_id: limited.keyId,
      username: 'staff-a',
      sub: expect.stringMatching(/^\d+$/) as string,
      exp: EXPIRES,
      iat: Number(token?.createdAt?.seconds),
      jti: limited.keyId,
      token_type: 'Bearer',
    });
    expect(await introspect(key.plaintext)).not.toHaveProperty('exp');
  });

  test('says no more than inactive of every key that does not pass', async () => {
    const off = await world.issue('staff-a');
    await world.admin.tokens.deactivateToken({
      selector: { selector: { $case: 'keyId', value: off.keyId } },
    });
    for (const token of [off.plaintext, 'x', 'é'.repeat(2000)])
      expect(await introspect(token)).toEqual({ active: false });
  });

  test('answers who authenticates by Bearer', async () => {
    const type = 'application/x-www-form-urlencoded';
    const got = await post('/introspect', `token=${key.plaintext}`, type, bearer(gateway.plaintext));
    expect(got).toMatchObject({ status: 200, body: { active: true } });
  });

  test('refuses clients that are not who they say', async () => {
    const type = 'application/x-www-form-urlencoded';
    const basic = (id: string, token: string): Record<string, string> => ({
      authorization: `Basic ${Buffer.from(`${id}:${token}`).toString('base64')}`,
    });
    for (const headers of [
      {},
      basic(key.keyId, gateway.plaintext),
      basic('', gateway.plaintext),
      basic(gateway.keyId, 'x'),
      { authorization: 'Basic =' },
    ]) {
      const got = await post('/introspect', `token=${key.plaintext}`, type, headers);
      expect(got).toMatchObject({ status: 401, body: { error: 'invalid_client' } });
      expect(got.headers.get('www-authenticate')).toContain('Basic realm=');
    }
  });

  test('refuses what is no introspection request', async () => {
    const form = 'application/x-www-form-urlencoded';
    const by = bearer(gateway.plaintext);
    const get = await send(`/introspect?token=${key.plaintext}`, { headers: by });
    expect(get).toMatchObject({ status: 405, body: { error: 'method_not_allowed' } });
    expect(get.headers.get('allow')).toBe('POST');
    for (const body of ['', 'token=', 'token=a&token=b'])
      expect(await post('/introspect', body, form, by)).toMatchObject({
        status: 400,
        body: { error: 'invalid_request' },
      });
    expect(await post('/introspect', '{}', 'application/json', by)).toMatchObject({ status: 415 });
    expect(await post('/introspect', `token=${'a'.repeat(20_000)}`, form, by)).toMatchObject({ status: 413 });
    expect(await send('/nothing')).toMatchObject({ status: 404, body: { error: 'not_found' } });
  });
});

describe('POST /v1/secrets:access', () => {
  const access = (body: unknown, headers: Record<string, string>): Promise<Got> =>
    post('/v1/secrets:access', JSON.stringify(body), 'application/json', headers);
  const named = (name: string): unknown => ({ secret: { ownedName: { name, accountNumber: ACCOUNT_A } } });

  test('gives a value as AccessSecret does, and records that it did', async () => {
    const kept = await world.keep('staff-a');
    const by = bearer(world.tokenOf('staff-a'));
    expect(await access({ secret: { id: String(kept.id) } }, by)).toMatchObject({
      status: 200,
      body: { secretId: String(kept.id), version: 1, payload: { text: kept.value } },
    });
    expect(await access(named(kept.name), by)).toMatchObject({ status: 200 });
    const { events } = await world.admin.audit.listAuditEvents({
      filter: 'action:SECRET_ACCESSED',
      pageSize: 2,
    });
    expect(events.map(({ actor, outcome }) => [actor?.username, outcome])).toEqual([
      ['staff-a', 'OK'],
      ['staff-a', 'OK'],
    ]);
  });

  test('has the rights and the scope of AccessSecret', async () => {
    const kept = await world.keep('staff-a');
    const reader = await world.issue('staff-a', { scopes: ['keyward.secrets.read'] });
    for (const [token, status, error] of [
      [world.tokenOf('staff-b'), 404, 'not_found'],
      [reader.plaintext, 403, 'insufficient_scope'],
      ['nobody', 401, 'invalid_client'],
    ] as const)
      expect(await access({ secret: { id: String(kept.id) } }, bearer(token))).toMatchObject({
        status,
        body: { error },
      });
  });

  test('names every field that breaks a rule', async () => {
    const by = bearer(world.adminToken);
    expect(await access({ version: -1 }, by)).toMatchObject({
      status: 400,
      body: {
        error: 'invalid_request',
        violations: [{ field: 'version' }, { field: 'secret' }],
      },
    });
    for (const body of ['{', '[]', '{"nothing":1}', ''])
      expect(await post('/v1/secrets:access', body, 'application/json', by)).toMatchObject({ status: 400 });
  });
});

test('the listener is behind TLS like gRPC, and a client certificate is a gateway’s identity', async () => {
  const server = await world.startServer({ ...LISTENS, ...MUTUAL_TLS });
  const { ca, cert, key: certificateKey } = certificateOptions('staff-a');
  const asked = httpsRequest(`${server.gatewayUrl}/auth`, {
    ca: readFileSync(ca),
    cert: readFileSync(cert),
    key: readFileSync(certificateKey),
    headers: bearer(),
  }).end();
  const [response] = (await once(asked, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(200);
  const without = httpsRequest(`${server.gatewayUrl}/auth`, { ca: readFileSync(ca) }).end();
  await expect(once(without, 'response')).rejects.toThrow();
});

test('what is no HTTP is answered, and not kept', async () => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.write('nonsense\r\n\r\n');
  const [chunk] = (await once(socket, 'data')) as [Buffer];
  expect(chunk.toString()).toMatch(/^HTTP\/1.1 400 [^]*no-store[^]*\{"error":"invalid_request"\}/);
  socket.destroy();
});

test('requests are counted by endpoint and status', async () => {
  const before = await world.server.metric('keyward_gateway_requests_total');
  await auth('', bearer());
  await expect.poll(() => world.server.metric('keyward_gateway_requests_total')).toBe(before + 1);
});
