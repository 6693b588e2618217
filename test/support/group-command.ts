import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'vitest';
import { runKeyward, type CommandResult } from './keyward-command.js';
import { onTerminal } from './terminal.js';
import type { World } from './world.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** GroupCommand is `keyward secret` or `keyward token` against a world's service, as its superuser unless another token is given. */
export class GroupCommand {
  readonly world: World;
  readonly #group: 'secret' | 'token';

  constructor(world: World, group: 'secret' | 'token') {
    this.world = world;
    this.#group = group;
  }

  /** run runs a command to its end in this process, with what is on its standard input. */
  run(args: readonly string[], input = '', token = this.world.adminToken): Promise<CommandResult> {
    return runKeyward([this.#group, ...args], { env: this.#env(token), input });
  }

  /** done runs a command that must succeed without a word on standard error, and gives what it printed. */
  async done(args: readonly string[], input = '', token = this.world.adminToken): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input, token);
    expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
    return stdout;
  }

  /** json is what a command prints with --json. */
  async json(args: readonly string[], input = '', token = this.world.adminToken): Promise<unknown> {
    return JSON.parse(await this.done([...args, '--json'], input, token)) as unknown;
  }

  /** failed runs a command that must fail and print nothing, and gives what is on standard error. */
  async failed(args: readonly string[], input = '', token = this.world.adminToken): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, input, token);
    expect({ code, stdout }, args.join(' ')).toEqual({ code: 1, stdout: '' });
    return stderr;
  }

  /** bytes runs a command in a process of its own, which must succeed, and gives the bytes that it printed. */
  async bytes(args: readonly string[]): Promise<Buffer> {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, this.#group, ...args], {
      env: this.#env(this.world.adminToken),
      encoding: 'buffer',
    });
    return stdout;
  }

  /** onTerminal runs a command on a terminal, types the lines, and gives all that the terminal showed. */
  onTerminal(args: readonly string[], prompt?: string, typed = ''): Promise<string> {
    return onTerminal([this.#group, ...args], { env: this.#env(this.world.adminToken), prompt, typed });
  }

  #env(token: string): NodeJS.ProcessEnv {
    return { ...process.env, KEYWARD_SERVER: this.world.server.address, KEYWARD_TOKEN: token };
  }
}
