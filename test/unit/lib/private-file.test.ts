import { chmod, chown, link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  makePrivateDirectory,
  NotPrivateError,
  readPrivately,
  writePrivately,
} from '../../../src/lib/private-file.js';

const isRoot = process.getuid?.() === 0;
const OTHER = 65534;

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-private-'));
  file = join(directory, 'file');
  await writeFile(file, 'content', { mode: 0o600 });
});

afterEach(() => rm(directory, { recursive: true }));

describe('a private file', () => {
  test('is read, and one that is absent is undefined', async () => {
    expect(readPrivately(file)).toBe('content');
    await chmod(file, 0o400);
    expect(readPrivately(file)).toBe('content');
    expect(readPrivately(join(directory, 'absent'))).toBeUndefined();
  });

  test.each([0o640, 0o604, 0o620, 0o602, 0o666])(
    'is not used if others have a part in it: %o',
    async (mode) => {
      await chmod(file, mode);
      expect(() => readPrivately(file)).toThrow(`run "chmod 600 ${file}"`);
    },
  );

  test.skipIf(!isRoot)('is not used if it belongs to somebody else (only root can test this)', async () => {
    await chown(file, OTHER, OTHER);
    expect(() => readPrivately(file)).toThrow(`${file} is not used: it belongs to uid ${OTHER}`);
  });

  test('is not used by way of a symbolic link, nor if it is a directory or a socket', async () => {
    await symlink(file, join(directory, 'link'));
    await mkdir(join(directory, 'folder'));
    const server = createServer().listen(join(directory, 'socket'));
    await once(server, 'listening');
    for (const name of ['link', 'folder', 'socket']) {
      expect(() => readPrivately(join(directory, name))).toThrow(NotPrivateError);
    }
    server.close();
  });

  test('is replaced as a whole, and keeps nothing of a wider mode or of another name', async () => {
    await chmod(file, 0o666);
    await link(file, join(directory, 'other-name'));
    await writePrivately(file, 'new');
    expect(readPrivately(file)).toBe('new');
    expect((await stat(join(directory, 'other-name'))).size).toBe('content'.length);
    expect((await readdir(directory)).sort()).toEqual(['file', 'other-name']);
  });
});

describe('a private directory', () => {
  test('is made for its owner alone, parents included', async () => {
    const made = join(directory, 'a', 'b');
    await makePrivateDirectory(made);
    for (const each of [made, join(directory, 'a')]) expect((await stat(each)).mode & 0o777).toBe(0o700);
  });

  test.each([0o700, 0o755, 0o750])('is used where others may at most look: %o', async (mode) => {
    await chmod(directory, mode);
    await expect(makePrivateDirectory(directory)).resolves.toBeUndefined();
  });

  test.each([0o770, 0o775, 0o707, 0o1777])('is not used where others may write: %o', async (mode) => {
    await chmod(directory, mode);
    await expect(makePrivateDirectory(directory)).rejects.toThrow(`run "chmod go-w ${directory}"`);
  });

  test.skipIf(!isRoot)('is not used if it belongs to somebody else (only root can test this)', async () => {
    await chown(directory, OTHER, OTHER);
    await expect(makePrivateDirectory(directory)).rejects.toThrow(`belongs to uid ${OTHER}`);
  });

  test('is not a file', async () => {
    await expect(makePrivateDirectory(join(file, 'x'))).rejects.toThrow();
  });
});
