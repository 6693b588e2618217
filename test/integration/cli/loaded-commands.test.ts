import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const RUN = new URL('../../../dist/cli/run.js', import.meta.url).href;
/** Runs a command of the compiled program, and prints which packages it loaded that are CommonJS. */
const SCRIPT = `
  import { createRequire } from 'node:module';
  const { run } = await import('${RUN}');
  const nowhere = { write: () => undefined };
  await run(process.argv.slice(1), { env: {}, stdin: process.stdin, stdout: nowhere, stderr: nowhere });
  const files = Object.keys(createRequire('${RUN}').cache);
  const names = files.map((file) => /.*\\/node_modules\\/((@[^/]+\\/)?[^/]+)/.exec(file)?.[1]);
  console.log(JSON.stringify([...new Set(names)]));`;

async function loadedBy(...args: string[]): Promise<unknown> {
  const flags = ['--input-type=module', '--eval', SCRIPT, '--', ...args];
  return JSON.parse((await promisify(execFile)(process.execPath, flags)).stdout) as unknown;
}

test.each(['--help', '--version'])('keyward %s loads no command', async (option) => {
  expect(await loadedBy(option)).toEqual(['commander']);
});

test.each(['health', 'validate x', 'token get x', 'secret get x', 'get user x', 'diff -f /dev/null'])(
  'keyward %s loads no database driver and no logger',
  async (command) => {
    const loaded = await loadedBy(...command.split(' '), '--server', '127.0.0.1:1');
    expect(loaded).toContain('@grpc/grpc-js');
    for (const name of ['knex', 'pg', 'mysql2', 'pino']) expect(loaded).not.toContain(name);
  },
);

test('keyward migrate does', async () => {
  expect(await loadedBy('migrate', '--help')).toEqual(expect.arrayContaining(['knex', 'pg']));
});
