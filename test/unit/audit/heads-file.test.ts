import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HeadsFile } from '../../../src/audit/heads-file.js';
import { readHeads, writeHeads } from '../../../src/cli/audit-heads.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { ManualClock } from '../../support/manual-clock.js';

const [A, B] = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'] as const;

let directory: string;
let path: string;
let warnings: string[];
let failures: number;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-heads-'));
  path = join(directory, 'heads');
  warnings = [];
  failures = 0;
});

afterEach(() => rm(directory, { recursive: true }));

function open(file = path): Promise<HeadsFile> {
  return HeadsFile.open({
    path: file,
    clock: new ManualClock(Date.UTC(2026, 0, 31)),
    logger: createLogger('warn', { write: (line) => warnings.push(line) }),
    onFailure: () => (failures += 1),
  });
}

const headAt = (seq: bigint) => ({ seq, mac: Buffer.alloc(32, Number(seq)) });

test('a line is written for what changed since the last one, and none where nothing did', async () => {
  const file = await open();
  await file.flush();
  expect(await readFile(path, 'utf8')).toBe('');
  file.note(A, headAt(1n));
  file.note(A, headAt(3n));
  file.note(A, headAt(2n));
  file.note(B, headAt(1n));
  await file.flush();
  await file.flush();
  file.note(B, headAt(2n));
  await file.stop();
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    {
      version: 1,
      time: '2026-01-31T00:00:00.000Z',
      heads: [
        { chain: A, seq: '3', mac: '03'.repeat(32) },
        { chain: B, seq: '1', mac: '01'.repeat(32) },
      ],
    },
    { version: 1, time: '2026-01-31T00:00:00.000Z', heads: [{ chain: B, seq: '2', mac: '02'.repeat(32) }] },
  ]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('several processes share a file, which may be moved away', async () => {
  const files = await Promise.all([open(), open(), open()]);
  for (let seq = 1n; seq <= 20n; seq += 1n) {
    for (const file of files) file.note(A, headAt(seq));
    await Promise.all(files.map((file) => file.flush()));
    if (seq === 10n) await rename(path, `${path}.1`);
  }
  expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toHaveLength(30);
  expect(await readHeads([`${path}.1`])).toEqual([{ chain: A, ...headAt(10n) }]);
  expect(await readHeads([path, `${path}.1`])).toEqual([{ chain: A, ...headAt(20n) }]);
});

test('a file that cannot be written keeps the service from starting, with the reason', async () => {
  await expect(open(join(directory, 'missing', 'heads'))).rejects.toThrow(
    /^KEYWARD_AUDIT_HEADS_FILE cannot be written: ENOENT/,
  );
});

test('a file that cannot be written later is told once, counted, and written when that is over', async () => {
  const within = join(directory, 'mounted');
  const moved = join(directory, 'away');
  await mkdir(within);
  const file = await open(join(within, 'heads'));
  await rename(within, moved);
  file.note(A, headAt(1n));
  await file.flush();
  file.note(A, headAt(2n));
  await file.flush();
  expect([warnings.length, failures]).toEqual([1, 2]);
  await rename(moved, within);
  await file.stop();
  expect(await readHeads([join(within, 'heads')])).toEqual([{ chain: A, ...headAt(2n) }]);
});

test('what is kept for later has a bound', async () => {
  const file = await open();
  for (let count = 0; count < 500; count += 1) {
    file.note(`00000000-0000-4000-8000-${String(count).padStart(12, '0')}`, headAt(1n));
  }
  await file.stop();
  expect(await readHeads([path])).toHaveLength(100);
});

describe('heads are read', () => {
  test('as they were saved', async () => {
    const heads = [{ chain: A, ...headAt(7n) }];
    await writeHeads(path, heads);
    expect(await readHeads([path])).toEqual(heads);
  });

  test('as earlier versions saved them', async () => {
    const heads = [{ chain: A, seq: '7', mac: '07'.repeat(32) }];
    await writeFile(path, `${JSON.stringify({ version: 1, heads }, undefined, 2)}\n`);
    expect(await readHeads([path])).toEqual([{ chain: A, ...headAt(7n) }]);
  });

  test('without a last line that is just being written', async () => {
    await writeHeads(path, [{ chain: A, ...headAt(7n) }]);
    await writeFile(path, '{"version":1,"ti', { flag: 'a' });
    expect(await readHeads([path])).toEqual([{ chain: A, ...headAt(7n) }]);
  });

  test('not from a file with a damaged line, whose number is told', async () => {
    await writeHeads(path, [{ chain: A, ...headAt(7n) }]);
    await writeFile(path, 'x\n{}\n', { flag: 'a' });
    await expect(readHeads([path])).rejects.toThrow(`${path}, line 2: no heads of the audit log`);
  });
});
