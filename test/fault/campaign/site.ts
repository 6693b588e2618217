import { setTimeout as delay } from 'node:timers/promises';
import { keepLog } from '../../support/run-log.js';
import { ServerProcess } from '../../support/server-process.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { freeLowPort } from '../../support/free-port.js';

export interface SiteOptions {
  readonly index: number;
  readonly databaseUrl: string;
  readonly maxStaleSeconds: number;
  /** False: it reaches the database directly, and cannot be cut off. */
  readonly isProxied: boolean;
  /** The program of its replicas; that of this checkout if not given. */
  readonly serverMain?: string | undefined;
}

const JOINED = ['subscribed to the change feed', 'the change feed has another epoch'];
const START_ATTEMPTS = 100;
const RETRY_MS = 200;
/** For a connection and for a statement. */
export const DATABASE_TIMEOUT_SECONDS = 2;

/** Site is a place for a replica: it keeps its port, and its ways to the database, through restarts. */
export class Site {
  readonly index: number;
  readonly port: number;
  /** The ways to the database: of the pool, and of the session that listens. */
  readonly pool: TcpProxy | undefined;
  readonly listen: TcpProxy | undefined;
  /** By which its listening session is known to the database. */
  readonly listenerName: string;
  /** When the replicas of this site began to follow changes, in milliseconds since 1970; told by those that ended. */
  readonly joins: number[] = [];
  /** By which those of its pool are. */
  readonly poolName: string;
  readonly #options: SiteOptions;
  #former = '';
  #server: ServerProcess | undefined;

  private constructor(options: SiteOptions, port: number, proxies: readonly TcpProxy[]) {
    this.index = options.index;
    this.port = port;
    [this.pool, this.listen] = proxies;
    this.listenerName = `listener-${options.index}`;
    this.poolName = `pool-${options.index}`;
    this.#options = options;
  }

  /** server is the replica, if it runs. */
  get server(): ServerProcess | undefined {
    return this.#server?.isRunning === true ? this.#server : undefined;
  }

  /** output is all that the replicas of this site wrote. */
  output(): string {
    return this.#former + (this.#server?.output() ?? '');
  }

  /** open starts the replica too. */
  static async open(options: SiteOptions): Promise<Site> {
    const proxies = options.isProxied
      ? await Promise.all([startTcpProxy(options.databaseUrl), startTcpProxy(options.databaseUrl)])
      : [];
    const site = new Site(options, await freeLowPort(), proxies);
    site.#server = await site.#launch();
    return site;
  }

  /** start waits until the replica serves; if the database is away, as long as that takes. */
  async start(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#server = await this.#launch();
        return;
      } catch (error) {
        if (attempt === START_ATTEMPTS) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  pause(): void {
    this.#server?.signal('SIGSTOP');
  }

  resume(): void {
    this.#server?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#end((server) => server.kill());
  }

  /** stop ends the replica in order. */
  async stop(): Promise<void> {
    await this.#end((server) => server.stop());
  }

  async close(): Promise<void> {
    await this.kill();
    await this.pool?.close();
    await this.listen?.close();
  }

  async #end(end: (server: ServerProcess) => Promise<unknown>): Promise<void> {
    if (this.#server?.isRunning !== true) return;
    await end(this.#server);
    const output = this.#server.output();
    this.#former += output;
    this.#server = undefined;
    keepLog(output);
    this.joins.push(...joinsIn(output));
  }

  #launch(): Promise<ServerProcess> {
    const { databaseUrl, maxStaleSeconds, serverMain } = this.#options;
    const listenUrl = named(this.listen?.url ?? databaseUrl, this.listenerName);
    const env = {
      DATABASE_LISTEN_URL: listenUrl,
      KEYWARD_LISTEN: `127.0.0.1:${this.port}`,
      KEYWARD_MAX_STALE_SECONDS: String(maxStaleSeconds),
      KEYWARD_DATABASE_TIMEOUT_SECONDS: String(DATABASE_TIMEOUT_SECONDS),
      KEYWARD_LOG_LEVEL: 'info',
    };
    return ServerProcess.start(named(this.pool?.url ?? databaseUrl, this.poolName), env, serverMain);
  }
}

/** named adds to a database's URL by what name its sessions are known. */
function named(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.searchParams.set('application_name', name);
  return url.href;
}

/** joinsIn finds when a replica began to follow changes, by what it logged. */
function joinsIn(output: string): number[] {
  const lines = output.split('\n').filter((line) => JOINED.some((text) => line.includes(text)));
  return lines.map((line) => Date.parse((JSON.parse(line) as { time: string }).time));
}
