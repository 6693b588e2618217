import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerdictReason } from '../../../src/client/index.js';
import { registerCanary } from '../../support/canaries.js';
import { GroupCommand } from '../../support/group-command.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, ACCOUNT_B, World } from '../../support/world.js';

const COMPLETE = 'It is complete: no replica goes by what was before.';
const NO_TOKEN = /^keyward: NOT_FOUND \(NOT_FOUND\): There is no such token\.\n$/;
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string;
/** As protobuf writes a span in JSON. */
const SPAN = expect.stringMatching(/^\d+\.\d{9}s$/) as string;
const NOBODY_ELSE = { acknowledged: 0, pending: 0, clientsAcknowledged: 0, clientsExpired: 0 };
const PROPAGATION = { complete: true, ...NOBODY_ELSE, waited: SPAN };

let world: World;
let token: GroupCommand;

beforeAll(async () => {
  world = await World.create();
  token = new GroupCommand(world, 'token');
});

afterAll(() => world.close());

async function reasonOf(plaintext: string): Promise<string> {
  const { reason } = await world.admin.tokens.validateToken({ token: plaintext });
  return VerdictReason[reason].replace('VERDICT_REASON_', '');
}

/** issued runs a command that issues a plaintext, with "--out -", and gives it and what is told of it. */
async function issued(...args: readonly string[]): Promise<{ plaintext: string; told: string }> {
  const { code, stdout, stderr } = await token.run([...args, '--out', '-']);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^[\w-]+\n$/);
  return { plaintext: registerCanary(stdout.trimEnd()), told: stderr };
}

describe('which token', () => {
  test('is told by its record locator, its number, its key id, or its name with --owner or --account', async () => {
    const { id, name, keyId, recordLocator } = await world.issue('owner-a');
    const ways = [
      [recordLocator],
      [String(id)],
      [keyId],
      [keyId.toUpperCase()],
      [name, '--owner', `owner-a@${ACCOUNT_A}`],
      [name, '--owner', world.profileOf('owner-a').recordLocator],
      [name, '--account', ACCOUNT_A],
    ];
    for (const way of ways) expect(await token.json(['get', ...way])).toMatchObject({ keyId });
  });

  test("is the caller's own if only a name is told, never another's of that name", async () => {
    const { name, keyId } = await world.issue('staff-a');
    const own = await world.issue('admin', { name });
    expect(await token.json(['get', name], '', world.tokenOf('staff-a'))).toMatchObject({ keyId });
    expect(await token.json(['get', name])).toMatchObject({ keyId: own.keyId });
  });

  test('needs no scope but that of the command if only a name is told', async () => {
    const { name, keyId, plaintext } = await world.issue('owner-a', { scopes: ['keyward.tokens.read'] });
    expect(await token.json(['get', name], '', plaintext)).toMatchObject({ keyId });
  });

  test('of a name that may look like a key id is told by --owner', async () => {
    const name = '00000000-0000-4000-8000-000000000000';
    const { keyId } = await world.issue('owner-a', { name });
    expect(await token.failed(['get', name])).toMatch(NO_TOKEN);
    expect(await token.json(['get', name, '--owner', `owner-a@${ACCOUNT_A}`])).toMatchObject({ keyId });
  });

  test.each([
    ['get'],
    ['rotate', '--out', '-'],
    ['activate'],
    ['deactivate'],
    ['revoke'],
    ['clone', 'another', '--out', '-'],
    ['rename', 'another'],
    ['transfer', `staff-a@${ACCOUNT_A}`],
    ['refs'],
  ])('of a wrong name is not found by "%s"', async (command, ...options) => {
    expect(await token.failed([command, 'no-such', ...options])).toMatch(NO_TOKEN);
    const elsewhere = ['--owner', `owner-a@${ACCOUNT_A}`];
    expect(await token.failed([command, 'no-such', ...options, ...elsewhere])).toMatch(NO_TOKEN);
  });

  test.each(['get', 'activate', 'deactivate', 'revoke'])(
    'of an account where several have one name is asked for by "%s"',
    async (command) => {
      const one = await world.issue('owner-a');
      const other = await world.issue('staff-a', { name: one.name });
      const told = await token.failed([command, one.name, '--account', ACCOUNT_A]);
      expect(told).toMatch(
        /^ {2}candidates: [^\n]+\nkeyward: FAILED_PRECONDITION \(NAME_AMBIGUOUS\): [^\n]+\n$/,
      );
      for (const { recordLocator } of [one, other]) expect(told).toContain(recordLocator);
    },
  );
});

