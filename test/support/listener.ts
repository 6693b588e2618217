import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Listener is a place that accepts connections, and does with them what it is told to. */
export class Listener {
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

/** silently reads what comes, and says nothing. */
export function silently(socket: Socket): void {
  socket.resume();
}

/** onTo leads on to an address of this machine. */
export function onTo(address: string): (socket: Socket) => void {
  return (socket) => {
    const far = connect(Number(address.split(':').at(-1)), '127.0.0.1');
    far.on('error', () => socket.destroy());
    socket.on('close', () => far.destroy());
    socket.pipe(far).pipe(socket);
  };
}
