import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GroupCommand } from '../../support/group-command.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, ACCOUNT_B, World, type Kept } from '../../support/world.js';

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/) as string;

let world: World;
let secret: GroupCommand;

beforeAll(async () => {
  world = await World.create();
  secret = new GroupCommand(world, 'secret');
});

afterAll(() => world.close());

function locator(kept: Kept): string {
  return kept.secret.recordLocator;
}

describe('which secret', () => {
  test('is told by its record locator, its number, or its name with --owner or --account', async () => {
    const kept = await world.keep('owner-a');
    const ways = [
      [locator(kept)],
      [String(kept.id)],
      [kept.name, '--owner', `owner-a@${ACCOUNT_A}`],
      [kept.name, '--owner', world.profileOf('owner-a').recordLocator],
      [kept.name, '--account', ACCOUNT_A],
    ];
    for (const way of ways) expect(await secret.done(['access', ...way])).toBe(kept.value);
  });

  test("is the caller's own if only a name is told, never another's of that name", async () => {
    const kept = await world.keep('staff-a');
    expect(await secret.done(['access', kept.name], '', world.tokenOf('staff-a'))).toBe(kept.value);
    expect(await secret.failed(['access', kept.name])).toMatch(/^keyward: NOT_FOUND/);
    expect(await secret.done(['set', kept.name], 'the own one')).toMatch(/^Made /);
    expect(await secret.done(['access', locator(kept)])).toBe(kept.value);
  });

  test('is not made of a number, nor of a name in an account: that tells no owner', async () => {
    const unknown = /^keyward: NOT_FOUND \(\w+\): [^\n]+\n$/;
    expect(await secret.failed(['set', '99'], 'x')).toMatch(unknown);
    expect(await secret.failed(['set', world.newName(), '--account', ACCOUNT_A], 'x')).toMatch(unknown);
  });

  test('needs no scope but that of the access if only a name is told', async () => {
    const kept = await world.keep('owner-a');
    const { plaintext } = await world.issue('owner-a', { scopes: ['keyward.secrets.access'] });
    expect(await secret.done(['access', kept.name], '', plaintext)).toBe(kept.value);
  });

  test('of several with one name in an account is asked for, with those there are', async () => {
    const kept = await world.keep('owner-a');
    const other = await world.keep('staff-a', { name: kept.name });
    const told = await secret.failed(['access', kept.name, '--account', ACCOUNT_A]);
    expect(told).toMatch(
      /^ {2}candidates: [^\n]+\nkeyward: FAILED_PRECONDITION \(NAME_AMBIGUOUS\): [^\n]+\n$/,
    );
    expect(told).toContain(locator(kept));
    expect(told).toContain(locator(other));
  });
});

describe('list and get', () => {
  test('tell what is known of secrets, and no value', async () => {
    const kept = await world.keep('owner-a', { tags: ['listed'], annotations: new Map([['team', 'shop']]) });
    const { recordLocator, hashedId, rfc1034Name, snakeName, etag, owner } = kept.secret;
    const known = {
      id: String(kept.id),
      hashedId,
      recordLocator,
      rfc1034Name,
      snakeName,
      etag,
      name: kept.name,
      description: '',
      version: '1.0.0',
      tags: ['listed'],
      annotations: { team: 'shop' },
      manifestPath: `/secrets/${hashedId}/`,
      owner: {
        userProfileId: String(owner?.userProfileId),
        userId: String(owner?.userId),
        username: 'owner-a',
        accountId: String(owner?.accountId),
        accountNumber: ACCOUNT_A,
      },
      latestVersion: 1,
      ready: true,
      isExpired: false,
      createdAt: TIME,
      updatedAt: TIME,
    };
    expect(await secret.json(['get', recordLocator])).toEqual(known);
    expect(await secret.json(['list', '--filter', 'tag = "listed"'])).toEqual([known]);
    const told = await secret.done(['get', recordLocator]);
    expect(told).toMatch(new RegExp(`^record locator    ${recordLocator}\n`));
    expect(told).toContain(`owner             owner-a@${ACCOUNT_A}\n`);
    expect(told).not.toContain(kept.value);
    const listed = await secret.done(['list', '--filter', 'tag = "listed"']);
    expect(listed.split('\n')[0]).toMatch(/^SECRET +NAME +OWNER +VERSION +EXPIRES +LAST ACCESS$/);
    expect(listed).toContain(`${recordLocator}  ${kept.name}`);
    expect(listed).not.toContain(kept.value);
  });

  test('show no control characters of an imported name', async () => {
    const kept = await world.keep('owner-a');
    await execute(world.database.url, `UPDATE secrets SET name = E'a\\x1b[2Jb' WHERE id = ${kept.id}`);
    expect(await secret.done(['get', locator(kept)])).toContain('name              a\\u{1b}[2Jb\n');
    expect(await secret.done(['list', '--order-by', 'id desc'])).toContain('a\\u{1b}[2Jb');
  });

  test('list reads every page', async () => {
    await execute(
      world.database.url,
      `INSERT INTO secrets (user_profile_id, name, name_key) SELECT ${world.profileOf('staff-b').id}, 'page-' || n, 'page-' || n
       FROM generate_series(1, 1001) n`,
    );
    const listed = await secret.json(['list', '--filter', `account_number = "${ACCOUNT_B}"`]);
    expect(listed).toHaveLength(1001);
  });
});

