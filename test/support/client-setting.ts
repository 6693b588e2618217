import { connect, type ConnectOptions, type KeywardClient } from '@keyward/client';
import { FakeReplica } from './fake-replica.js';
import { Listener } from './listener.js';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.js';

/** More milliseconds than a connection may take to be found dead, or to be made. */
const WITHIN_MS = 9_000;

/** ClientSetting is what tests of a client's connections are set in: replicas that know the token `good`, ways to them, and clients. */
export class ClientSetting {
  readonly replica: FakeReplica;
  readonly #opened: { close(): unknown }[] = [];

  private constructor(replica: FakeReplica) {
    this.replica = replica;
  }

  static async create(): Promise<ClientSetting> {
    return new ClientSetting(await startReplica());
  }

  open(options: ConnectOptions): KeywardClient {
    return this.#kept(connect({ token: 'x', ...options }));
  }

  /** way leads to a replica by a proxy that breaks connections. */
  async way(to: FakeReplica = this.replica): Promise<TcpProxy> {
    return this.#kept(await startTcpProxy(`tcp://${to.address}`));
  }

  async listen(...how: Parameters<typeof Listener.open>): Promise<Listener> {
    return this.#kept(await Listener.open(...how));
  }

  async another(): Promise<FakeReplica> {
    const replica = await startReplica();
    this.#kept({ close: () => replica.stop() });
    return replica;
  }

  async close(): Promise<void> {
    for (const each of this.#opened.splice(0)) await each.close();
    this.replica.stop();
  }

  #kept<Opened extends { close(): unknown }>(opened: Opened): Opened {
    this.#opened.push(opened);
    return opened;
  }
}

/** hostOf is what a client is told to connect to, to go that way. */
export function hostOf({ url }: TcpProxy): string {
  return new URL(url).host;
}

/** ask makes a call that only reads. */
export function ask(client: KeywardClient, timeoutMs = WITHIN_MS): Promise<unknown> {
  return client.tokens.validateToken({ token: 'good' }, { timeoutMs });
}

async function startReplica(): Promise<FakeReplica> {
  const replica = await FakeReplica.start();
  replica.tokens.set('good', {});
  return replica;
}
