import { afterEach, beforeEach, expect, test } from 'vitest';
import { newestEvent, readEvents } from '../../support/audit.js';
import { runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { createSecretImport, notesOf, type SecretImport } from '../../support/secret-import.js';
import { logOut } from '../../support/smarter-platform.js';
import { bindingColumns } from '../../support/stored-secrets.js';
import { keysOf } from '../../support/smarter-source.js';

const ALICE = 2;

let smarter: SecretImport;

beforeEach(async () => {
  smarter = await createSecretImport();
  await smarter.run();
});

afterEach(async () => {
  await smarter.drop();
});

function command(...args: string[]): Promise<CommandResult> {
  const env = { DATABASE_URL: smarter.target.url, KEYWARD_FERNET_KEYS: keysOf(smarter.expected).join() };
  return runKeyward(['import-smarter', ...args], { env });
}

/** conflicts are those that the command lists. */
async function conflicts(): Promise<{ id: string; field: string; kept: string }[]> {
  const { stdout } = await command('conflicts', '--json');
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { id: string; field: string; kept: string });
}

async function firstToken(): Promise<{ id: bigint; name: string }> {
  const token = await smarter.target
    .knex('tokens')
    .where({ user_profile_id: ALICE, is_active: true })
    .orderBy('id')
    .first<{ id: bigint; name: string }>();
  return token;
}

async function columnsOf(id: bigint): Promise<Record<string, unknown> | undefined> {
  const [row] = await smarter.target
    .knex('tokens')
    .where({ id: String(id) })
    .select<Record<string, unknown>[]>();
  return row;
}

/** changeBoth changes the description and the expiry of a token on both sides. */
async function changeBoth(): Promise<{ id: bigint; name: string }> {
  const token = await firstToken();
  await smarter.target
    .knex('tokens')
    .where({ id: String(token.id) })
    .update({ description: 'of Keyward', expires_at: '2031-01-01T00:00:00Z' });
  await smarter.source.run(`
    UPDATE drf_smarterauthtoken SET description = 'of the source'
      WHERE user_profile_id = ${ALICE} AND name = '${token.name}';
    UPDATE knox_authtoken SET expiry = '2032-01-01 00:00:00+00' WHERE digest IN (
      SELECT authtoken_ptr_id FROM drf_smarterauthtoken WHERE user_profile_id = ${ALICE} AND name = '${token.name}')`);
  return token;
}

/** changeValueInKeyward gives a secret a second version, which is in this state. */
async function changeValueInKeyward(secretId: number, state: string): Promise<void> {
  const { keyId, ciphertext } = smarter.keyring.encrypt(Buffer.from('of Keyward'));
  const place = { secretId: BigInt(secretId), number: 2 };
  await smarter.target.knex('secret_versions').insert({
    ...{ secret_id: secretId, number: 2, state, format: 'TEXT', key_id: keyId, ciphertext },
    ...bindingColumns(smarter.keyring, place, { keyId, ciphertext }),
  });
}

test.each([
  ['safer', 'of the source', 2031],
  ['source', 'of the source', 2032],
  ['keyward', 'of Keyward', 2031],
] as const)(
  'with --prefer %s fields that both sides changed are settled so, and listed',
  async (prefer, description, year) => {
    const { id } = await changeBoth();

    const report = await smarter.target.run(smarter.source.url, { prefer });

    const { description: written, expires_at: expiry } = (await columnsOf(id)) ?? {};
    expect(written).toBe(description);
    expect(new Date(Number(expiry) / 1000).getUTCFullYear()).toBe(year);
    expect(report.openConflicts).toBe(2);
    expect(report.notes.filter(({ what }) => what.startsWith('conflict:'))).toHaveLength(2);
    const kept = {
      description: description === 'of Keyward' ? 'keyward' : 'source',
      expires_at: year === 2031 ? 'keyward' : 'source',
    };
    expect(Object.fromEntries((await conflicts()).map((each) => [each.field, each.kept]))).toEqual(kept);
    // Nothing is told, or decided, a second time.
    const before = await smarter.target.contents();
    const again = await smarter.target.run(smarter.source.url);
    expect(again.notes.filter(({ what }) => what.startsWith('conflict:'))).toEqual([]);
    expect(await smarter.target.contents()).toEqual(before);
  },
);

test('a field that both sides changed to the same is no conflict', async () => {
  const { id, name } = await firstToken();
  await smarter.target
    .knex('tokens')
    .where({ id: String(id) })
    .update({ description: 'same' });
  await smarter.source.run(
    `UPDATE drf_smarterauthtoken SET description = 'same' WHERE user_profile_id = ${ALICE} AND name = '${name}'`,
  );
  expect((await smarter.run()).openConflicts).toBe(0);
});

