import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GroupCommand } from '../../support/group-command.js';
import { newValue, textOf, World } from '../../support/world.js';

const LARGEST = 65_536;
/** The `script` that gives a terminal to a command is util-linux's. */
const withTerminal = test.skipIf(process.platform !== 'linux');

let world: World;
let secret: GroupCommand;
let directory: string;

beforeAll(async () => {
  world = await World.create();
  secret = new GroupCommand(world, 'secret');
  directory = await mkdtemp(join(tmpdir(), 'keyward-secret-'));
});

afterAll(async () => {
  await world.close();
  await rm(directory, { recursive: true });
});

/** isThere tells whether there is a secret of that name. */
async function isThere(name: string): Promise<boolean> {
  const { secrets } = await world.admin.secrets.listSecrets({ filter: `name = "${name}"` });
  return secrets.length > 0;
}

describe('set', () => {
  test('makes a secret, then adds a version to it, and says which', async () => {
    const name = world.newName();
    expect(await secret.done(['set', name], newValue())).toMatch(/^Made secret-r[\w-]+x, version 1\.\n$/);
    const second = newValue();
    expect(await secret.done(['set', name], second)).toBe('Added version 2.\n');
    expect(await secret.done(['access', name])).toBe(second);
  });

  test('with --json says the same', async () => {
    const name = world.newName();
    const recordLocator = expect.stringMatching(/^secret-r[\w-]+x$/) as string;
    expect(await secret.json(['set', name], 'a')).toEqual({ created: true, version: 1, recordLocator });
    expect(await secret.json(['set', name], 'b')).toEqual({ created: false, version: 2 });
  });

  test('keeps the settings that are given, of a new secret and of one that there is', async () => {
    const name = world.newName();
    const settings = [
      '--description',
      'the shop',
      '--tag',
      'db',
      '--tag',
      'eu',
      '--expires',
      '2090-01-31T12:00Z',
    ];
    await secret.done(['set', name, ...settings], 'a');
    expect(await secret.json(['get', name])).toMatchObject({
      description: 'the shop',
      tags: ['db', 'eu'],
      expiresAt: '2090-01-31T12:00:00.000000Z',
    });
    await secret.done(['set', name, '--tag', 'us', '--expires', 'never'], 'b');
    const changed = await secret.json(['get', name]);
    expect(changed).toMatchObject({ description: 'the shop', tags: ['us'], latestVersion: 2 });
    expect(changed).not.toHaveProperty('expiresAt');
  });

  test('takes no value as an argument', async () => {
    const name = world.newName();
    const value = newValue();
    const refused = await secret.failed(['set', name, value]);
    expect(refused).toMatch(/^error: too many arguments for 'set'/);
    expect(refused).not.toContain(value);
    expect(await isThere(name)).toBe(false);
  });

  test('keeps a line break at the end, and says so; --trim-newline leaves out one', async () => {
    const name = world.newName();
    const { code, stderr } = await secret.run(['set', name], 'value\n');
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'The value ends with a line break, which is kept; --trim-newline leaves it out.\n',
    });
    expect(await secret.done(['access', name])).toBe('value\n');
    await secret.done(['set', name, '--trim-newline'], 'value\n');
    expect(await secret.done(['access', name])).toBe('value');
    await secret.done(['set', name, '--trim-newline'], 'two\nlines\r\n');
    expect(await secret.done(['access', name])).toBe('two\nlines');
    await secret.done(['set', name], 'two\nlines\n');
    expect(await secret.done(['access', name])).toBe('two\nlines\n');
  });

  test('reads a file, and bytes of any kind with --binary alone', async () => {
    const name = world.newName();
    const bytes = Buffer.concat([randomBytes(LARGEST - 1), Buffer.from([0xff])]);
    const file = join(directory, 'value');
    await writeFile(file, bytes);
    expect(await secret.failed(['set', name, '--file', file])).toBe(
      'keyward: the value is not UTF-8 text; --binary keeps bytes of any kind\n',
    );
    expect(await isThere(name)).toBe(false);
    await secret.done(['set', name, '--file', file, '--binary']);
    expect((await secret.bytes(['access', name])).equals(bytes)).toBe(true);
    expect(await secret.json(['access', name])).toMatchObject({ version: 1, data: bytes.toString('base64') });
  });

  test('refuses what is no value, and writes nothing', async () => {
    const name = world.newName();
    expect(await secret.failed(['set', name], 'x'.repeat(LARGEST + 1))).toBe(
      `keyward: the value is longer than ${LARGEST} bytes\n`,
    );
    expect(await secret.failed(['set', name], '')).toMatch(
      /^ {2}payload must be 1 to 65536 bytes long\nkeyward: INVALID_ARGUMENT \(INVALID_FIELDS\): [^\n]+\n$/,
    );
    expect(await secret.failed(['set', name, '--file', join(directory, 'none')])).toMatch(
      /^keyward: ENOENT[^\n]+\n$/,
    );
    expect(await secret.failed(['set', name, '--expires', 'soon'], 'x')).toMatch(
      /'soon' is invalid. It must be a time/,
    );
    expect(await isThere(name)).toBe(false);
  });

  withTerminal('on a terminal asks for the value and does not show it', async () => {
    const name = world.newName();
    const value = newValue();
    const shown = await secret.onTerminal(['set', name], 'not shown): ', `${value}\r`);
    expect(shown).toMatch(/^Value \(one line, not shown\): \r\nMade secret-/);
    expect(shown).not.toContain(value);
    expect(await secret.done(['access', name])).toBe(value);
  });
});

