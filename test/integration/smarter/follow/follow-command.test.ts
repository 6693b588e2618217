import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createImportTarget, type ImportTarget } from '../../../support/import-target.js';
import { runKeyward, startKeyward, type Started } from '../../../support/keyward-command.js';
import { addKey } from '../../../support/smarter-platform.js';
import {
  createSmarterDatabase,
  keysOf,
  readExpected,
  type SmarterDatabase,
} from '../../../support/smarter-source.js';

const PATIENCE = { timeout: 30_000, interval: 50 };

let source: SmarterDatabase;
let target: ImportTarget;
let env: NodeJS.ProcessEnv;
let follower: Started | undefined;

beforeEach(async () => {
  source = await createSmarterDatabase();
  target = await createImportTarget();
  env = {
    DATABASE_URL: target.url,
    KEYWARD_FERNET_KEYS: keysOf(await readExpected()).join(),
    KEYWARD_IMPORT_FROM: source.url,
  };
});

afterEach(async () => {
  follower?.signal('SIGKILL');
  await follower?.ended;
  await target.drop();
  await source.drop();
});

test('the command tells what it writes, shows metrics, and ends in order', async () => {
  const args = ['import-smarter', '--follow', '--json', '--metrics-listen', '127.0.0.1:0'];
  const running = (follower = startKeyward(args, { env }));
  await vi.waitFor(() => expect(running.stderr()).toContain('in step'), PATIENCE);
  const address = /health and metrics on (\S+)/.exec(running.stderr())?.[1] ?? '';
  expect((await fetch(`http://${address}/readyz`)).status).toBe(200);
  await addKey(source, 2, 2, 'made while it follows');
  await vi.waitFor(() => expect(running.stdout().trim().split('\n')).toHaveLength(2), PATIENCE);
  const line = running.stdout().trim().split('\n').at(-1) ?? '';
  expect(JSON.parse(line)).toMatchObject({ counts: { token: { created: 1 } }, notes: [], notesLeftOff: 0 });

  const metrics = await (await fetch(`http://${address}/metrics`)).text();
  expect(metrics).toContain('keyward_follow_active{direction="import"} 1');
  expect(metrics).toMatch(/keyward_follow_lag_seconds\{direction="import"\} \d/);
  expect(metrics).toMatch(
    /keyward_follow_rows_total\{kind="token",outcome="created",direction="import"\} \d/,
  );
  running.signal('SIGTERM');
  expect((await running.ended).code).toBe(0);
  // The address alone, and never the source's password, is told.
  expect(running.stderr()).not.toContain(source.url);
}, 60_000);

test.each([
  [['--interval', '10'], 'from 50 to 60000'],
  [['--metrics-listen', 'nowhere'], '<host>:<port>'],
  [['--dry-run'], 'exclude each other'],
])('it refuses %j', async (more, why) => {
  const { code, stderr } = await runKeyward(['import-smarter', '--follow', ...more], { env });
  expect(code).not.toBe(0);
  expect(stderr).toContain(why);
});
