import { fork, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ClientCommand, ClientOptions, ClientReport, Known } from './commands.js';
import type { Said } from './said.js';

const MAIN = fileURLToPath(new URL('client-main.ts', import.meta.url));
/** In which it tells the last of what it was answered. */
const FINISH_LIMIT_MS = 15_000;

/** ClientProcess is a process that validates in its own memory. */
export class ClientProcess {
  readonly #child: ChildProcess;
  readonly #output: Buffer[] = [];
  readonly #onSaid: (said: readonly Said[]) => void;
  #onHeld: (held: number) => void = () => undefined;
  #isMeantToEnd = false;

  private constructor(child: ChildProcess, onSaid: (said: readonly Said[]) => void) {
    this.#child = child;
    this.#onSaid = onSaid;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => this.#output.push(chunk));
    child.on('exit', () => this.#onHeld(0));
    child.on('message', (report: ClientReport) => this.#take(report));
  }

  /** start starts the command of a program in another language, if one is given, that speaks as `client-main.ts` does in lines of JSON. */
  static async start(
    options: ClientOptions,
    onSaid: (said: readonly Said[]) => void,
    program?: string,
  ): Promise<ClientProcess> {
    const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'ipc'];
    const [command, ...args] = program?.split(' ') ?? [];
    const child =
      command === undefined
        ? fork(MAIN, { execArgv: ['--import', 'tsx'], stdio, serialization: 'advanced' })
        : spawn(command, args, { stdio, serialization: 'json' });
    const client = new ClientProcess(child, onSaid);
    const ended = once(child, 'exit').then(() => {
      throw new Error(`a client did not start: ${client.#text()}`);
    });
    client.tell({ open: options });
    await Promise.race([once(child, 'message'), ended]);
    // From here on its end is `failure`'s to tell.
    ended.catch(() => undefined);
    return client;
  }

  /** failure is what it wrote, if it has ended by itself. */
  get failure(): string | undefined {
    return this.#isRunning || this.#isMeantToEnd ? undefined : `it ended: ${this.#text()}`;
  }

  tell(command: ClientCommand): void {
    if (this.#child.connected) this.#child.send(command);
  }

  /** held counts those that are in its memory. */
  held(known: readonly Known[]): Promise<number> {
    return new Promise((resolve) => {
      this.#onHeld = resolve;
      this.tell({ count: known });
      if (!this.#isRunning) resolve(0);
    });
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.#isMeantToEnd = true;
    if (!this.#isRunning) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** finish lets it tell all that it was answered, and end. */
  async finish(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isMeantToEnd = true;
    const limit = setTimeout(() => this.#child.kill('SIGKILL'), FINISH_LIMIT_MS);
    const exited = once(this.#child, 'exit');
    this.tell({ finish: true });
    await exited;
    clearTimeout(limit);
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #take(report: ClientReport): void {
    if ('said' in report) this.#onSaid(report.said);
    else if ('held' in report) this.#onHeld(report.held);
  }

  #text(): string {
    return Buffer.concat(this.#output).toString();
  }
}
