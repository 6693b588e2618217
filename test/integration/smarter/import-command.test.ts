import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { createSmarterDatabase, type SmarterDatabase } from '../../support/smarter-source.js';

const ROOT = join(import.meta.dirname, '../../..');
const Counts = z.object({ counts: z.object({ token: z.object({ read: z.number(), created: z.number() }) }) });

let target: ImportTarget;
let source: SmarterDatabase;

beforeEach(async () => {
  target = await createImportTarget();
  source = await createSmarterDatabase();
});

afterEach(async () => {
  await target.drop();
  await source.drop();
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function keyward(args: readonly string[], from: string): Promise<Ended> {
  const env = { ...process.env, DATABASE_URL: target.url, KEYWARD_IMPORT_FROM: from };
  return new Promise((resolve) => {
    const program = [join(ROOT, 'src/cli/main.ts'), 'import-smarter', ...args];
    const child = execFile(
      process.execPath,
      ['--import', 'tsx', ...program],
      { cwd: ROOT, env },
      (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test('the command takes its source from the environment and prints the report', async () => {
  const dry = await keyward(['--dry-run', '--json'], source.url);
  expect(dry).toMatchObject({ code: 0, stderr: '' });
  const { token } = Counts.parse(JSON.parse(dry.stdout)).counts;
  expect(token.created).toBe(token.read);
  expect((await target.tokens()).size).toBe(0);

  const real = await keyward([], source.url);
  expect(real).toMatchObject({ code: 0, stderr: '' });
  expect(real.stdout).toMatch(/^tokens +51 +51 +0 +0 +0 +0$/m);
  expect((await target.tokens()).size).toBe(token.read);
});

test.each([
  ['postgres://reader:s3cr%2Ft@127.0.0.1:1/smarter'],
  ['mysql://reader:s3cr%2Ft@127.0.0.1:1/smarter'],
  ['mysql://reader:s3cr%2Ft@[broken/smarter'],
  ['oracle://reader:s3cr%2Ft@127.0.0.1/smarter'],
])('a source that cannot be read ends the command with one line, without the password: %s', async (url) => {
  const { code, stdout, stderr } = await keyward([], url);

  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^keyward: .+\n$/);
  expect(stderr).not.toContain('s3cr');
});
