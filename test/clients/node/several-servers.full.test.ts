import { promises as dns } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KeywardClient } from '@keyward/client';
import { ask, ClientSetting, hostOf } from '../../support/client-setting.js';
import type { FakeReplica } from '../../support/fake-replica.js';
import { type Listener, onTo, silently } from '../../support/listener.js';

let setting: ClientSetting;

beforeEach(async () => {
  setting = await ClientSetting.create();
});

afterEach(() => setting.close());

describe('several servers', () => {
  let others: FakeReplica[];

  beforeEach(async () => {
    others = [await setting.another(), await setting.another()];
  });

  test('share the calls evenly', async () => {
    const all = [setting.replica, ...others];
    const client = setting.open({ servers: all.map(({ address }) => address) });
    for (let count = 0; count < 30; count += 1) await ask(client);
    expect(all.map(({ calls }) => calls)).toEqual([10, 10, 10]);
  });

  test('answer for one that hangs, and is asked no more than once for each call', async () => {
    const [first, second] = others;
    if (first === undefined || second === undefined) throw new Error('no servers');
    const proxy = await setting.way(first);
    const client = setting.open({ servers: [hostOf(proxy), second.address], keepalive: false });
    for (let count = 0; count < 4; count += 1) await ask(client);
    proxy.holdAnswers();
    const before = second.calls;
    for (let count = 0; count < 4; count += 1) await ask(client, 3_000);
    expect(second.calls - before).toBe(4);
    const change = client.tokens.createToken({ name: 'once' }, { timeoutMs: 1_500 });
    const other = client.tokens.createToken({ name: 'once' }, { timeoutMs: 1_500 });
    const codes = (await Promise.allSettled([change, other])).map((settled) =>
      settled.status === 'rejected' ? (settled.reason as { codeName: string }).codeName : 'OK',
    );
    // What may be made but once waits for the server that it was sent to.
    expect(codes.sort()).toEqual(['DEADLINE_EXCEEDED', 'UNIMPLEMENTED']);
  });

  test('answer for those that die, are silent or say nothing, and share evenly again afterwards', async () => {
    const all = [setting.replica, ...others];
    const ways = await Promise.all(all.map((each) => setting.way(each)));
    const mute = await setting.listen(silently);
    const client = setting.open({ servers: [...ways.map(hostOf), mute.address] });
    for (let count = 0; count < 8; count += 1) await ask(client);
    ways[0]?.cut();
    ways[1]?.silence();
    const answers = Array.from({ length: 20 }, () => ask(client));
    for (const answer of answers) await expect(answer).resolves.toMatchObject({ valid: true });
    // Those that are known to be lost cost nothing any more: a call that waits for one takes a second, and five of these would.
    await vi.waitFor(
      async () => {
        const began = performance.now();
        for (let count = 0; count < 20; count += 1) await ask(client);
        expect(performance.now() - began).toBeLessThan(3_000);
      },
      { timeout: 15_000 },
    );
    for (const each of ways) each.mend();
    await vi.waitFor(
      async () => {
        const before = all.map(({ calls }) => calls);
        for (let count = 0; count < 30; count += 1) await ask(client);
        // A call that a busy machine lets wait is asked of another one as well.
        for (const [at, { calls }] of all.entries()) expect(calls - (before[at] ?? 0)).toBeGreaterThan(7);
      },
      { timeout: 15_000 },
    );
  }, 40_000);
});

/** All of 127.0.0.0/8 is there on Linux alone. */
describe.skipIf(process.platform !== 'linux')('a name that stands for several addresses', () => {
  const NAME = 'keyward.test';
  let other: FakeReplica;
  let first: Listener;
  let second: Listener;
  let addresses: string[];

  beforeEach(async () => {
    other = await setting.another();
    first = await setting.listen(onTo(setting.replica.address));
    second = await setting.listen(onTo(other.address), '127.0.0.2', first.port);
    addresses = ['127.0.0.1', '127.0.0.2'];
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string) => {
      expect(name).toBe(NAME);
      return Promise.resolve(addresses.map((address) => ({ address, family: 4 })));
    }) as unknown as typeof dns.lookup);
  });

  function openName(): KeywardClient {
    return setting.open({ servers: `${NAME}:${first.port}`, plaintext: true });
  }

  async function shares(client: KeywardClient): Promise<number[]> {
    const before = [setting.replica.calls, other.calls];
    for (let count = 0; count < 10; count += 1) await ask(client);
    return [setting.replica.calls, other.calls].map((calls, at) => calls - (before[at] ?? 0));
  }

  test('has its calls shared evenly among them', async () => {
    const client = openName();
    await vi.waitFor(async () => expect(await shares(client)).toEqual([5, 5]));
  });

  test.each<[string, (listener: Listener) => void]>([
    ['refuses connections', (listener) => listener.close()],
    ['accepts them and says nothing', (listener) => listener.restart(silently)],
  ])('is served by the others while one %s', async (_, fail) => {
    const client = openName();
    await vi.waitFor(async () => expect(await shares(client)).toEqual([5, 5]));
    fail(first);
    expect(await shares(client)).toEqual([0, 10]);
  });

  test('has its calls shared evenly again when one is back that said nothing', async () => {
    const client = openName();
    await vi.waitFor(async () => expect(await shares(client)).toEqual([5, 5]));
    first.restart(silently);
    await ask(client);
    first.turn(onTo(setting.replica.address));
    await vi.waitFor(async () => expect(await shares(client)).toEqual([5, 5]), { timeout: 15_000 });
  });

  test('is looked up again when all are gone, and served from where it leads then', async () => {
    const client = openName();
    await ask(client);
    const moved = await setting.listen(onTo(other.address), '127.0.0.3', first.port);
    addresses = ['127.0.0.3'];
    first.close();
    second.close();
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
    expect(moved.taken).toBeGreaterThan(0);
  });
});