describe('create', () => {
  test('makes a token with the settings that are given', async () => {
    const name = world.newName();
    const settings = [
      ...['--scope', 'orders:read', '--scope', 'orders:write', '--expires', '2090-01-31T12:00Z'],
      ...['--description', 'the shop', '--tag', 'ci', '--tag', 'eu', '--prefix', 'shop_', '--inactive'],
      ...['--annotation', 'team=shop', '--annotation', 'note=a=b'],
    ];
    const { plaintext } = await issued('create', name, ...settings);
    expect(plaintext).toMatch(/^shop_[0-9a-f]{64}$/);
    expect(await reasonOf(plaintext)).toBe('INACTIVE');
    expect(await token.json(['get', name])).toMatchObject({
      scopes: ['orders:read', 'orders:write'],
      expiresAt: '2090-01-31T12:00:00.000000Z',
      description: 'the shop',
      tags: ['ci', 'eu'],
      annotations: { team: 'shop', note: 'a=b' },
      isActive: false,
      owner: { username: 'admin' },
    });
  });

  test('makes one for another owner', async () => {
    const name = world.newName();
    const { told } = await issued('create', name, '--owner', `owner-a@${ACCOUNT_A}`);
    expect(told).toMatch(new RegExp(`^Made token-r[\\w-]+x, ${name} of owner-a@${ACCOUNT_A}\\.\n$`));
  });

  test('tells which rules are broken, and what is not understood', async () => {
    const told = await token.failed(['create', 'a\tb', '--scope', 'A', '--out', '-']);
    expect(told).toMatch(/^ {2}name [^\n]+\n {2}scopes[^\n]*\nkeyward: INVALID_ARGUMENT/);
    const args = ['create', world.newName(), '--out', '-'];
    for (const [option, value, rule] of [
      ['--expires', 'soon', 'It must be a time'],
      ['--annotation', 'team', 'It must be <key>=<value>.'],
      ['--owner', 'somebody', 'a user profile is given as'],
    ] as const) {
      expect(await token.failed([...args, option, value])).toContain(rule);
    }
    expect(await token.failed([...args, '--annotation', 'a=1', '--annotation', 'a=2'])).toContain(
      'has a value already',
    );
    expect(await token.failed(['create', 'keyward-admin', '--out', '-'])).toMatch(/^keyward: ALREADY_EXISTS/);
  });
});

describe('list and get', () => {
  test('tell what is known of tokens, and no plaintext', async () => {
    const { name, keyId, recordLocator, plaintext, id } = await world.issue('owner-a', {
      tags: ['listed'],
      annotations: new Map([['team', 'shop']]),
      scopes: ['orders:read', 'orders:write'],
    });
    const known = {
      id: String(id),
      keyId,
      name,
      tags: ['listed'],
      annotations: { team: 'shop' },
      createdAt: TIME,
    };
    expect(await token.json(['get', recordLocator])).toMatchObject(known);
    expect(await token.json(['list', '--filter', 'tag = "listed"'])).toMatchObject([known]);
    const told = await token.done(['get', recordLocator]);
    expect(told).toMatch(new RegExp(`^record locator    ${recordLocator}\n`));
    expect(told).toContain(`owner             owner-a@${ACCOUNT_A}\n`);
    expect(told).toContain(`scopes            orders:read orders:write\n`);
    expect(told).toMatch(/\ncreated {11}\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n/);
    const listed = await token.done(['list', '--filter', 'tag = "listed"']);
    expect(listed.split('\n')[0]).toMatch(/^TOKEN +NAME +OWNER +STATE +SCOPES +EXPIRES +LAST USE$/);
    expect(listed).toContain(`${recordLocator}  ${name}`);
    expect(told + listed).not.toContain(plaintext);
  });

  test('show no control characters of an imported name', async () => {
    const { id, recordLocator } = await world.issue('owner-a');
    await execute(world.database.url, `UPDATE tokens SET name = E'a\\x1b[2Jb' WHERE id = ${id}`);
    expect(await token.done(['get', recordLocator])).toContain('name              a\\u{1b}[2Jb\n');
    expect(await token.done(['list', '--order-by', 'id desc'])).toContain('a\\u{1b}[2Jb');
  });

  test('list ends after the first page and says so, and reads all with --page-all', async () => {
    const owner = world.profileOf('staff-b').id;
    await execute(
      world.database.url,
      `WITH made AS (
         INSERT INTO tokens (key_id, user_profile_id, name)
         SELECT gen_random_uuid(), ${owner}, 'page-' || n FROM generate_series(1, 1001) n RETURNING id)
       INSERT INTO token_digests (digest, token_id, token_key) SELECT sha512(id::text::bytea), id, '' FROM made`,
    );
    const list = ['list', '--filter', 'name : "page-"', '--json'];
    const { code, stdout, stderr } = await token.run(list);
    expect([code, stderr]).toEqual([
      0,
      'keyward: warning: there are more than these 1000: --page-all lists all\n',
    ]);
    expect(JSON.parse(stdout)).toHaveLength(1000);
    expect(JSON.parse(await token.done([...list, '--page-all']))).toHaveLength(1001);
  });

  test('tell why a filter is refused', async () => {
    expect(await token.failed(['list', '--filter', 'no such'])).toMatch(
      /^ {2}filter [^\n]+\nkeyward: INVALID_ARGUMENT/,
    );
  });
});

