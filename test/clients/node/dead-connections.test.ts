import { connect as connectTcp, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { promises as dns } from 'node:dns';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { connect, type ConnectOptions, type KeywardClient } from '@keyward/client';
import { FakeReplica } from '../../support/fake-replica.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';

/** More than a connection may take to be found dead, or to be made. */
const WITHIN_MS = 9_000;

let replica: FakeReplica;
const opened: { close(): unknown }[] = [];

beforeEach(async () => {
  replica = await FakeReplica.start();
  replica.tokens.set('good', {});
});

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close();
  replica.stop();
});

function open(options: ConnectOptions): KeywardClient {
  const client = connect({ token: 'x', ...options });
  opened.push(client);
  return client;
}

async function way(to = replica): Promise<TcpProxy> {
  const proxy = await startTcpProxy(`tcp://${to.address}`);
  opened.push(proxy);
  return proxy;
}

function hostOf({ url }: TcpProxy): string {
  return new URL(url).host;
}

function ask(client: KeywardClient, timeoutMs = WITHIN_MS): Promise<unknown> {
  return client.tokens.validateToken({ token: 'good' }, { timeoutMs });
}

/** Listener is a place that accepts connections, and does with them what it is told to. */
class Listener {
  readonly sockets = new Set<Socket>();
  taken = 0;
  #take: (socket: Socket) => void;
  readonly #server: Server;

  private constructor(take: (socket: Socket) => void) {
    this.#take = take;
    this.#server = createServer((socket) => {
      this.taken += 1;
      this.sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => this.sockets.delete(socket));
      this.#take(socket);
    });
  }

  static async open(take: (socket: Socket) => void, host = '127.0.0.1', port = 0): Promise<Listener> {
    const listener = new Listener(take);
    listener.#server.listen(port, host);
    await once(listener.#server, 'listening');
    opened.push(listener);
    return listener;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** turn does something else with connections from now on. */
  turn(take: (socket: Socket) => void): void {
    this.#take = take;
  }

  /** restart does so, and ends those that are open. */
  restart(take: (socket: Socket) => void): void {
    this.turn(take);
    for (const socket of this.sockets) socket.destroy();
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.#server.close();
  }
}

function silently(socket: Socket): void {
  socket.resume();
}

function onTo(address: string): (socket: Socket) => void {
  return (socket) => {
    const far = connectTcp(Number(address.split(':').at(-1)), '127.0.0.1');
    far.on('error', () => socket.destroy());
    socket.on('close', () => far.destroy());
    socket.pipe(far).pipe(socket);
  };
}

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
    const proxy = await way();
    const client = open({ servers: hostOf(proxy) });
    await ask(client);
    die(proxy);
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
  });

  test('it was accepted, and nothing more was ever said', async () => {
    const listener = await Listener.open(silently);
    const client = open({ servers: listener.address });
    const answer = ask(client);
    await vi.waitFor(() => expect(listener.taken).toBe(1));
    listener.turn(onTo(replica.address));
    await expect(answer).resolves.toMatchObject({ valid: true });
    expect(listener.taken).toBeGreaterThan(1);
  });

  test('it was accepted, and TLS never began', async () => {
    const listener = await Listener.open(silently);
    const client = open({ servers: listener.address, tls: true, skipVerification: true, timeoutMs: 6_000 });
    await ask(client, 6_000).catch(() => undefined);
    expect(listener.taken).toBeGreaterThan(1);
    expect(listener.sockets.size).toBe(1);
  });

  test('the name of its server was not resolved', async () => {
    const address = new Promise<never>(() => undefined);
    const lookup = vi.spyOn(dns, 'lookup').mockReturnValueOnce(address);
    const client = open({ servers: `localhost:${replica.address.split(':').at(-1) ?? ''}` });
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
    expect(lookup.mock.calls.length).toBeGreaterThan(1);
  });

  test('a call that waited for it is made again, even one that may be made but once', async () => {
    const listener = await Listener.open(silently);
    replica.secret = { version: 1, text: 'first' };
    const client = open({ servers: listener.address });
    const change = client.tokens.createToken({ name: 'once' }, { timeoutMs: WITHIN_MS });
    await vi.waitFor(() => expect(listener.taken).toBe(1));
    listener.turn(onTo(replica.address));
    // That is what the fake replica says of methods that it does not have: the call has come there.
    await expect(change).rejects.toMatchObject({ codeName: 'UNIMPLEMENTED' });
  });
});

