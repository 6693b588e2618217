import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.js';
import { PYTHON, pythonHas } from './python.js';

const PROJECT = dirname(fileURLToPath(new URL('../django/web.py', import.meta.url)));
const START_LIMIT_MS = 30_000;
const ANSWER_LIMIT_MS = 10_000;
const MODULES = ['gunicorn', 'uvicorn', 'keyward.django', 'knox', 'taggit', 'cryptography.fernet', 'psycopg'];
const GUNICORN = ['gunicorn', 'web:application', '--workers', '4', '--preload', '--bind'];

/** WEB_SERVERS are the commands, less the port, of what serves a project of Django, and how many processes do so. */
export const WEB_SERVERS = {
  gunicorn: { processes: 4, command: (port: number) => [...GUNICORN, `127.0.0.1:${port}`] },
  uvicorn: { processes: 1, command: (port: number) => ['uvicorn', 'web:asgi', '--port', String(port)] },
} as const;
export type WebServer = keyof typeof WEB_SERVERS;

/** hasWeb tells whether there is a Python with all that the project needs, and the client for Python. */
export function hasWeb(): boolean {
  return pythonHas(...MODULES);
}

export interface WebAnswer {
  /** 0 where nothing answered. */
  readonly status: number;
  readonly body: string;
}

/** DjangoWeb is a platform's project of real Django, served: test/django/web.py has its views. */
export class DjangoWeb {
  readonly port: number;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(port: number, child: ChildProcess) {
    this.port = port;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output += chunk.toString()));
  }

  static async start(server: WebServer, env: NodeJS.ProcessEnv): Promise<DjangoWeb> {
    const port = await freePort();
    const child = spawn(PYTHON, ['-m', ...WEB_SERVERS[server].command(port)], {
      cwd: PROJECT,
      env: { ...process.env, ...env },
    });
    const web = new DjangoWeb(port, child);
    const until = performance.now() + START_LIMIT_MS;
    while ((await web.get('open')).status !== 200) {
      if (child.exitCode !== null || performance.now() > until)
        throw new Error(`the project is not served: ${web.#output}`);
      await delay(50);
    }
    return web;
  }

  /** pid is of the process that was started; those that serve may be its children. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** get sends a key exactly as it is given, also where no HTTP client would. */
  async get(path: string, key?: string): Promise<WebAnswer> {
    const socket = connect(this.port, '127.0.0.1');
    const authorization = key === undefined ? '' : `authorization: Token ${key}\r\n`;
    socket.setTimeout(ANSWER_LIMIT_MS, () => socket.destroy());
    socket.write(`GET /${path} HTTP/1.0\r\nhost: shop\r\n${authorization}\r\n`);
    const answer = await textOf(socket).catch(() => '');
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    return { status: Number(head.split(' ')[1] ?? 0), body };
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await ended;
  }
}