test('resolve writes the value of the side that is chosen, and the conflict is gone', async () => {
  const { id } = await changeBoth();
  await smarter.run();
  const newest = await newestEvent(smarter.target.url);
  const found = await conflicts();
  const numberOf = (field: string): string => found.find((each) => each.field === field)?.id ?? '';

  expect(await command('resolve', numberOf('description'), '--keep', 'keyward')).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await command('resolve', numberOf('expires_at'), '--keep', 'source')).toMatchObject({
    code: 0,
    stderr: '',
  });

  const { description, expires_at: expiry } = (await columnsOf(id)) ?? {};
  expect(description).toBe('of Keyward');
  expect(new Date(Number(expiry) / 1000).getUTCFullYear()).toBe(2032);
  expect(await conflicts()).toEqual([]);
  const events = await readEvents(smarter.target.url, newest);
  expect(events.map(({ action, detail }) => [action, detail['fields']])).toEqual([
    ['TOKEN_EDITED', 'description'],
    ['TOKEN_EDITED', 'expires_at'],
  ]);
  const again = await command('resolve', numberOf('description'), '--keep', 'keyward');
  expect(again).toMatchObject({ code: 1, stdout: '' });
  expect(again.stderr).toContain('There is no conflict');
});

test.each(['source', 'keyward'] as const)(
  'a key that is gone from the source and changed here: resolve keeps %s',
  async (keep) => {
    const { id, name } = await firstToken();
    await smarter.target
      .knex('tokens')
      .where({ id: String(id) })
      .update({ description: 'of Keyward' });
    await logOut(smarter.source, `s.user_profile_id = ${ALICE} AND s.name = '${name}'`);
    await smarter.run();
    expect(await columnsOf(id)).toMatchObject({ is_active: false });
    const [conflict] = await conflicts();
    expect(conflict?.field).toBe('row');

    expect(await command('resolve', conflict?.id ?? '', '--keep', keep)).toMatchObject({
      code: 0,
      stderr: '',
    });

    if (keep === 'source') expect(await columnsOf(id)).toBeUndefined();
    else expect(await columnsOf(id)).toMatchObject({ is_active: true });
    expect(await conflicts()).toEqual([]);
    expect((await smarter.run()).openConflicts).toBe(0);
    expect((await columnsOf(id)) !== undefined).toBe(keep === 'keyward');
  },
);

test('a key that comes back to the source is no conflict any more', async () => {
  const { id, name } = await firstToken();
  await smarter.target
    .knex('tokens')
    .where({ id: String(id) })
    .update({ description: 'of Keyward' });
  await smarter.source.run(`CREATE TABLE kept AS SELECT * FROM drf_smarterauthtoken
    WHERE user_profile_id = ${ALICE} AND name = '${name}';
    DELETE FROM drf_smarterauthtoken WHERE key_id IN (SELECT key_id FROM kept)`);
  expect((await smarter.run()).openConflicts).toBe(1);
  await smarter.source.run('INSERT INTO drf_smarterauthtoken SELECT * FROM kept');
  expect((await smarter.run()).openConflicts).toBe(0);
});

test('the same value encrypted anew is no new version', async () => {
  const secret = smarter.readable(0);
  const value = (await smarter.valueOf(secret)) ?? '';
  await smarter.store(secret, smarter.encrypt(value));

  const report = await smarter.run();

  expect(report.counts.secret.updated).toBe(0);
  expect((await smarter.imported(secret)).versions).toHaveLength(1);
  await smarter.store(secret, smarter.encrypt(`${value}!`));
  await smarter.run();
  expect(await smarter.valueOf(secret)).toBe(`${value}!`);
});

test("a value that both sides changed is the source's, behind Keyward's, which resolve brings back", async () => {
  const secret = smarter.readable(0);
  await changeValueInKeyward(secret.id, 'ENABLED');
  await smarter.store(secret, smarter.encrypt('of the source'));

  const report = await smarter.run();

  expect(notesOf(report, secret)).toContain(
    "conflict: value was changed on both sides: the source's is taken",
  );
  expect((await smarter.imported(secret)).versions).toHaveLength(3);
  expect(await smarter.valueOf(secret)).toBe('of the source');
  const [conflict] = await conflicts();
  await command('resolve', conflict?.id ?? '', '--keep', 'keyward');
  expect((await smarter.imported(secret)).versions.map(({ state }) => state)).toEqual([
    'ENABLED',
    'ENABLED',
    'DISABLED',
  ]);
});

test('a value that was switched off in Keyward stays off, until resolve takes that of the source', async () => {
  const secret = smarter.readable(0);
  await changeValueInKeyward(secret.id, 'DISABLED');
  await smarter.store(secret, smarter.encrypt('of the source'));

  await smarter.run();

  expect((await smarter.imported(secret)).versions.map(({ state }) => state)).toEqual([
    'ENABLED',
    'DISABLED',
  ]);
  const [conflict] = await conflicts();
  expect(conflict).toMatchObject({ field: 'value', kept: 'keyward' });
  const { stdout } = await command('resolve', conflict?.id ?? '', '--keep', 'source');
  expect(stdout).toContain('at the next import');
  await smarter.run();
  expect(await smarter.valueOf(secret)).toBe('of the source');
  expect(await smarter.target.knex('import_conflicts').select('id')).toEqual([]);
});