describe('a call whose answer was cut short fails as one that may be tried again', () => {
  const RST_STREAM = 3;
  const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

  function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
    const header = Buffer.alloc(9);
    header.writeUIntBE(payload.length, 0, 3);
    header.writeUInt8(type, 3);
    header.writeUInt8(flags, 4);
    header.writeUInt32BE(stream, 5);
    return Buffer.concat([header, payload]);
  }

  function reset(code: number): (socket: Socket) => void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(code);
    return (socket) => {
      socket.write(SETTINGS);
      // The client's preface and settings come first; with its first call it has begun stream 1.
      socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('ValidateToken') || chunk.includes(Buffer.from([0, 0, 0, 1])))
          setTimeout(() => socket.write(frame(RST_STREAM, 0, 1, payload)), 50);
      });
    };
  }

  test.each([
    ['NO_ERROR', 0],
    ['PROTOCOL_ERROR', 1],
    ['INTERNAL_ERROR', 2],
    ['STREAM_CLOSED', 5],
    ['CANCEL', 8],
  ])('by RST_STREAM with %s', async (_, code) => {
    const listener = await Listener.open(reset(code));
    const client = open({ servers: listener.address, retry: false });
    await expect(ask(client, 4_000)).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    listener.restart(onTo(replica.address));
    await expect(ask(open({ servers: listener.address }))).resolves.toMatchObject({ valid: true });
  });

  test('by what is no HTTP/2', async () => {
    const listener = await Listener.open((socket) => {
      socket.write(SETTINGS);
      socket.on('data', () => setTimeout(() => socket.end('no frames at all, these are'), 20));
    });
    const client = open({ servers: listener.address });
    const answer = ask(client);
    await vi.waitFor(() => expect(listener.taken).toBeGreaterThan(0));
    listener.turn(onTo(replica.address));
    await expect(answer).resolves.toMatchObject({ valid: true });
  });
});

test('a step of the wall clock ends no call before its time', async () => {
  const proxy = await way();
  const client = open({ servers: hostOf(proxy) });
  await ask(client);
  proxy.cut();
  const now = vi.spyOn(Date, 'now');
  const answer = ask(client);
  now.mockImplementation(() => new Date().getTime() + 3_600_000);
  setTimeout(() => proxy.mend(), 300);
  await expect(answer).resolves.toMatchObject({ valid: true });
});

describe('several servers', () => {
  let others: FakeReplica[];

  beforeEach(async () => {
    others = [await FakeReplica.start(), await FakeReplica.start()];
    for (const other of others) other.tokens.set('good', {});
  });

  afterEach(() => {
    for (const other of others) other.stop();
  });

  test('share the calls evenly', async () => {
    const all = [replica, ...others];
    const client = open({ servers: all.map(({ address }) => address) });
    for (let count = 0; count < 30; count += 1) await ask(client);
    expect(all.map(({ calls }) => calls)).toEqual([10, 10, 10]);
  });

  test('answer for one that hangs, and is asked no more than once for each call', async () => {
    const [first, second] = others;
    if (first === undefined || second === undefined) throw new Error('no servers');
    const proxy = await way(first);
    const client = open({ servers: [hostOf(proxy), second.address], keepalive: false });
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
    const all = [replica, ...others];
    const ways = await Promise.all(all.map((each) => way(each)));
    const mute = await Listener.open(silently);
    const client = open({ servers: [...ways.map(hostOf), mute.address] });
    for (let count = 0; count < 8; count += 1) await ask(client);
    ways[0]?.cut();
    ways[1]?.silence();
    const answers = Array.from({ length: 20 }, () => ask(client));
    for (const answer of answers) await expect(answer).resolves.toMatchObject({ valid: true });
    // Those that are known to be lost cost nothing any more.
    await vi.waitFor(
      async () => {
        const began = performance.now();
        for (let count = 0; count < 20; count += 1) await ask(client);
        expect(performance.now() - began).toBeLessThan(900);
      },
      { timeout: 15_000 },
    );
    for (const each of ways) each.mend();
    await vi.waitFor(
      async () => {
        const before = all.map(({ calls }) => calls);
        for (let count = 0; count < 30; count += 1) await ask(client);
        expect(all.map(({ calls }, at) => calls - (before[at] ?? 0))).toEqual([10, 10, 10]);
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
    other = await FakeReplica.start();
    other.tokens.set('good', {});
    first = await Listener.open(onTo(replica.address));
    second = await Listener.open(onTo(other.address), '127.0.0.2', first.port);
    addresses = ['127.0.0.1', '127.0.0.2'];
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string) => {
      expect(name).toBe(NAME);
      return Promise.resolve(addresses.map((address) => ({ address, family: 4 })));
    }) as unknown as typeof dns.lookup);
  });

  afterEach(() => other.stop());

  function openName(): KeywardClient {
    return open({ servers: `${NAME}:${first.port}`, plaintext: true });
  }

  async function shares(client: KeywardClient): Promise<number[]> {
    const before = [replica.calls, other.calls];
    for (let count = 0; count < 10; count += 1) await ask(client);
    return [replica.calls, other.calls].map((calls, at) => calls - (before[at] ?? 0));
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
    first.turn(onTo(replica.address));
    await vi.waitFor(async () => expect(await shares(client)).toEqual([5, 5]), { timeout: 15_000 });
  });

  test('is looked up again when all are gone, and served from where it leads then', async () => {
    const client = openName();
    await ask(client);
    const moved = await Listener.open(onTo(other.address), '127.0.0.3', first.port);
    addresses = ['127.0.0.3'];
    first.close();
    second.close();
    await expect(ask(client)).resolves.toMatchObject({ valid: true });
    expect(moved.taken).toBeGreaterThan(0);
  });
});
