import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { TEST_KEY } from './keyring.js';

const MAIN = fileURLToPath(new URL('server-process-main.mjs', import.meta.url));

/** ServerProcess is the service, compiled, in a process of its own. */
export class ServerProcess {
  readonly port: number;
  readonly #child: ChildProcess;
  readonly #output: Buffer[];

  private constructor(child: ChildProcess, port: number, output: Buffer[]) {
    this.#child = child;
    this.port = port;
    this.#output = output;
  }

  static async start(
    databaseUrl: string,
    env: Readonly<Record<string, string>> = {},
    main = MAIN,
  ): Promise<ServerProcess> {
    const child = fork(main, {
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {
        ...process.env,
        DATABASE_URL: databaseUrl,
        KEYWARD_FERNET_KEYS: TEST_KEY,
        KEYWARD_LISTEN: '127.0.0.1:0',
        ...env,
      },
    });
    const output: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => output.push(chunk));
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the service did not start: ${Buffer.concat(output).toString()}`);
    });
    const [message] = (await Promise.race([once(child, 'message'), ended])) as [{ port: number }];
    ended.catch(() => undefined); // From here on its end is `isRunning`'s to tell.
    return new ServerProcess(child, message.port, output);
  }

  /** host:port it listens on. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** output is everything it wrote. */
  output(): string {
    return Buffer.concat(this.#output).toString();
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('it did not start');
    return this.#child.pid;
  }

  /** memory is what it holds after a collection, in bytes. */
  async memory(): Promise<number> {
    return (await this.held()).resident;
  }

  /** held is that too, and how much of it is in use. */
  async held(): Promise<{ readonly memory: number; readonly resident: number }> {
    this.#child.send('memory');
    const [{ memory, used }] = (await once(this.#child, 'message')) as [{ memory: number; used: number }];
    return { memory: used, resident: memory };
  }

  /** signal stops the process for a while, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** dumpHeap makes a file of all that it holds after a collection. */
  async dumpHeap(file: string): Promise<void> {
    this.#child.send(`heap ${file}`);
    await once(this.#child, 'message');
  }

  /** kill ends it as a crash would, at once. */
  async kill(): Promise<void> {
    if (!this.isRunning) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }

  /** stop lets it end in order and gives its exit status. */
  async stop(): Promise<number | null> {
    if (!this.isRunning) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.send('stop');
    await exited;
    return this.#child.exitCode;
  }
}