describe('versions', () => {
  test('lists them, and disables, enables and destroys one', async () => {
    const kept = await world.keep('admin');
    await secret.done(['set', locator(kept)], 'second');
    const table = await secret.done(['versions', locator(kept)]);
    expect(table).toMatch(
      /^VERSION +STATE +FORMAT +CREATED +BY +KEY\n1 +ENABLED +TEXT .* admin +[0-9a-f]{16}\n2 /,
    );
    const change = (...args: string[]) => secret.json(['versions', locator(kept), ...args]);
    expect(await change('--disable', '1')).toMatchObject({ number: 1, state: 'DISABLED', format: 'TEXT' });
    expect(await change('--enable', '1')).toMatchObject({ number: 1, state: 'ENABLED', createdBy: 'admin' });
    expect(await change('--destroy', '1')).toMatchObject({
      state: 'DESTROYED',
      keyId: '',
      destroyedAt: TIME,
    });
    expect(await change()).toMatchObject([{ state: 'DESTROYED' }, { number: 2, state: 'ENABLED' }]);
    expect(await secret.failed(['versions', locator(kept), '--enable', '1'])).toMatch(/VERSION_NOT_ENABLED/);
    expect(await secret.failed(['versions', locator(kept), '--enable', '0'])).toMatch(
      /must be a number above 0/,
    );
  });
});

describe('delete and undelete', () => {
  test('delete a secret until it is brought back', async () => {
    const kept = await world.keep('admin');
    expect(await secret.done(['delete', kept.name])).toMatch(
      new RegExp(`^Deleted ${locator(kept)}, which is gone for good at [0-9-]{10}T[0-9:]{8}Z\\.\n$`),
    );
    expect(await secret.failed(['access', locator(kept)])).toMatch(/^keyward: NOT_FOUND/);
    const list = ['list', '--filter', `name = "${kept.name}"`];
    expect(await secret.json(list)).toEqual([]);
    expect(await secret.done([...list, '--deleted'])).toMatch(/GONE AT\n.* never +[0-9-]{10}T[0-9:]{8}Z\n$/);
    expect(await secret.done(['undelete', locator(kept)])).toBe(`${locator(kept)} is back.\n`);
    expect(await secret.done(['access', kept.name])).toBe(kept.value);
    expect(await secret.failed(['undelete', locator(kept)])).toMatch(
      /^keyward: FAILED_PRECONDITION \(NOT_DELETED\)/,
    );
  });

  test('delete none that consumers use, and tells which those are, unless forced', async () => {
    const kept = await world.keep('admin');
    await secret.done(['refs', locator(kept), '--attach', 'provider.api_key=openai=eu']);
    expect(await secret.failed(['delete', locator(kept)])).toMatch(
      /^ {2}consumers: provider\.api_key=openai=eu\nkeyward: FAILED_PRECONDITION \(SECRET_REFERENCED\): [^\n]+\n$/,
    );
    expect(await secret.json(['delete', locator(kept), '--force'])).toMatchObject({
      recordLocator: locator(kept),
      deletedAt: TIME,
      purgeAt: TIME,
    });
  });
});

test('refs attaches, lists and detaches consumers', async () => {
  const kept = await world.keep('admin');
  const refs = (...args: string[]) => secret.done(['refs', locator(kept), ...args]);
  const consumer = 'sql_connection.password=shop';
  expect(await refs('--attach', consumer)).toBe(`Attached ${consumer}.\n`);
  expect(await refs()).toMatch(/^KIND +CONSUMER +SINCE\nsql_connection\.password +shop +[0-9-]{10}T/);
  expect(await secret.json(['refs', locator(kept)])).toEqual([
    { kind: 'sql_connection.password', consumer: 'shop', createdAt: TIME },
  ]);
  expect(await refs('--detach', consumer)).toBe(`Detached ${consumer}.\n`);
  expect(await secret.failed(['refs', locator(kept), '--detach', consumer])).toMatch(/^keyward: NOT_FOUND/);
  expect(await secret.failed(['refs', locator(kept), '--attach', 'shop'])).toMatch(
    /must be <kind>=<consumer>/,
  );
});

test('grants lets a user of another account read a value, and takes it back', async () => {
  const kept = await world.keep('owner-a');
  const grantee = `staff-b@${ACCOUNT_B}`;
  const access = ['access', locator(kept)];
  expect(await secret.failed(access, '', world.tokenOf('staff-b'))).toMatch(/^keyward: NOT_FOUND/);
  const granted = await secret.done(['grants', locator(kept), '--grant', grantee, '--expires', '90d']);
  expect(granted).toBe(`Granted to ${grantee}.\n`);
  expect(await secret.done(access, '', world.tokenOf('staff-b'))).toBe(kept.value);
  expect(await secret.done(['grants', locator(kept)])).toMatch(
    /^USER +EXPIRES +GRANTED BY +SINCE\nstaff-b@2222-2222-2222 +[0-9-]{10}T[0-9:]{8}Z +admin /,
  );
  const userProfileId = String(world.profileOf('staff-b').id);
  expect(await secret.json(['grants', locator(kept)])).toMatchObject([
    { userProfileId, username: 'staff-b', accountNumber: ACCOUNT_B, expiresAt: TIME, grantedBy: 'admin' },
  ]);
  expect(await secret.done(['grants', locator(kept), '--revoke', grantee])).toBe(
    `Revoked from ${grantee}.\n`,
  );
  expect(await secret.failed(access, '', world.tokenOf('staff-b'))).toMatch(/^keyward: NOT_FOUND/);
  expect(await secret.failed(['grants', locator(kept), '--grant', 'staff-b'])).toBe(
    'keyward: a user profile is given as <user>@<account number>, not as "staff-b"\n',
  );
});

test('a refusal is one line that does not tell the value', async () => {
  const kept = await world.keep('owner-a');
  const refused = await secret.failed(['access', locator(kept)], '', world.tokenOf('plain-a'));
  expect(refused).toMatch(/^keyward: PERMISSION_DENIED \(NOT_PERMITTED\): [^\n]+\n$/);
  expect(refused).not.toContain(kept.value);
});
