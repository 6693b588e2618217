import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { foldName } from '../../../src/lib/text.js';
import { NO_ROWS, plaintextOf } from '../../support/import-target.js';
import { createSecretImport, notesOf, strangerRing, type SecretImport } from '../../support/secret-import.js';
import type { StoredSecret } from '../../support/smarter-source.js';
import { execute } from '../../support/sql.js';

const KEPT = 'kept as it is, and nobody can access it';

let smarter: SecretImport;

beforeEach(async () => {
  smarter = await createSecretImport();
});

afterEach(async () => {
  await smarter.drop();
});

test('every ciphertext is kept to the byte, and what no key opens is reported', async () => {
  const { source, target, expected } = smarter;
  const stored = await execute(source.url, 'SELECT id, encrypted_value FROM secret_secret');

  const report = await smarter.run();

  const secrets = await target.secrets();
  expect(stored).toHaveLength(secrets.size);
  for (const { id, encrypted_value } of stored) {
    expect(secrets.get(Number(id))?.versions[0]?.ciphertext).toEqual(encrypted_value);
  }
  const reported = report.notes.filter(({ kind, what }) => kind === 'secret' && what.includes(KEPT));
  const undecryptable = expected.secrets.filter((secret) => secret.expected === 'undecryptable');
  expect(new Set(reported.map(({ key }) => key))).toEqual(new Set(undecryptable.map(({ id }) => String(id))));
  expect(report.staysInSource.map(({ name }) => name)).not.toContain('secret_secret');
});

test('without the right keys every value is kept, and an import with them makes it readable', async () => {
  const { target, expected } = smarter;
  const all = expected.secrets.length;
  const first = await smarter.run(strangerRing());
  expect(first.counts.secret).toEqual({ ...NO_ROWS, read: all, created: all });
  for (const { versions } of (await target.secrets()).values()) expect(versions[0]?.key_id).toBeNull();
  const second = await smarter.run(strangerRing());
  expect(second.counts.secret).toEqual({ ...NO_ROWS, read: all, unchanged: all });
  for (const { notes } of [first, second]) {
    expect(notes.filter(({ what }) => what.includes(KEPT))).toHaveLength(all);
  }

  const third = await smarter.run();

  await target.expectEverythingTaken();
  const opened = [...(await target.secrets()).values()].filter(({ versions }) => versions[0]?.key_id);
  expect(third.counts.secret).toMatchObject({ updated: opened.length, unchanged: all - opened.length });
  expect(third.notes.filter(({ what }) => what === 'updated: decryptable')).toHaveLength(opened.length);
  const fourth = await smarter.run();
  expect(fourth.counts.secret).toEqual({ ...NO_ROWS, read: all, unchanged: all });
});

test('a value that is written carelessly is encrypted anew, and everything that the original reads arrives', async () => {
  const spellings: ((token: string) => string)[] = [
    (token) => `${token}\n`,
    (token) => ` ${token.slice(0, 40)}\r\n${token.slice(40)}`,
    (token) => `${token}==`,
    (token) => `${token}trailing`,
    (token) => token.replaceAll('-', '+').replaceAll('_', '/'),
  ];
  const values = spellings.map((spell, place) => {
    const plaintext = `wert ${place} ✓`;
    let token = '';
    while (!/[-_]/.test(token)) token = smarter.encrypt(plaintext).toString();
    return { secret: smarter.readable(place), plaintext, stored: Buffer.from(spell(token)) };
  });
  for (const { secret, stored } of values) await smarter.store(secret, stored);

  const report = await smarter.run();

  for (const { secret, plaintext } of values) {
    const { versions } = await smarter.imported(secret);
    expect(versions[0]?.key_id).toBe(smarter.keyring.primaryId);
    expect(await smarter.valueOf(secret)).toBe(plaintext);
    expect(notesOf(report, secret)).toContain(
      'its value was not written as Fernet prescribes: it is encrypted anew',
    );
  }
  expect((await smarter.run()).counts.secret.unchanged).toBe(smarter.expected.secrets.length);
});

