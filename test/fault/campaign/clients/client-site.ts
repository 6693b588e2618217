import { startTcpProxy, type TcpProxy } from '../../../support/tcp-proxy.js';
import type { Recorder } from '../history.js';
import { ClientProcess } from './client-process.js';
import type { ClientCommand, ClientOptions, Known } from './commands.js';
import type { Said } from './said.js';

export interface ClientSiteOptions extends Omit<ClientOptions, 'servers' | 'label' | 'seed'> {
  readonly index: number;
  /** Command of a program in another language; that of Node.js if not given. */
  readonly program?: string | undefined;
  /** Of the replicas. */
  readonly ports: readonly number[];
  readonly recorder: Recorder;
  readonly seed: number;
}

/** ClientSite is a place for a client: it keeps its ways to the replicas, and what it asks for, when it is restarted. */
export class ClientSite {
  readonly index: number;
  /** Its way to each replica. */
  readonly ways: readonly TcpProxy[];
  readonly #options: ClientSiteOptions;
  #known: readonly Known[] = [];
  #starts = 0;
  #client: ClientProcess | undefined;

  private constructor(options: ClientSiteOptions, ways: readonly TcpProxy[]) {
    this.index = options.index;
    this.ways = ways;
    this.#options = options;
  }

  /** open starts the client too. */
  static async open(options: ClientSiteOptions): Promise<ClientSite> {
    const ways = await Promise.all(options.ports.map((port) => startTcpProxy(`tcp://127.0.0.1:${port}`)));
    const site = new ClientSite(options, ways);
    await site.start();
    return site;
  }

  async start(): Promise<void> {
    const { index, seed, ports: _, recorder, program, ...options } = this.#options;
    this.#starts += 1;
    const servers = this.ways.map(({ url }) => new URL(url).host);
    const process = { ...options, servers, label: `client-${index}`, seed: seed + 1_000 * this.#starts };
    const onSaid = (said: readonly Said[]): void => {
      for (const each of said) record(each, index, recorder);
    };
    this.#client = await ClientProcess.start(process, onSaid, program);
    this.know(this.#known);
  }

  /** failure is why it runs no more, if it ended by itself. */
  get failure(): string | undefined {
    return this.#client?.failure;
  }

  know(known: readonly Known[]): void {
    this.#known = known;
    this.tell({ know: known });
  }

  tell(command: ClientCommand): void {
    this.#client?.tell(command);
  }

  async held(known: readonly Known[]): Promise<number> {
    return (await this.#client?.held(known)) ?? 0;
  }

  pause(): void {
    this.#client?.signal('SIGSTOP');
  }

  resume(): void {
    this.#client?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#client?.kill();
  }

  async finish(): Promise<void> {
    await this.#client?.finish();
  }

  async close(): Promise<void> {
    await this.kill();
    for (const way of this.ways) await way.close();
  }
}

/** record writes down the first and the last answer of a stretch: the first stands for all but the last. */
function record(
  { credential, isFromMemory, answer, spans, count }: Said,
  client: number,
  recorder: Recorder,
): void {
  for (const [at, { startedAt, endedAt }] of spans.entries()) {
    const isLast = at === spans.length - 1;
    recorder.validatedByClient({
      client,
      credential,
      isFromMemory,
      answer,
      startedAt: recorder.ofMachine(startedAt),
      endedAt: recorder.ofMachine(endedAt),
      count: isLast && spans.length > 1 ? 1 : count - (spans.length - 1),
    });
  }
}
