import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface OnTerminalOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What is typed when the terminal shows the prompt. */
  readonly prompt?: string | undefined;
  readonly typed?: string;
}

/** onTerminal runs a command on a terminal, and gives all that the terminal showed. `script` is util-linux's. */
export async function onTerminal(
  args: readonly string[],
  { env, prompt, typed = '' }: OnTerminalOptions,
): Promise<string> {
  const words = [process.execPath, MAIN, ...args].map((word) => `'${word}'`);
  const child = spawn('script', ['--quiet', '--command', words.join(' '), '/dev/null'], { env });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => {
    if (prompt !== undefined && !shown.includes(prompt) && (shown + chunk.toString()).includes(prompt)) {
      child.stdin.write(typed);
    }
    shown += chunk.toString();
  });
  await once(child, 'close');
  return shown;
}
