import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeDataDir, removeDataDir } from '../../support/data-dir.js';
import { keyward, runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { newestEvent } from '../../support/audit.js';
import { storedSecrets } from '../../support/stored-state.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_B, World, type Issued, type Kept } from '../../support/world.js';

const STAFF_B = `staff-b@${ACCOUNT_B}`;
/** What each command that changes something is given; `$GONE` names nothing. */
const CHANGING: Readonly<Record<string, readonly string[]>> = {
  'secret set': ['$SECRET', '--description', 'changed'],
  'secret rotate': ['$SECRET', '--disable-old'],
  'secret delete': ['$SECRET'],
  'secret undelete': ['$DELETED'],
  'secret clone': ['$SECRET', 'copy'],
  'secret transfer': ['$SECRET', STAFF_B],
  'secret versions': ['$SECRET', '--disable', '1'],
  'secret refs': ['$SECRET', '--attach', 'job=nightly'],
  'secret grants': ['$SECRET', '--grant', STAFF_B],
  'token create': ['made'],
  'token rotate': ['$TOKEN'],
  'token deactivate': ['$TOKEN'],
  'token activate': ['$TOKEN'],
  'token clone': ['$TOKEN', 'copy'],
  'token rename': ['$TOKEN', 'renamed'],
  'token transfer': ['$TOKEN', STAFF_B],
  'token refs': ['$TOKEN', '--attach', 'job=nightly'],
  'token revoke': ['$TOKEN'],
};
/** These show something, unless they are told to change it. */
const SHOWING = ['secret versions', 'secret refs', 'secret grants', 'token refs'];

let world: World;
let issued: Issued;
let kept: Kept;
let deleted: Kept;

beforeAll(async () => {
  world = await World.create();
  issued = await world.issue('owner-a');
  kept = await world.keep('owner-a');
  deleted = await world.keep('owner-a');
  const selector = { selector: { $case: 'id', value: deleted.id } } as const;
  await world.admin.secrets.deleteSecret({ selector });
});

afterAll(() => world.close());

function run(name: string, args: readonly string[], ...options: readonly string[]): Promise<CommandResult> {
  const values: Readonly<Record<string, string>> = {
    $SECRET: kept.secret.recordLocator,
    $DELETED: deleted.secret.recordLocator,
    $TOKEN: issued.recordLocator,
  };
  const env = { KEYWARD_SERVER: world.server.address, KEYWARD_TOKEN: world.adminToken };
  return runKeyward(
    [...name.split(' '), ...args.map((argument) => values[argument] ?? argument), ...options],
    { env, input: 'a value' },
  );
}

/** stored is all that a change could change, and not when the caller's own token was used. */
async function stored(): Promise<unknown> {
  const tokens = await execute(
    world.database.url,
    `SELECT to_jsonb(t) - 'last_used_at' AS token FROM tokens t ORDER BY id`,
  );
  const references = await execute(world.database.url, 'SELECT * FROM token_references');
  return { tokens, references, secrets: await storedSecrets(world.database.url) };
}

test('every command that has --validate-only is looked at here', async () => {
  const names: string[] = [];
  for (const group of ['secret', 'token']) {
    const help = await keyward([group, '--help']);
    const listed = [...help.slice(help.indexOf('\nCommands:')).matchAll(/^ {2}([a-z-]+) /gm)];
    for (const [, name = ''] of listed.filter(([, each]) => each !== 'help')) {
      const text = await keyward([group, name, '--help']);
      if (text.includes('--validate-only')) names.push(`${group} ${name}`);
    }
  }
  expect(names.sort()).toEqual(Object.keys(CHANGING).sort());
});

describe.each(Object.entries(CHANGING))('keyward %s --validate-only', (name, args) => {
  test('says that it can be done, and changes nothing', async () => {
    const [before, newest] = [await stored(), await newestEvent(world.database.url)];
    expect(await run(name, args, '--validate-only')).toEqual({
      code: 0,
      stdout: 'Valid. Nothing was changed.\n',
      stderr: '',
    });
    const { stdout } = await run(name, args, '--validate-only', '--json');
    expect(JSON.parse(stdout)).toEqual({ valid: true });
    expect(await stored()).toEqual(before);
    expect(await newestEvent(world.database.url)).toBe(newest);
  });

  test('fails as the change would', async () => {
    const bad = args.map((argument) => (argument.startsWith('$') ? '999999999' : argument));
    const given = name === 'token create' ? [...args, '--owner', 'nobody@0000-0000-0000'] : bad;
    const { code, stdout, stderr } = await run(name, given, '--validate-only');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/NOT_FOUND/);
  });
});

test.each(SHOWING)('keyward %s --validate-only needs something to change', async (name) => {
  const [target = ''] = CHANGING[name] ?? [];
  const { code, stderr } = await run(name, [target], '--validate-only');
  expect(code).toBe(1);
  expect(stderr).toContain('--validate-only goes with a change');
});

test('no file is made for a plaintext that there is not', async () => {
  const directory = await makeDataDir();
  try {
    const file = join(directory, 'plaintext');
    const { code } = await run('token create', ['made'], '--validate-only', '--out', file);
    expect(code).toBe(0);
    expect(existsSync(file)).toBe(false);
  } finally {
    await removeDataDir(directory);
  }
});
