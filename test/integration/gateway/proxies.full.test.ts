import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeLowPort } from '../../support/free-port.js';
import { isThere, PROXIES, Proxy, Upstream, type Answered } from '../../support/gateway-proxies.js';
import { ServerProcess } from '../../support/server-process.js';
import { ACCOUNT_A, World, type Issued } from '../../support/world.js';

/** Real proxies, configured by the examples of deploy/gateways, between clients and an upstream. */

let world: World;
let upstream: Upstream;
let gateway: Issued;
let key: Issued;
let weak: Issued;

beforeAll(async () => {
  world = await World.create();
  upstream = await Upstream.open();
  gateway = await world.issue('staff-b', { scopes: ['keyward.tokens.validate'] });
  key = await world.issue('staff-a', { name: 'Production Key', scopes: ['orders.read'] });
  weak = await world.issue('staff-a', { scopes: ['parts.read'] });
});

afterAll(async () => {
  await upstream.close();
  await world.close();
});

for (const kind of PROXIES) {
  if (!isThere(kind))
    console.warn(`SKIPPED: there is no ${kind.program} here, so nothing is known of ${kind.name}`);

  describe.skipIf(!isThere(kind))(`behind ${kind.name}`, () => {
    let keyward: ServerProcess;
    let proxy: Proxy;
    let ports: { readonly KEYWARD_LISTEN: string; readonly KEYWARD_GATEWAY_LISTEN: string };

    beforeAll(async () => {
      const [grpc, http] = [await freeLowPort(), await freeLowPort()];
      ports = { KEYWARD_LISTEN: `127.0.0.1:${grpc}`, KEYWARD_GATEWAY_LISTEN: `127.0.0.1:${http}` };
      keyward = await ServerProcess.start(world.database.url, ports);
      const keywardPort = kind.asks === 'gRPC' ? grpc : http;
      const token = gateway.plaintext;
      proxy = await Proxy.start(kind, { keywardPort, upstreamPort: upstream.port, token });
    });

    afterAll(async () => {
      await proxy.stop();
      await keyward.kill();
    });

    function get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
      return proxy.get(path, { authorization: `Bearer ${key.plaintext}`, ...headers });
    }

    test('a request with a key passes, with its identity and without the key', async () => {
      const { status, seen } = await get('/orders/7');
      expect(status).toBe(200);
      expect(seen).toMatchObject({
        'x-keyward-user': 'staff-a',
        'x-keyward-account': ACCOUNT_A,
        'x-keyward-key-id': key.keyId,
        'x-keyward-key-name': 'Production%20Key',
        'x-keyward-scopes': 'orders.read',
        'x-keyward-stale': 'false',
      });
      expect(seen).not.toHaveProperty('authorization');
      const byHeader = await proxy.get('/', { 'x-api-key': key.plaintext });
      expect(byHeader.seen).toMatchObject({ 'x-keyward-user': 'staff-a' });
      expect(byHeader.seen).not.toHaveProperty('x-api-key');
    });

    test('a request without a good key does not come to the upstream', async () => {
      for (const headers of [{}, { authorization: 'Bearer nobody' }, { authorization: 'Basic YTpi' }]) {
        const { status, seen } = await proxy.get('/orders/7', headers);
        expect({ status, seen }).toEqual({ status: 401, seen: undefined });
      }
    });

    test('a key without the scope of the route is refused there, and passes elsewhere', async () => {
      const headers = { authorization: `Bearer ${weak.plaintext}` };
      expect((await proxy.get('/orders/7', headers)).status).toBe(403);
      expect((await proxy.get('/parts', headers)).status).toBe(200);
    });

    test('an identity that a client claims never comes to the upstream', async () => {
      const claimed = { 'x-keyward-user': 'root', 'x-keyward-scopes': '*', 'X-Keyward-Stale': 'x' };
      const checked = await get('/orders/7', claimed);
      expect(checked.seen).toMatchObject({ 'x-keyward-user': 'staff-a', 'x-keyward-scopes': 'orders.read' });
      const open = await proxy.get('/public', claimed);
      expect(open.status).toBe(200);
      expect(Object.keys(open.seen ?? {}).filter((name) => name.startsWith('x-keyward'))).toEqual([]);
      const underscored = await proxy.get('/public', { x_keyward_user: 'root' });
      expect(underscored.seen ?? {}).not.toHaveProperty('x_keyward_user');
    });

    test('nobody passes while Keyward is frozen or gone, and everybody is told to come again', async () => {
      const isUndecided = async (): Promise<void> => {
        const { status, headers, seen } = await get('/orders/7');
        expect({ status, seen }).toEqual({ status: 503, seen: undefined });
        // Envoy has none of its own to give.
        if (kind.asks === 'HTTP') expect(headers.get('retry-after')).toBe('1');
      };
      keyward.signal('SIGSTOP');
      await isUndecided();
      keyward.signal('SIGCONT');
      await expect.poll(async () => (await get('/orders/7')).status).toBe(200);
      await keyward.kill();
      await isUndecided();
      keyward = await ServerProcess.start(world.database.url, ports);
      await expect.poll(async () => (await get('/orders/7')).status).toBe(200);
    });
  });
}
