import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * TcpProxy stands between the service and its database, to take the database away, or between a client and the service. What
 * connects is on its near side, where that leads to on its far side.
 */
export interface TcpProxy {
  /** url is that of the far side, by way of the proxy. */
  readonly url: string;
  /** cut ends all connections and refuses new ones. */
  cut(): void;
  /** cutAfter does that as soon as the database has sent so many bytes more. */
  cutAfter(bytes: number): void;
  /** received is how many bytes the database has sent. */
  received(): number;
  /** silence lets nothing through, in neither direction, and tells nobody: connections stay, and are accepted. */
  silence(): void;
  /** silenceOpen does that, for good, with the connections that are open now; new ones are not concerned. */
  silenceOpen(): void;
  /** halfClose ends the open connections towards one side, for good, and tells the other side nothing. */
  halfClose(side: 'near' | 'far'): void;
  /** holdAnswers lets the database hear, and do, what it is told, but not answer. */
  holdAnswers(): void;
  /** loseAnswersTo lets nothing of the database through any more on a connection that sends this text, for good. */
  loseAnswersTo(text: string): void;
  /** mend lets connections, and what they sent meanwhile, through again; those that are silent for good it ends. */
  mend(): void;
  close(): Promise<void>;
}

export async function startTcpProxy(databaseUrl: string): Promise<TcpProxy> {
  const url = new URL(databaseUrl);
  const reach = connector(url);
  const sockets = new Set<Socket>();
  let isCut = false;
  let isSilent = false;
  let areAnswersHeld = false;
  let unanswered: string | undefined;
  let received = 0;
  let mostReceived = Infinity;
  /** To which socket each sends what it receives. */
  const peers = new Map<Socket, Socket>();
  /** Those that nothing is let through from any more. */
  const parted = new Set<Socket>();
  /** The sockets on the side of the database. */
  const farSockets = new Set<Socket>();
  const track = (socket: Socket): void => {
    sockets.add(socket);
    // A connection that was cut is reported as an error on the other side's socket.
    socket
      .on('error', () => socket.destroy())
      .on('close', () => {
        sockets.delete(socket);
        peers.delete(socket);
        farSockets.delete(socket);
      });
  };
  const server = createServer((near) => {
    track(near);
    if (isCut) return near.resetAndDestroy();
    const far = reach();
    track(far);
    farSockets.add(far);
    forward(near, far);
    forward(far, near);
    far.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received >= mostReceived) cut();
    });
    near.on('data', (chunk: Buffer) => {
      if (unanswered !== undefined && chunk.includes(unanswered)) part(far, near);
    });
    return undefined;
  });
  const isHeld = (from: Socket): boolean => isSilent || (areAnswersHeld && farSockets.has(from));
  const forward = (from: Socket, to: Socket): void => {
    peers.set(from, to);
    to.on('close', () => from.destroy());
    // What comes meanwhile must be held: listeners for it would let it flow, to nowhere.
    if (isHeld(from)) from.pause();
    else from.pipe(to);
  };
  const part = (from: Socket, to: Socket): void => {
    from.unpipe(to);
    from.pause();
    peers.delete(from);
    parted.add(from);
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  const destroyAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const cut = (): void => {
    isCut = true;
    mostReceived = Infinity;
    destroyAll();
  };
  return {
    url: url.href,
    cut,
    cutAfter: (bytes) => {
      mostReceived = received + bytes;
    },
    received: () => received,
    silence: () => {
      isSilent = true;
      for (const [from, to] of peers) from.unpipe(to);
    },
    silenceOpen: () => {
      for (const [from, to] of [...peers]) part(from, to);
    },
    halfClose: (side) => {
      const ended = [...peers.keys()].filter((socket) => farSockets.has(socket) === (side === 'far'));
      for (const [from, to] of [...peers]) part(from, to);
      for (const socket of ended) socket.end();
    },
    holdAnswers: () => {
      areAnswersHeld = true;
      for (const [from, to] of peers) if (farSockets.has(from)) from.unpipe(to);
    },
    loseAnswersTo: (text) => {
      unanswered = text;
    },
    mend: () => {
      unanswered = undefined;
      // A socket that is not read on does not hear that the other side has closed it.
      for (const socket of parted) socket.destroy();
      parted.clear();
      for (const [from, to] of peers) if (isHeld(from)) from.pipe(to);
      isCut = false;
      isSilent = false;
      areAnswersHeld = false;
    },
    close: async () => {
      destroyAll();
      server.close();
      await once(server, 'close');
    },
  };
}

/** connector connects to where a URL leads: a port, or a socket in the directory that is its host. */
function connector({ hostname, port }: URL): () => Socket {
  const host = decodeURIComponent(hostname);
  const path = `${host}/.s.PGSQL.${port}`;
  return host.startsWith('/') ? () => connect(path) : () => connect(Number(port), host);
}
