import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Http2Connection, prepareExchange } from '../../bench/http2-connection.js';
import { World } from '../../support/world.js';

const MAIN = fileURLToPath(new URL('../../support/young-streams-main.mjs', import.meta.url));
const CALLS = 20_000;
const AT_ONCE = 40;
const EXCHANGE = prepareExchange({ request: new Uint8Array(), response: new Uint8Array() });

/** Nothing makes Node collect the old generation by itself before it has so many megabytes. */
const OLD_MEGABYTES = 1024;

/** garbageAfterBurst is how many bytes of a burst of calls are garbage that only a full collection finds. */
async function garbageAfterBurst(kept: 'young' | 'as Node does'): Promise<number> {
  const server = fork(MAIN, [kept], {
    execArgv: ['--expose-gc', `--initial-old-space-size=${OLD_MEGABYTES}`],
  });
  onTestFinished(() => void server.kill());
  const told = async () => ((await once(server, 'message')) as [number])[0];
  const port = await told();
  const ask = () => {
    server.send('');
    return told();
  };
  let left = 0;
  let underWay = 0;
  let isOver: () => void;
  const connection: Http2Connection = await Http2Connection.open(port, '/', 'token', () => {
    underWay -= 1;
    send();
    if (underWay === 0) isOver();
  });
  onTestFinished(() => {
    connection.close();
  });
  const send = (): void => {
    if (left === 0) return;
    left -= 1;
    underWay += 1;
    connection.send(EXCHANGE);
  };
  const burst = (calls: number) =>
    new Promise<void>((resolve) => {
      isOver = resolve;
      left = calls;
      for (let each = 0; each < AT_ONCE; each += 1) send();
    });
  await burst(CALLS);
  // What the connection has becomes old, as it does in time.
  await ask();
  await burst(CALLS);
  return ask();
}

test('streams that have ended are collected with the young generation', async () => {
  expect((await garbageAfterBurst('young')) / CALLS).toBeLessThan(600);
  // With Node's own table most of them are left until a full collection.
  expect((await garbageAfterBurst('as Node does')) / CALLS).toBeGreaterThan(1_200);
});

test.each([
  ['false', 0],
  ['true', 1],
])('KEYWARD_HTTP2_GC_WORKAROUND %s', async (on, shown) => {
  const world = await World.create({ KEYWARD_HTTP2_GC_WORKAROUND: on });
  expect(await world.server.metric('keyward_http2_gc_workaround')).toBe(shown);
  await world.close();
});
