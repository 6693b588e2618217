import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PYTHON, pythonHas } from './python.js';

const MAIN = fileURLToPath(new URL('../django/platform_main.py', import.meta.url));
const MODULES = ['django', 'rest_framework', 'knox', 'taggit', 'cryptography.fernet', 'psycopg', 'pymysql'];

/** hasDjango tells whether there is a Python with all that a platform runs on. */
export function hasDjango(): boolean {
  return pythonHas(...MODULES);
}

/** DjangoAnswer is what an operation gives. One that the platform refuses has `refused`, and changed nothing. */
export type DjangoAnswer = Readonly<Record<string, unknown>> & {
  readonly refused?: string;
  readonly why?: string;
};

/** DjangoPlatform is a platform of real Django, in a process of its own: test/django/platform_main.py has its operations. */
export class DjangoPlatform {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;
  #errors = '';
  /** Operations go one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(databaseUrl: string, fernetKey: string) {
    this.#child = spawn(PYTHON, [MAIN], {
      env: { ...process.env, PLATFORM_DATABASE: databaseUrl, SMARTER_FERNET_ENCRYPTION_KEY: fernetKey },
    });
    this.#child.stderr.on('data', (chunk: Buffer) => (this.#errors += chunk.toString()));
    this.#answers = createInterface(this.#child.stdout)[Symbol.asyncIterator]();
  }

  run(operation: string, args: Readonly<Record<string, unknown>> = {}): Promise<DjangoAnswer> {
    const answer = this.#last.then(() => this.#ask({ operation, ...args }));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.stdin.end();
    await ended;
  }

  async #ask(request: object): Promise<DjangoAnswer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const next: IteratorResult<string, unknown> = await this.#answers.next();
    if (next.done === true) throw new Error(`the platform ended: ${this.#errors}`);
    return JSON.parse(next.value) as DjangoAnswer;
  }
}
