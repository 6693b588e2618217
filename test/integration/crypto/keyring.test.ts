import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openKeyring } from '../../../src/cli/keyring.js';
import { loadConfig } from '../../../src/config.js';
import { FernetKey } from '../../../src/crypto/fernet.js';
import type { Keyring } from '../../../src/crypto/keyring.js';
import { fernetKey } from '../../support/fernet-vectors.js';

const DATABASE_URL = 'postgres://keyward@db/keyward';
const KEYS = [FernetKey.generate(), FernetKey.generate(), FernetKey.generate()];
const [FIRST = '', SECOND = '', THIRD = ''] = KEYS;

let directory: string;
let dataDir: string;
let embeddedFile: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-keyring-'));
  dataDir = join(directory, 'data');
  embeddedFile = join(dataDir, 'fernet-keys');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function open(env: Record<string, string>): Promise<Keyring> {
  return openKeyring(loadConfig({ KEYWARD_DATA_DIR: dataDir, ...env }));
}

function ids(...keys: string[]): string[] {
  return keys.map((text) => fernetKey(text).id);
}

async function fileOf(text: string): Promise<string> {
  const file = join(directory, 'keys');
  await writeFile(file, text);
  return file;
}

describe('with a database of your own', () => {
  test('the keys of the environment are the ring, in their order', async () => {
    const { keyIds, primaryId } = await open({ DATABASE_URL, KEYWARD_FERNET_KEYS: `${FIRST}, ${SECOND}` });
    expect(keyIds).toEqual(ids(FIRST, SECOND));
    expect(primaryId).toBe(ids(FIRST)[0]);
  });

  test.each([
    ['one a line', `${FIRST}\n\n${SECOND}\r\n${THIRD}\n`],
    ['separated by commas', `${FIRST},${SECOND},${THIRD}`],
  ])('the keys of a file are the ring: %s', async (_, text) => {
    const KEYWARD_FERNET_KEYS_FILE = await fileOf(text);
    expect((await open({ DATABASE_URL, KEYWARD_FERNET_KEYS_FILE })).keyIds).toEqual(ids(...KEYS));
  });

  test('without a key nothing starts, and none is invented', async () => {
    await expect(open({ DATABASE_URL })).rejects.toThrow(
      'KEYWARD_FERNET_KEYS or KEYWARD_FERNET_KEYS_FILE must be set with DATABASE_URL',
    );
    expect(await readdir(directory)).toEqual([]);
  });

  test.each([
    ['malformed', `${FIRST}\ncanary-key\n`, /number 2 is none$/],
    ['empty', '\n', /^the file of KEYWARD_FERNET_KEYS_FILE must hold a key$/],
  ])('a %s file is refused, without showing what is in it', async (_, text, message) => {
    const opened = open({ DATABASE_URL, KEYWARD_FERNET_KEYS_FILE: await fileOf(text) });
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.not.toThrow(/canary/);
  });

  test('a file that cannot be read is refused', async () => {
    const opened = open({ DATABASE_URL, KEYWARD_FERNET_KEYS_FILE: join(directory, 'absent') });
    await expect(opened).rejects.toThrow('the file of KEYWARD_FERNET_KEYS_FILE cannot be read: ENOENT');
  });

  test.each([0o660, 0o602, 0o666])('a file that others can change is refused: %o', async (mode) => {
    const file = await fileOf(FIRST);
    await chmod(file, mode);
    const opened = open({ DATABASE_URL, KEYWARD_FERNET_KEYS_FILE: file });
    await expect(opened).rejects.toThrow('KEYWARD_FERNET_KEYS_FILE can be changed by others');
  });

  test.each([
    [0o644, 1],
    [0o444, 1],
    [0o440, 0],
    [0o400, 0],
    [0o600, 0],
  ])(
    'a file as orchestrators mount it is used, with a warning if all can read it: %o',
    async (mode, warnings) => {
      const file = await fileOf(FIRST);
      await chmod(file, mode);
      const mounted = join(directory, 'mounted');
      await symlink(file, mounted);
      const lines: string[] = [];
      const config = loadConfig({ DATABASE_URL, KEYWARD_FERNET_KEYS_FILE: mounted });
      expect((await openKeyring(config, (line) => lines.push(line))).keyIds).toEqual(ids(FIRST));
      expect(lines).toHaveLength(warnings);
    },
  );
});

describe('in embedded mode', () => {
  test('a key is made once, for this user alone, and kept', async () => {
    const { keyIds } = await open({});
    expect(keyIds).toEqual(ids(await readFile(embeddedFile, 'utf8')));
    expect((await stat(embeddedFile)).mode & 0o777).toBe(0o600);
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
    expect((await open({})).keyIds).toEqual(keyIds);
  });

  test('processes that start at the same time agree on the key, and leave nothing else behind', async () => {
    const rings = await Promise.all(Array.from({ length: 20 }, () => open({})));
    expect(new Set(rings.map(({ primaryId }) => primaryId)).size).toBe(1);
    expect(await readdir(dataDir)).toEqual(['fernet-keys']);
  });

  test('keys of the environment come first, and those of the data directory still decrypt', async () => {
    const { primaryId: embedded } = await open({});
    const { keyIds } = await open({ KEYWARD_FERNET_KEYS: `${FIRST},${SECOND}` });
    expect(keyIds).toEqual([...ids(FIRST, SECOND), embedded]);
  });

  test('a key file that others can read, or that is a link, is not used, nor is a directory that others can change', async () => {
    await open({});
    await chmod(embeddedFile, 0o640);
    await expect(open({})).rejects.toThrow(`run "chmod 600 ${embeddedFile}"`);
    await rm(embeddedFile);
    await symlink(await fileOf(FIRST), embeddedFile);
    await expect(open({})).rejects.toThrow(`${embeddedFile} is no regular file`);
    await rm(embeddedFile);
    await chmod(dataDir, 0o770);
    await expect(open({})).rejects.toThrow(`run "chmod go-w ${dataDir}"`);
    expect(await readdir(dataDir)).toEqual([]);
  });

  test('no key is made where the environment has one', async () => {
    expect((await open({ KEYWARD_FERNET_KEYS: FIRST })).keyIds).toEqual(ids(FIRST));
    await expect(readFile(embeddedFile)).rejects.toThrow('ENOENT');
  });

  test.each([
    ['damaged', 'canary-key\n', / must be Fernet keys, .*number 1 is none$/],
    ['empty', '', / must hold a key$/],
  ])('a %s key file is refused, never replaced', async (_, text, message) => {
    await open({});

    await writeFile(embeddedFile, text);
    const opened = open({});
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(embeddedFile);
    await expect(opened).rejects.not.toThrow(/canary/);
    expect(await readFile(embeddedFile, 'utf8')).toBe(text);
  });
});
