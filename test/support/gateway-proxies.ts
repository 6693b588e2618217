import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';

const EXAMPLES = new URL('../../deploy/gateways/', import.meta.url);
const START_LIMIT_MS = 20_000;

/** ProxyKind is a program that runs with the examples of deploy/gateways. */
export interface ProxyKind {
  readonly name: string;
  readonly program: string;
  /** The port of Keyward that it asks. */
  readonly asks: 'gRPC' | 'HTTP';
  /** Files of deploy/gateways, and what they are called where it runs; the first is its configuration. */
  readonly files: Readonly<Record<string, string>>;
  readonly arguments: (configuration: string) => readonly string[];
}

export const PROXIES: readonly ProxyKind[] = [
  {
    name: 'Envoy',
    program: process.env['KEYWARD_TEST_ENVOY'] ?? 'envoy',
    asks: 'gRPC',
    files: { 'envoy.yaml': 'envoy.yaml' },
    arguments: (file) => ['-c', file, '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'error'],
  },
  {
    name: 'nginx',
    program: 'nginx',
    asks: 'HTTP',
    files: {
      'nginx.conf': 'nginx.conf',
      'nginx-ask.conf': 'ask.conf',
      'nginx-identity.conf': 'identity.conf',
    },
    arguments: (file) => ['-c', file, '-e', 'stderr'],
  },
  {
    name: 'Caddy',
    program: 'caddy',
    asks: 'HTTP',
    files: { Caddyfile: 'Caddyfile' },
    arguments: (file) => ['run', '--adapter', 'caddyfile', '--config', file],
  },
];

/** isThere tells whether a program can be run here. */
export function isThere({ program }: ProxyKind): boolean {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined;
}

/** Upstream tells whoever asks which headers came with the request. */
export class Upstream {
  readonly port: number;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open(): Promise<Upstream> {
    const server = createServer(({ headers }, response) => {
      response.setHeader('content-type', 'application/json').end(JSON.stringify(headers));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return new Upstream(server);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  /** The headers that the upstream saw; undefined where the request did not come to it. */
  readonly seen: IncomingHttpHeaders | undefined;
  readonly text: string;
}

/** Proxy is one that runs. */
export class Proxy {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, port: number) {
    this.#child = child;
    this.#directory = directory;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** start starts it with its example, in which the names in capitals are replaced. */
  static async start(
    kind: ProxyKind,
    settings: { readonly keywardPort: number; readonly upstreamPort: number; readonly token: string },
  ): Promise<Proxy> {
    const directory = await mkdtemp(join(tmpdir(), 'keyward-gateway-'));
    const port = await freePort();
    const values: Readonly<Record<string, string>> = {
      GATEWAY_PORT: String(port),
      ADMIN_PORT: String(await freePort()),
      KEYWARD_PORT: String(settings.keywardPort),
      UPSTREAM_PORT: String(settings.upstreamPort),
      GATEWAY_TOKEN: settings.token,
      ACCESS_LOG: join(directory, 'access.log'),
      WORK_DIR: directory,
    };
    for (const [example, name] of Object.entries(kind.files)) {
      const text = await readFile(new URL(example, EXAMPLES), 'utf8');
      const filled = text.replace(/\b[A-Z]+_[A-Z]+\b/g, (word) => values[word] ?? word);
      await writeFile(join(directory, name), filled, { mode: 0o600 });
    }
    const [configuration = ''] = Object.values(kind.files);
    const env = { ...process.env, HOME: directory, XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory };
    const child = spawn(kind.program, kind.arguments(join(directory, configuration)), { stdio: 'pipe', env });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString().slice(0, 10_000)));
    const proxy = new Proxy(child, directory, port);
    const end = Date.now() + START_LIMIT_MS;
    while (!(await proxy.#isUp())) {
      if (child.exitCode === null && Date.now() < end) continue;
      await proxy.stop();
      throw new Error(`${kind.name} did not start: ${output}`);
    }
    return proxy;
  }

  async get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    const response = await fetch(this.url + path, { headers, signal: AbortSignal.timeout(START_LIMIT_MS) });
    const text = await response.text();
    const seen = response.status === 200 ? (JSON.parse(text) as IncomingHttpHeaders) : undefined;
    return { status: response.status, headers: response.headers, seen, text };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      await once(this.#child, 'exit');
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** #isUp waits a moment for a connection. */
  async #isUp(): Promise<boolean> {
    try {
      return (await this.get('/public')).status === 200;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
      return false;
    }
  }
}
