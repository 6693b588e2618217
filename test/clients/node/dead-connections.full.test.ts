import { promises as dns } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ask, ClientSetting, hostOf } from '../../support/client-setting.js';
import { onTo, silently } from '../../support/listener.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

let setting: ClientSetting;

beforeEach(async () => {
  setting = await ClientSetting.create();
});

afterEach(() => setting.close());

describe('a client leaves a dead connection within seconds, whatever it died of', () => {
  test.each<[string, (proxy: TcpProxy) => void]>([
    ['everything sent is lost', (proxy) => proxy.silenceOpen()],
    ['the server alone was told of its end', (proxy) => proxy.halfClose('far')],
    ['the client alone was told of its end', (proxy) => proxy.halfClose('near')],
    [
      'it was cut',
      (proxy) => {
        proxy.cut();
        setTimeout(() => proxy.mend(), 200);
      },
    ],
    [
      'it was silent while it was made anew',
      (proxy) => {
        proxy.silenceOpen();
        proxy.silence();
        setTimeout(() => proxy.mend(), 5_000);
      },
    ],
  ])('%s', async (_, die) => {
    const proxy = await setting.way();
    const client = setting.open({ servers: hostOf(proxy) });
    await ask(client);
    die(proxy);
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
  });

  test('it was accepted, and nothing more was ever said', async () => {
    const listener = await setting.listen(silently);
    const client = setting.open({ servers: listener.address });
    const answer = ask(client);
    await vi.waitFor(() => expect(listener.taken).toBe(1));
    listener.turn(onTo(setting.replica.address));
    await expect(answer).resolves.toMatchObject({ valid: true });
    expect(listener.taken).toBeGreaterThan(1);
  });

  test('it was accepted, and TLS never began', async () => {
    const listener = await setting.listen(silently);
    const client = setting.open({
      servers: listener.address,
      tls: true,
      skipVerification: true,
      timeoutMs: 6_000,
    });
    await ask(client, 6_000).catch(() => undefined);
    expect(listener.taken).toBeGreaterThan(1);
    expect(listener.sockets.size).toBe(1);
  });

  test('the name of its server was not resolved', async () => {
    const address = new Promise<never>(() => undefined);
    const lookup = vi.spyOn(dns, 'lookup').mockReturnValueOnce(address);
    const client = setting.open({ servers: `localhost:${setting.replica.address.split(':').at(-1) ?? ''}` });
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
    expect(lookup.mock.calls.length).toBeGreaterThan(1);
  });

  test('a call that waited for it is made again, even one that may be made but once', async () => {
    const listener = await setting.listen(silently);
    setting.replica.secret = { version: 1, text: 'first' };
    const client = setting.open({ servers: listener.address });
    const change = client.tokens.createToken({ name: 'once' }, { timeoutMs: 9_000 });
    await vi.waitFor(() => expect(listener.taken).toBe(1));
    listener.turn(onTo(setting.replica.address));
    // That is what the fake replica says of methods that it does not have: the call has come there.
    await expect(change).rejects.toMatchObject({ codeName: 'UNIMPLEMENTED' });
  });
});
