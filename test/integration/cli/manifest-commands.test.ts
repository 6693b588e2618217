import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registerCanary } from '../../support/canaries.js';
import { runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { byId } from '../../support/requests.js';
import { ACCOUNT_A, newValue, textOf, World } from '../../support/world.js';

let world: World;
let directory: string;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-manifests-'));
});

afterAll(() => rm(directory, { recursive: true }));

function run(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  return runKeyward(args, {
    env: { KEYWARD_SERVER: world.server.address, KEYWARD_TOKEN: world.adminToken, ...env },
    input,
  });
}

async function done(args: readonly string[], input = '', env: NodeJS.ProcessEnv = {}): Promise<string> {
  const { code, stdout, stderr } = await run(args, input, env);
  expect({ code, stderr }, args.join(' ')).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const OWNER = `{username: owner-a, accountNumber: ${ACCOUNT_A}}`;

function keyText(name: string, more = ''): string {
  return `apiVersion: keyward/v1\nkind: ApiKey\nmetadata: {name: ${name}}\nspec: {owner: ${OWNER}${more}}\n`;
}

function secretText(name: string, source: string): string {
  return `apiVersion: keyward/v1\nkind: Secret\nmetadata: {name: ${name}}\nspec: {owner: ${OWNER}, valueFrom: ${source}}\n`;
}

async function write(name: string, text: string): Promise<string> {
  const file = join(directory, name);
  await writeFile(file, text);
  return file;
}

describe('keyward apply', () => {
  test('takes standard input, a file, and the files of a directory in their order', async () => {
    const secret = await world.keep('owner-a');
    const text = secretText(secret.name, '{file: value}').replace(', valueFrom: {file: value}', '');
    expect(await done(['apply', '-f', '-'], text)).toBe(`Secret ${secret.name}: unchanged\n`);
    const places = await mkdtemp(join(directory, 'ordered-'));
    await writeFile(
      join(places, '1.yaml'),
      'apiVersion: keyward/v1\nkind: User\nmetadata: {name: ordered}\nspec: {isStaff: true}\n',
    );
    await writeFile(
      join(places, '2.json'),
      JSON.stringify({
        apiVersion: 'keyward/v1',
        kind: 'UserProfile',
        spec: { username: 'ordered', accountNumber: ACCOUNT_A },
      }),
    );
    await writeFile(join(places, 'README.md'), 'not a manifest');
    const told = await done(['apply', '-f', places]);
    expect(told).toContain('User ordered: created\n');
    expect(told).toContain('UserProfile ordered: created\n');
  });

  test('makes no token before it knows where the plaintext goes, which then is a private file or the output', async () => {
    const file = await write('key.yaml', keyText('cli-key'));
    const refused = await run(['apply', '-f', file]);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('give --out <DIR>');
    expect((await world.admin.tokens.listTokens({ filter: 'name = "cli-key"' })).tokens).toEqual([]);

    const out = await mkdtemp(join(directory, 'out-'));
    const made = await run(['apply', '-f', file, '--out', out]);
    expect(made.code, made.stderr).toBe(0);
    const [name = ''] = await readdir(out);
    expect(name).toMatch(/^cli-key\.token-r\w+x\.token$/);
    expect((await stat(join(out, name))).mode & 0o777).toBe(0o600);
    const plaintext = registerCanary((await readFile(join(out, name), 'utf8')).trimEnd());
    expect((await world.admin.tokens.validateToken({ token: plaintext })).valid).toBe(true);
    expect(made.stdout + made.stderr).not.toContain(plaintext);

    const nowhere = await run(['apply', '-f', '-', '--out', join(directory, 'none')], keyText('cli-key-3'));
    expect(nowhere).toMatchObject({ code: 1, stdout: '' });
    expect((await world.admin.tokens.listTokens({ filter: 'name = "cli-key-3"' })).tokens).toEqual([]);

    const printed = await run(['apply', '-f', '-', '--out', '-'], keyText('cli-key-2'));
    expect(registerCanary(printed.stdout.trimEnd())).toMatch(/^[0-9a-f]{64}$/);
    expect(printed.stderr).toContain('ApiKey cli-key-2: created');
  });

  test('has the value of a secret from a file beside the document, or from the environment', async () => {
    const [inFile, inEnv] = [newValue(), newValue()];
    await write('value.txt', inFile);
    const file = await write(
      'secrets.yaml',
      `${secretText('from-file', '{file: value.txt}')}---\n${secretText('from-env', '{env: MY_VALUE}')}`,
    );
    const told = await done(['apply', '-f', file], '', { MY_VALUE: inEnv });
    expect(told).toBe(
      'Secret from-file: created\nSecret from-env: created\nIt is complete: no replica goes by what was before.\n',
    );
    for (const [name, value] of [
      ['from-file', inFile],
      ['from-env', inEnv],
    ] as const) {
      const { secrets } = await world.admin.secrets.listSecrets({ filter: `name = "${name}"` });
      const [secret] = secrets;
      const accessed = await world.admin.secrets.accessSecret({ secret: byId({ id: secret?.id ?? 0n }) });
      expect(accessed.payload).toEqual(textOf(value));
    }
    expect((await run(['apply', '-f', file])).stderr).toContain('there is no environment variable MY_VALUE');
    const own = await run(['apply', '-f', '-'], secretText('own', '{env: KEYWARD_TOKEN}'));
    expect(own).toMatchObject({ code: 1 });
    expect(own.stderr).toContain('KEYWARD_TOKEN is a setting of Keyward');
  });

  test('with --dry-run changes nothing, and tells what is wrong with path, line and column', async () => {
    const { name, id } = await world.issue('owner-a', { scopes: ['a'] });
    expect(await done(['apply', '-f', '-', '--dry-run'], keyText(name, ', scopes: [b]'))).toBe(
      `ApiKey ${name}: updated (dry run)\n`,
    );
    expect((await world.admin.tokens.getToken({ token: byId({ id }) })).token?.scopes).toEqual(['a']);
    const bad = await run(['apply', '-f', '-'], keyText(name, ', scope: [b]'));
    expect(bad.code).toBe(1);
    expect(bad.stderr).toMatch(/^ {2}document\[0\]\.spec\.scope is not known; .*\(line 4, column \d+\)\n/);
  });

  test('with --json tells programs', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const told = JSON.parse(
      await done(['apply', '-f', '-', '--json'], keyText(name, ', scopes: [b]')),
    ) as unknown;
    expect(told).toMatchObject({
      documents: [{ kind: 'ApiKey', name, outcome: 'updated', changes: [{ field: 'spec.scopes' }] }],
      propagation: { complete: true },
    });
  });
});