describe('access', () => {
  test('prints the bytes of the value and nothing else, of the newest enabled version or of the one asked for', async () => {
    const { secret: kept, value } = await world.keep('admin');
    const { recordLocator } = kept;
    const second = newValue();
    await secret.done(['set', recordLocator], second);
    expect(await secret.done(['access', recordLocator])).toBe(second);
    expect(await secret.done(['access', recordLocator, '1'])).toBe(value);
    await secret.done(['versions', recordLocator, '--disable', '2']);
    expect(await secret.done(['access', recordLocator])).toBe(value);
    expect(await secret.json(['access', recordLocator])).toEqual({
      secretId: String(kept.id),
      version: 1,
      text: value,
    });
  });

  withTerminal('on a terminal ends with a line break, and shows no bytes that are no text', async () => {
    const { secret: kept, value } = await world.keep('admin');
    expect(await secret.onTerminal(['access', kept.recordLocator])).toBe(`${value}\r\n`);
    const data = { value: { $case: 'data', value: Buffer.from(newValue()) } } as const;
    const binary = await world.keep('admin', { payload: data });
    expect(await secret.onTerminal(['access', binary.secret.recordLocator])).toMatch(
      /^keyward: the value is no text/,
    );
  });

  withTerminal('on a terminal shows no text that would steer it, and everywhere else the bytes', async () => {
    const keep = async (value: string) =>
      (await world.keep('admin', { payload: textOf(value) })).secret.recordLocator;
    for (const steering of ['a\x1b[2Jb', 'a\x9b2Jb', 'a\u202eb', 'seen\rhidden', 'a\u2028b']) {
      const locator = await keep(steering);
      expect(await secret.onTerminal(['access', locator])).toMatch(
        /^keyward: the value holds characters that steer/,
      );
      expect(await secret.bytes(['access', locator])).toEqual(Buffer.from(steering));
    }
    const lines = '-----BEGIN\r\n\tkey\nEND-----\n';
    expect((await secret.onTerminal(['access', await keep(lines)])).replaceAll('\r', '')).toBe(
      `${lines.replaceAll('\r', '')}\n`,
    );
  });

  test('with --out writes a file that its owner alone can read, also over one that others could', async () => {
    const { secret: kept, value } = await world.keep('admin');
    const file = join(directory, 'out');
    await writeFile(file, 'older and longer than the value that is to come '.repeat(9));
    await chmod(file, 0o644);
    for (const _ of ['over another', 'again']) {
      expect(await secret.done(['access', kept.recordLocator, '--out', file])).toBe('');
      expect(await readFile(file, 'utf8')).toBe(value);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
    const folder = join(directory, 'folder');
    await mkdir(folder);
    expect(await secret.failed(['access', kept.recordLocator, '--out', folder])).toBe(
      `keyward: ${folder} is there already and is no regular file\n`,
    );
    expect((await readdir(directory)).filter((entry) => entry.startsWith('out'))).toEqual(['out']);
  });

  test('gives an expired value to those who manage it and ask for it', async () => {
    const { secret: kept, value } = await world.keep('admin', {
      expiry: { $case: 'ttl', value: { seconds: 60n } },
    });
    world.clock.advance(61_000);
    expect(await secret.failed(['access', kept.recordLocator])).toBe(
      'keyward: FAILED_PRECONDITION (SECRET_EXPIRED): The secret has expired.\n',
    );
    expect(await secret.done(['access', kept.recordLocator, '--include-expired'])).toBe(value);
  });
});

describe('rotate', () => {
  test('adds a version and leaves the older ones as they are', async () => {
    const { secret: kept, value } = await world.keep('admin');
    const second = newValue();
    expect(await secret.done(['rotate', kept.recordLocator], second)).toBe('Added version 2.\n');
    expect(await secret.done(['access', kept.recordLocator])).toBe(second);
    expect(await secret.done(['access', kept.recordLocator, '1'])).toBe(value);
  });

  test('with --disable-old keeps older values from being read', async () => {
    const { secret: kept } = await world.keep('admin');
    await secret.done(['set', kept.recordLocator], newValue());
    const third = newValue();
    expect(await secret.done(['rotate', kept.recordLocator, '--disable-old'], third)).toBe(
      'Added version 3. Disabled 1, 2.\n',
    );
    expect(await secret.done(['access', kept.recordLocator])).toBe(third);
    expect(await secret.failed(['access', kept.recordLocator, '1'])).toMatch(/VERSION_NOT_ENABLED/);
    expect(await secret.json(['rotate', kept.recordLocator, '--disable-old'], 'd')).toEqual({
      version: 4,
      disabled: [3],
    });
  });

  test('makes no secret', async () => {
    const name = world.newName();
    expect(await secret.failed(['rotate', name], 'x')).toMatch(/^keyward: NOT_FOUND \(\w+\): [^\n]+\n$/);
    expect(await isThere(name)).toBe(false);
  });
});
