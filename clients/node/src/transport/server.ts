import { channelArguments } from './channel.js';
import type { ChannelSettings } from './channel-settings.js';
import { Client, connectivityState } from './grpc-js.js';

/**
 * How often it is looked whether there is a connection, and how often there may be none that was made or refused, before it is begun
 * anew. The library waits for as long as the machine does, which is minutes, and for a name for ever.
 */
const LOOK_MS = 1_000;
const MAX_LOOKS = 5;

/** Server is one of those that a transport calls, with the connection to it. */
export class Server {
  readonly #arguments: ReturnType<typeof channelArguments>;
  #client: Client;
  #isClosed = false;
  /** True from when no connection could be made in time until there is one. */
  #isLost = false;
  /** Set while a connection is awaited. */
  #looking: NodeJS.Timeout | undefined;

  /** @throws Error if the settings contradict each other, or a file that they name cannot be read */
  constructor(address: string, settings: ChannelSettings) {
    this.#arguments = channelArguments(address, settings);
    this.#client = new Client(...this.#arguments);
  }

  /**
   * client is what a call is made with, which begins now.
   *
   * @internal
   */
  get client(): Client {
    this.#awaitConnection();
    return this.#client;
  }

  /** rank is lower of servers that can be reached, or were not tried, than of those that are being tried, and then of the lost. */
  get rank(): number {
    const state = this.#state;
    if (this.#isConnected) return 0;
    if (this.#isLost || state === connectivityState.TRANSIENT_FAILURE) return 2;
    return state === connectivityState.CONNECTING ? 1 : 0;
  }

  /** close fails the calls that wait for a connection. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#looking);
    this.#client.close();
  }

  get #isConnected(): boolean {
    return this.#state === connectivityState.READY;
  }

  get #state(): connectivityState {
    return this.#client.getChannel().getConnectivityState(false);
  }

  #awaitConnection(): void {
    if (this.#isClosed || this.#looking !== undefined || this.#isConnected) return;
    let looks = 0;
    this.#looking = setInterval(() => {
      looks = this.#state === connectivityState.TRANSIENT_FAILURE ? 0 : looks + 1;
      if (!this.#isConnected && looks < MAX_LOOKS) return;
      clearInterval(this.#looking);
      this.#looking = undefined;
      if (this.#isConnected) this.#isLost = false;
      else this.#connectAnew();
    }, LOOK_MS);
    this.#looking.unref();
  }

  /** connectAnew gives up a connection that was not made in time. Calls that wait for it fail, and were not sent. */
  #connectAnew(): void {
    this.#isLost = true;
    const late = this.#client;
    this.#client = new Client(...this.#arguments);
    this.#client.getChannel().getConnectivityState(true);
    this.#awaitConnection();
    late.close();
  }
}