describe('keyward get', () => {
  test.each(['yaml', 'json'])('-o %s shows what apply takes, of every kind', async (format) => {
    const { name, keyId, recordLocator } = await world.issue('owner-a');
    const secret = await world.keep('owner-a');
    const ways = [
      ['apikey', name, '--owner', `owner-a@${ACCOUNT_A}`],
      ['ApiKey', keyId],
      ['APIKEY', recordLocator],
      ['secret', secret.name, '--account', ACCOUNT_A],
      ['account', ACCOUNT_A],
      ['user', 'owner-a'],
      ['userprofile', `owner-a@${ACCOUNT_A}`],
    ];
    for (const way of ways) {
      const shown = await done(['get', ...way, '-o', format]);
      expect(await done(['apply', '-f', '-'], shown)).toMatch(/^\w+ \S.*: unchanged\n$/);
    }
  });

  test('knows no other kind', async () => {
    expect(await run(['get', 'widget', 'x'])).toMatchObject({ code: 1, stdout: '' });
  });
});

describe('keyward diff', () => {
  test('shows what differs and ends with 1, with 0 if nothing does, and with 2 if that cannot be told', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const same = keyText(name, ', scopes: [a]');
    expect(await run(['diff', '-f', '-'], same)).toEqual({ code: 0, stdout: '', stderr: '' });
    const other = `${keyText(name, ', scopes: [a, b]')}---\n${keyText('new-key')}`;
    expect(await run(['diff', '-f', '-'], other)).toEqual({
      code: 1,
      stdout: `~ ApiKey ${name}\n    spec.scopes: ["a"] -> ["a","b"]\n+ ApiKey new-key\n`,
      stderr: '',
    });
    const failed = await run(['diff', '-f', '-'], 'a: [');
    expect(failed).toMatchObject({ code: 2, stdout: '' });
    expect(failed.stderr).toMatch(/document\[0\].*line 1/);
    expect(await run(['diff', '-f', join(directory, 'no-such-file')])).toMatchObject({ code: 2 });
  });
});
