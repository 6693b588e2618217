import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Token } from '../../../src/client/index.js';
import { registerCanary } from '../../support/canaries.js';
import { GroupCommand } from '../../support/group-command.js';
import { openSession } from '../../support/open-session.js';
import { existing, World } from '../../support/world.js';

/** A change that is complete; the span is as protobuf writes it in JSON. */
const PROPAGATION = {
  complete: true,
  acknowledged: 0,
  pending: 0,
  clientsAcknowledged: 0,
  clientsExpired: 0,
  waited: expect.stringMatching(/^\d+\.\d{9}s$/) as string,
};
/** The `script` that gives a terminal to a command is util-linux's. */
const withTerminal = test.skipIf(process.platform !== 'linux');
/** Those that show a token's plaintext, this once. */
const COMMANDS = ['create', 'rotate', 'clone'] as const;

let world: World;
let token: GroupCommand;
let directory: string;

beforeAll(async () => {
  world = await World.create();
  token = new GroupCommand(world, 'token');
  directory = await mkdtemp(join(tmpdir(), 'keyward-token-'));
});

afterAll(async () => {
  await world.close();
  await rm(directory, { recursive: true });
});

/** find gives the superuser's token of that name, if there is one. */
async function find(name: string): Promise<Token | undefined> {
  return (await world.admin.tokens.listTokens({ filter: `name = "${name}"` })).tokens[0];
}

async function isValid(plaintext: string): Promise<boolean> {
  return (await world.admin.tokens.validateToken({ token: plaintext })).valid;
}

/** argsOf are those of a command with a token made for it, and the name of what it issues a plaintext for. */
async function argsOf(command: (typeof COMMANDS)[number]): Promise<{ args: string[]; target: string }> {
  const target = world.newName();
  if (command === 'create') return { args: ['create', target], target };
  const { name } = await world.issue('admin');
  return command === 'rotate'
    ? { args: ['rotate', name], target: name }
    : { args: ['clone', name, target], target };
}

test.each(COMMANDS)(
  'the plaintext of "%s" is refused where nobody asked for it, and nothing is made',
  async (command) => {
    const { args, target } = await argsOf(command);
    const before = await find(target);
    for (const json of [[], ['--json']]) {
      expect(await token.failed([...args, ...json])).toBe(
        'keyward: the plaintext is shown once, and standard output is no terminal: give --out <FILE>, or "--out -" to print it there\n',
      );
    }
    expect(await find(target)).toEqual(before);
  },
);

test.each(COMMANDS)('the plaintext of "%s" is alone on standard output with "--out -"', async (command) => {
  const { args, target } = await argsOf(command);
  const { stdout, stderr } = await token.run([...args, '--out', '-']);
  expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
  const plaintext = registerCanary(stdout.trimEnd());
  expect(await isValid(plaintext)).toBe(true);
  expect(stderr).toContain(existing(await find(target)).recordLocator);
  expect(stderr).not.toContain(plaintext);
});

test.each(COMMANDS)(
  'the plaintext of "%s" goes into a file that its owner alone can read, and is not shown',
  async (command) => {
    const { args, target } = await argsOf(command);
    const file = join(directory, target);
    await writeFile(file, 'older and longer than the text that is to come '.repeat(9));
    await chmod(file, 0o644);
    const shown = await token.done([...args, '--out', file]);
    const plaintext = registerCanary((await readFile(file, 'utf8')).trimEnd());
    expect(await isValid(plaintext)).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(shown).toContain(`Its plaintext is in ${file}.\n`);
    expect(shown).not.toContain(plaintext);
  },
);

test.each(COMMANDS)('the plaintext of "%s" is not made if its file cannot be', async (command) => {
  const { args, target } = await argsOf(command);
  const before = await find(target);
  const folder = join(directory, `${target}-folder`);
  await mkdir(folder);
  await symlink(join(folder, 'elsewhere'), join(folder, 'link'));
  for (const file of [folder, join(folder, 'link'), join(folder, 'absent', 'file')]) {
    expect(await token.failed([...args, '--out', file])).toMatch(
      /^keyward: (.* is no regular file|ENOENT: .*)\n$/,
    );
  }
  expect(await find(target)).toEqual(before);
  expect(await readdir(folder)).toEqual(['link']);
});

test('a plaintext that could not be kept is told to be lost, with what it was for', async () => {
  const { id, name, recordLocator } = await world.issue('admin');
  const folder = join(directory, name);
  const file = join(folder, 'file');
  await mkdir(folder);
  const session = await openSession(world.database.url);
  try {
    await session.query('BEGIN');
    await session.query('SELECT FROM tokens WHERE id = $1 FOR UPDATE', [String(id)]);
    const running = token.run(['rotate', name, '--out', file]);
    await session.untilSomebodyWaits();
    await mkdir(file);
    await session.query('COMMIT');
    const { code, stdout, stderr } = await running;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^keyward: Rotated ${recordLocator}, .* is lost \\([^\n]+\n$`));
  } finally {
    await session.close();
  }
  expect(await readdir(folder)).toEqual(['file']);
});

test.each(COMMANDS)(
  'the plaintext of "%s" is in the JSON only if that was asked to standard output',
  async (command) => {
    const first = await argsOf(command);
    const made = (await token.json([...first.args, '--out', '-'])) as { plaintext: string };
    expect(await isValid(registerCanary(made.plaintext))).toBe(true);
    const propagation = command === 'rotate' ? { propagation: PROPAGATION } : {};
    expect(made).toEqual({
      token: expect.objectContaining({ name: first.target }) as object,
      ...propagation,
      plaintext: made.plaintext,
    });
    const second = await argsOf(command);
    const saved = await token.json([...second.args, '--out', join(directory, 'saved')]);
    expect(saved).toEqual({
      token: expect.objectContaining({ name: second.target }) as object,
      ...propagation,
    });
  },
);

withTerminal('a plaintext is shown on a terminal, which needs no option', async () => {
  const name = world.newName();
  const shown = await token.onTerminal(['create', name]);
  expect(shown).toMatch(/^Made token-r[\w-]+x, [^\n]+ Its plaintext, shown this once:\r\n[0-9a-f]{64}\r\n$/);
  expect(await isValid(registerCanary(existing(shown.split('\r\n')[1])))).toBe(true);
});