describe('validate', () => {
  test('judges texts as "keyward validate" does, by scopes too', async () => {
    const { plaintext } = await world.issue('admin', { scopes: ['orders:read', 'stock:read'] });
    const lines = `${plaintext}\nguess\n`;
    expect(await token.done(['validate'], lines)).toMatch(/^valid: key [^\n]+\nrefused: UNKNOWN\n$/);
    const reasonsWith = async (...options: string[]) =>
      (await token.done(['validate', '--json', ...options], lines))
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { reason: string }).reason);
    expect(await reasonsWith('--scope', 'orders:read', '--scope', 'stock:read')).toEqual(['OK', 'UNKNOWN']);
    expect(await reasonsWith('--scope', 'orders:read', '--scope', 'pay')).toEqual([
      'INSUFFICIENT_SCOPE',
      'UNKNOWN',
    ]);
    expect(await token.done(['validate', '--scope', 'pay', plaintext])).toMatch(
      /^refused: INSUFFICIENT_SCOPE, key /,
    );
  });
});

describe('rotate', () => {
  test('lets the old plaintext pass until the grace period ends', async () => {
    const { name, plaintext } = await world.issue('admin');
    const { told } = await issued('rotate', name, '--grace', '12h');
    expect(told).toMatch(
      /^Rotated token-[^\n]+\. The old plaintext passes until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\. It is complete: [^\n]+\n$/,
    );
    expect(await reasonOf(plaintext)).toBe('OK');
    expect(await token.done(['get', name])).toMatch(/\nold plaintext until {2}\d{4}-/);
    await issued('rotate', name);
    expect(await reasonOf(plaintext)).toBe('EXPIRED');
    expect(await token.failed(['rotate', name, '--out', '-', '--grace', 'long'])).toContain(
      'It must be a span',
    );
    expect(await token.failed(['rotate', name, '--out', '-', '--grace', '31d'])).toMatch(
      /^ {2}grace_period must be/,
    );
  });
});

