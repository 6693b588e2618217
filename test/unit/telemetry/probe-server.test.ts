import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProbeServer } from '../../../src/telemetry/probe-server.js';
import { collectLog } from '../../support/log-lines.js';

const ANY_PORT = { host: '127.0.0.1', port: 0 };

let log: ReturnType<typeof collectLog>;
let probes: ProbeServer;

beforeEach(async () => {
  log = collectLog();
  probes = await ProbeServer.open(ANY_PORT, log.logger);
});

afterEach(() => probes.close());

function get(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://${probes.address}${path}`, init);
}

/** send writes bytes and gives all that comes back until the connection ends. */
async function send(text: string): Promise<string> {
  const socket = connect(Number(probes.address.split(':')[1]), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.write(text);
  await once(socket, 'close');
  return received;
}

test('before there is a service the process is alive, and not ready', async () => {
  expect((await get('/healthz')).status).toBe(200);
  const ready = await get('/readyz');
  expect([ready.status, await ready.json()]).toEqual([503, { status: 'NOT_SERVING', reason: 'starting' }]);
  expect(await (await get('/metrics')).text()).toBe('');
});

test('what the service cannot tell is a failure in the log, and the server goes on', async () => {
  probes.show({
    readiness: () => Promise.resolve({ status: 'SERVING' }),
    metrics: () => Promise.reject(new Error('no metrics')),
  });
  const failed = await get('/metrics');
  expect([failed.status, await failed.text()]).toEqual([500, 'failed\n']);
  expect(log.text()).toContain('no metrics');
  expect((await get('/readyz')).status).toBe(200);
});

test('there are three paths, with whatever query, and nothing else', async () => {
  expect((await get('/healthz?probe=1')).status).toBe(200);
  for (const path of ['/', '/healthz/', '/metrics/x', '//metrics', '/healthz%00', '/../metrics.txt']) {
    expect((await get(path)).status, path).toBe(404);
  }
});

test.each(['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS'])('%s is refused', async (method) => {
  const response = await get('/metrics', { method });
  expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET']);
});

test.each(['Content-Length: 1000000', 'Transfer-Encoding: chunked'])(
  'the body that "%s" announces is not waited for, and ends the connection',
  async (header) => {
    const answer = await send(`GET /healthz HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 413 [^]*\r\n\r\nno body\n$/);
  },
);

test('headers without end are cut off', async () => {
  expect(await send(`GET /healthz HTTP/1.1\r\nX: ${'x'.repeat(9_000)}`)).toMatch(/^HTTP\/1\.1 431 /);
});

test('a client that never ends its request is cut off within seconds', { timeout: 15_000 }, async () => {
  const startedAt = performance.now();
  expect(await send('GET /healthz HTTP/1.1\r\n')).toMatch(/^HTTP\/1\.1 408 /);
  expect(performance.now() - startedAt).toBeLessThan(12_000);
});

test('however many connections ask nothing, the next one is answered', async () => {
  const port = Number(probes.address.split(':')[1]);
  const idle = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  expect((await get('/healthz')).status).toBe(200);
  // One that asks again and again is not taken for idle.
  const agent = connect(port, '127.0.0.1').on('error', () => undefined);
  const ask = async () => {
    agent.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
    const [answer] = (await once(agent, 'data')) as [Buffer];
    expect(answer.toString()).toContain('200 OK');
  };
  await ask();
  const others = Array.from({ length: 60 }, () => connect(port, '127.0.0.1').on('error', () => undefined));
  await Promise.all(others.map((socket) => once(socket, 'connect')));
  await ask();
  for (const socket of [...idle, ...others, agent]) socket.destroy();
});

test('an address that another has is refused with its name', async () => {
  const port = Number(probes.address.split(':')[1]);
  await expect(ProbeServer.open({ host: '127.0.0.1', port }, log.logger)).rejects.toThrow(
    new RegExp(`cannot serve health and metrics on ${probes.address}: .*EADDRINUSE`),
  );
});