test('values that nobody expects are kept and reported, without a word of them', async () => {
  const plain = 'correct horse battery staple';
  const values: [StoredSecret, Buffer, RegExp][] = [
    [smarter.readable(0), Buffer.alloc(0), /no Fernet token.*kept/],
    [smarter.readable(1), Buffer.from(plain), /no Fernet token.*kept/],
    [smarter.readable(2), Buffer.from('<memory at 0x7f0123456789>'), /no Fernet token.*kept/],
    [smarter.readable(3), smarter.encrypt(Buffer.from([0xff, 0xfe])), /no UTF-8 text.*kept/],
    [smarter.readable(4), smarter.encrypt('x'.repeat(70_000)), /70000 bytes long.*kept/],
    [smarter.readable(5), smarter.encrypt(''), /is empty: kept/],
  ];
  for (const [secret, value] of values) await smarter.store(secret, value);

  const report = await smarter.run();

  for (const [secret, value, note] of values) {
    expect((await smarter.imported(secret)).versions[0]?.ciphertext).toEqual(value);
    expect(notesOf(report, secret).join()).toMatch(note);
  }
  expect(await smarter.valueOf(smarter.readable(4))).toHaveLength(70_000);
  expect(await smarter.valueOf(smarter.readable(5))).toBe('');
  expect(JSON.stringify(report)).not.toContain('horse');
  const records = JSON.stringify(await smarter.target.knex('import_records').pluck('fields'));
  expect(records).not.toContain('horse');
  expect(records).not.toContain(createHash('sha256').update(plain).digest('hex'));
});

test('a secret without an owner is left out; one whose name or number Keyward uses gets another', async () => {
  const { target, source } = smarter;
  const [orphan, namesake, numbered] = [smarter.readable(0), smarter.readable(1), smarter.readable(2)];
  await source.run(`
    SET session_replication_role = replica;
    UPDATE secret_secret SET user_profile_id = 999999 WHERE id = ${orphan.id}`);
  await smarter.run();
  const ids = [namesake.id, numbered.id];
  await target.knex('secrets').whereIn('id', ids).delete();
  await target
    .knex('import_records')
    .where({ kind: 'secret' })
    .whereIn('source_key', ids.map(String))
    .delete();
  const own = { user_profile_id: namesake.user_profile_id, name_key: 'own' };
  await target.knex('secrets').insert([
    { ...own, name: namesake.name },
    { ...own, name: 'of Keyward', id: numbered.id },
  ]);

  const report = await smarter.run();

  const secrets = await target.secrets();
  expect(secrets.has(orphan.id)).toBe(false);
  expect(notesOf(report, orphan)).toEqual(['left out: its user profile was left out, or deleted in Keyward']);
  const name = `${namesake.name}-2`;
  expect(secrets.get(namesake.id)).toMatchObject({ name, name_key: foldName(name) });
  expect(secrets.get(numbered.id)?.name).toBe('of Keyward');
  expect(notesOf(report, numbered)).toContain(
    `number ${numbered.id} is taken in Keyward: it has a new one and so another public id`,
  );
  const moved = [...secrets.values()].find(
    (secret) => secret.id > 100_000_000n && secret.name === numbered.name,
  );
  expect(plaintextOf(moved, smarter.keyring)?.toString('base64')).toBe(numbered.plaintext_b64);
});

test('tags are those of secrets, whatever numbers the content types have', async () => {
  await smarter.source.run(`
    SET session_replication_role = replica;
    UPDATE django_content_type SET id = 1000 - id;
    UPDATE taggit_taggeditem SET content_type_id = 1000 - content_type_id`);
  await smarter.run();
  await smarter.target.expectEverythingTaken();
});

test('each batch that writes something leaves an audit record, and others leave none', async () => {
  const { target, expected } = smarter;
  await smarter.run();
  const columns = ['action', 'resource_kind', 'detail'] as const;
  const events: unknown[] = await target.knex('audit_events').select(...columns);
  expect(events).toHaveLength(5);
  const created = { created: String(expected.secrets.length) };
  expect(events).toContainEqual({ action: 'DATA_IMPORTED', resource_kind: 'secret', detail: created });
  await smarter.run();
  expect(await target.knex('audit_events')).toHaveLength(events.length);
});
