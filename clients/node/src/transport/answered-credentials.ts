import type { Socket } from 'node:net';
import { ChannelCredentials } from './grpc-js.js';

/** In which a server that has accepted a connection must say something. The library would wait for ever. */
const FIRST_WORD_MS = 4_000;

/** AnsweredCredentials end connections on which nothing comes, so that they are made again, to each address of a name by itself. */
export class AnsweredCredentials extends ChannelCredentials {
  readonly #credentials: ChannelCredentials;

  constructor(credentials: ChannelCredentials) {
    super();
    this.#credentials = credentials;
  }

  override _isSecure(): boolean {
    return this.#credentials._isSecure();
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    ...target: Parameters<ChannelCredentials['_createSecureConnector']>
  ): ReturnType<ChannelCredentials['_createSecureConnector']> {
    const connector = this.#credentials._createSecureConnector(...target);
    return {
      connect: (socket) => {
        endUnlessAnswered(socket);
        return connector.connect(socket);
      },
      waitForReady: () => connector.waitForReady(),
      getCallCredentials: () => connector.getCallCredentials(),
      destroy: () => connector.destroy(),
    };
  }
}

function endUnlessAnswered(socket: Socket): void {
  const limit = setTimeout(() => {
    if (socket.bytesRead === 0)
      socket.destroy(new Error('the server accepts the connection and says nothing'));
  }, FIRST_WORD_MS);
  limit.unref();
  socket.once('close', () => clearTimeout(limit));
}