describe('a change', () => {
  test('switches a token off and on, renames and revokes it, and tells how far that has come', async () => {
    const { name, plaintext, recordLocator } = await world.issue('owner-a');
    const owner = ['--owner', `owner-a@${ACCOUNT_A}`];
    expect(await token.done(['deactivate', name, ...owner])).toBe(
      `Switched off: ${recordLocator}, ${name}. ${COMPLETE}\n`,
    );
    expect(await reasonOf(plaintext)).toBe('INACTIVE');
    expect(await token.done(['activate', name, ...owner])).toBe(
      `Switched on: ${recordLocator}, ${name}. ${COMPLETE}\n`,
    );
    expect(await reasonOf(plaintext)).toBe('OK');
    const renamed = world.newName();
    expect(await token.done(['rename', name, renamed, ...owner])).toBe(
      `Renamed: ${recordLocator}, ${renamed}. ${COMPLETE}\n`,
    );
    expect(await token.failed(['revoke', name, ...owner])).toMatch(NO_TOKEN);
    expect(await token.done(['revoke', renamed, ...owner])).toBe(`Revoked ${renamed}. ${COMPLETE}\n`);
    expect(await reasonOf(plaintext)).toBe('UNKNOWN');
  });

  test('tells the same as JSON', async () => {
    const { name } = await world.issue('admin');
    const changed = (isActive: boolean) => ({
      token: expect.objectContaining({ name, isActive, updatedAt: TIME }) as object,
      propagation: PROPAGATION,
    });
    expect(await token.json(['deactivate', name])).toEqual(changed(false));
    expect(await token.json(['activate', name])).toEqual(changed(true));
    const renamed = world.newName();
    expect(await token.json(['rename', name, renamed])).toMatchObject({ token: { name: renamed } });
    expect(await token.json(['revoke', renamed])).toEqual({ revoked: renamed, propagation: PROPAGATION });
  });

  test.each([['rotate', '--out', '-'], ['activate'], ['deactivate'], ['rename', 'renamed'], ['revoke']])(
    'by "%s" is refused if --etag is not the present one',
    async (command, ...others) => {
      const { name } = await world.issue('admin');
      const { etag } = (await token.json(['get', name])) as { etag: string };
      await token.done(['deactivate', name]);
      expect(await token.failed([command, name, ...others, '--etag', etag])).toMatch(/^keyward: ABORTED/);
      const present = (await token.json(['get', name])) as { etag: string };
      expect((await token.run([command, name, ...others, '--etag', present.etag])).code).toBe(0);
    },
  );

  test.each([
    ['deactivate'],
    ['revoke'],
    ['rename', 'renamed'],
    ['transfer', `plain-a@${ACCOUNT_A}`],
    ['refs', '--attach', 'job=nightly'],
    ['rotate', '--out', '-'],
    ['clone', 'copy', '--out', '-'],
  ])('by "%s" is refused to who may only read the token', async (command, ...others) => {
    const { recordLocator } = await world.issue('owner-a');
    const { code, stderr } = await token.run(
      [command, recordLocator, ...others],
      '',
      world.tokenOf('plain-a'),
    );
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^keyward: PERMISSION_DENIED/)]);
  });
});

describe('refs', () => {
  const consumer = 'llm_client.api_key=support-bot';

  test('attaches, lists and detaches who holds a token', async () => {
    const { name } = await world.issue('admin');
    expect(await token.done(['refs', name, '--attach', consumer])).toBe(`Attached ${consumer}.\n`);
    expect(await token.done(['refs', name])).toMatch(
      /^KIND +CONSUMER +SINCE\nllm_client\.api_key +support-bot +[0-9-]{10}T/,
    );
    expect(await token.json(['refs', name])).toEqual([
      { kind: 'llm_client.api_key', consumer: 'support-bot', createdAt: TIME },
    ]);
    expect(await token.done(['get', name])).toMatch(/\nheld by +llm_client\.api_key=support-bot\n/);
    expect(await token.done(['refs', name, '--detach', consumer])).toBe(`Detached ${consumer}.\n`);
    expect(await token.failed(['refs', name, '--detach', consumer])).toMatch(/^keyward: NOT_FOUND/);
  });

  test('are told by what takes the token from them', async () => {
    const { name, recordLocator } = await world.issue('admin');
    await token.done(['refs', name, '--attach', consumer]);
    const held = `It is held by ${consumer}.`;
    expect(await token.done(['deactivate', name])).toBe(
      `Switched off: ${recordLocator}, ${name}. ${COMPLETE} ${held}\n`,
    );
    for (let number = 1; number <= 10; number += 1) {
      await token.done(['refs', name, '--attach', `job=${number}`]);
    }
    const told = await token.done(['revoke', name]);
    expect(told).toContain(` ${consumer}, job=1, job=2,`);
    expect(told).toMatch(/ job=9 and 1 more\.\n$/);
  });
});

test('transfer gives a token to another owner, and clone makes a copy for one', async () => {
  const { name, recordLocator, plaintext } = await world.issue('admin');
  expect(await token.done(['transfer', name, `staff-b@${ACCOUNT_B}`])).toBe(
    `Transferred: ${recordLocator}, ${name}. ${COMPLETE}\n`,
  );
  expect(await reasonOf(plaintext)).toBe('OK');
  const got = (await token.json(['get', recordLocator])) as { owner: { username: string } };
  expect(got.owner.username).toBe('staff-b');
  const copy = world.newName();
  const args = ['clone', recordLocator, copy, '--to', `staff-a@${ACCOUNT_A}`, '--new-version', '2.0.0'];
  const { stdout, code } = await token.run([...args, '--out', '-']);
  registerCanary(stdout.trimEnd());
  expect(code).toBe(0);
  expect(await token.json(['get', copy, '--owner', `staff-a@${ACCOUNT_A}`])).toMatchObject({
    version: '2.0.0',
  });
});
