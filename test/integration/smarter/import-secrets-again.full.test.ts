import { afterEach, beforeEach, expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { parsePgTimestamp } from '../../../src/lib/instant.js';
import { foldName } from '../../../src/lib/text.js';
import { ringOf } from '../../support/import-target.js';
import { createSecretImport, notesOf, strangerRing, type SecretImport } from '../../support/secret-import.js';
import { bindingColumns } from '../../support/stored-secrets.js';
import { keysOf } from '../../support/smarter-source.js';

const NOT_UPDATED = 'not updated: value (it was changed in Keyward too)';
const DELETED = { deleted_at: '2026-01-01T00:00:00Z', purge_at: '2026-02-01T00:00:00Z' };

let smarter: SecretImport;

beforeEach(async () => {
  smarter = await createSecretImport();
});

afterEach(async () => {
  await smarter.drop();
});

test('a key that is missing at a later import takes nothing away', async () => {
  const { target, expected } = smarter;
  await smarter.run();
  const before = await target.contents();
  const report = await smarter.run(strangerRing());
  expect(report.counts.secret.unchanged).toBe(expected.secrets.length);
  expect(await target.contents()).toEqual(before);
});

test('a value that changed in the source becomes the next version', async () => {
  const [secret, noToken] = [smarter.readable(0), smarter.readable(1)];
  await smarter.store(noToken, Buffer.from('first plain text'));
  await smarter.run();
  await smarter.store(secret, smarter.encrypt('second'));
  await smarter.store(noToken, Buffer.from('second plain text'));

  const report = await smarter.run();

  expect(report.counts.secret).toMatchObject({ updated: 2, created: 0 });
  expect(notesOf(report, secret)).toEqual(['updated: value']);
  expect((await smarter.imported(secret)).versions).toMatchObject([
    { number: 1, state: 'ENABLED' },
    { number: 2, state: 'ENABLED' },
  ]);
  expect(await smarter.valueOf(secret)).toBe('second');
  expect((await smarter.imported(noToken)).versions[1]?.ciphertext?.toString()).toBe('second plain text');
  await smarter.store(secret, smarter.encrypt('third'));
  await smarter.run();
  expect(await smarter.valueOf(secret)).toBe('third');
  expect((await smarter.run()).counts.secret.unchanged).toBe(smarter.expected.secrets.length);
});

test('a value that was encrypted anew in Keyward still follows the source', async () => {
  const secret = smarter.readable(0);
  await smarter.run();
  const [version] = (await smarter.imported(secret)).versions;
  if (!version?.ciphertext) throw new Error('no ciphertext');
  const rotated = ringOf(FernetKey.generate(), ...keysOf(smarter.expected));
  const { keyId, ciphertext } = rotated.reencrypt(version.ciphertext, version.key_id);
  const versions = smarter.target.knex('secret_versions').where({ secret_id: secret.id });
  const place = { secretId: BigInt(secret.id), number: 1 };
  await versions.update({
    key_id: keyId,
    ciphertext,
    ...bindingColumns(rotated, place, { keyId, ciphertext }),
  });

  const report = await smarter.run();
  expect(report.counts.secret.unchanged).toBe(smarter.expected.secrets.length);
  expect((await smarter.imported(secret)).versions).toMatchObject([{ number: 1, key_id: keyId, ciphertext }]);
  await smarter.store(secret, smarter.encrypt('second'));
  await smarter.run();
  expect(await smarter.valueOf(secret)).toBe('second');
});

test.each([
  ['got another value', { number: 2, state: 'ENABLED' }],
  ['was switched off', { number: 1, state: 'DISABLED' }],
])('a value that %s in Keyward is not replaced by the source', async (_what, { number, state }) => {
  const secret = smarter.readable(0);
  await smarter.run();
  const { keyId, ciphertext } = smarter.keyring.encrypt(Buffer.from('of Keyward'));
  await smarter.target
    .knex('secret_versions')
    .insert({
      ...{ secret_id: secret.id, number, state, format: 'TEXT', key_id: keyId, ciphertext },
      ...bindingColumns(smarter.keyring, { secretId: BigInt(secret.id), number }, { keyId, ciphertext }),
    })
    .onConflict(['secret_id', 'number'])
    .merge(['state']);
  await smarter.store(secret, smarter.encrypt('of the source'));
  await smarter.source.run(`UPDATE secret_secret SET description = 'new' WHERE id = ${secret.id}`);
  const { versions } = await smarter.imported(secret);

  for (const told of [['updated: description', NOT_UPDATED], [NOT_UPDATED]]) {
    const report = await smarter.run();
    expect(new Set(notesOf(report, secret))).toEqual(new Set(told));
    expect(await smarter.imported(secret)).toMatchObject({ description: 'new', versions });
  }
});

test('a destroyed value stays destroyed, although a key for it turns up', async () => {
  const secret = smarter.readable(0);
  await smarter.run(strangerRing());
  await smarter.target
    .knex('secret_versions')
    .where({ secret_id: secret.id })
    .update({ state: 'DESTROYED', ciphertext: null, key_id: null, destroyed_at: DELETED.deleted_at });

  const report = await smarter.run();

  const destroyed = { number: 1, state: 'DESTROYED', ciphertext: null };
  expect((await smarter.imported(secret)).versions).toMatchObject([destroyed]);
  expect(notesOf(report, secret)).toEqual([]);
});

test('a secret deleted in Keyward, purged or not, does not come back', async () => {
  const { target, source } = smarter;
  const [deleted, purged] = [smarter.readable(0), smarter.readable(1)];
  await smarter.run();
  await target.knex('secrets').where({ id: deleted.id }).update(DELETED);
  await target.knex('secrets').where({ id: purged.id }).delete();
  await source.run(`UPDATE secret_secret SET description = 'new' WHERE id IN (${deleted.id}, ${purged.id})`);
  await smarter.store(deleted, smarter.encrypt('new'));
  const before = await target.contents();

  const report = await smarter.run();

  expect(await target.contents()).toEqual(before);
  for (const secret of [deleted, purged]) {
    expect(notesOf(report, secret)).toEqual(['left out: deleted in Keyward since it was imported']);
  }
});

test('only what changed in the source is written; changes made in Keyward stand', async () => {
  const { target, source } = smarter;
  const [here, there, untagged] = [smarter.readable(0), smarter.readable(1), smarter.readable(2)];
  await smarter.run();
  const change = { name: 'Renamed Here', name_key: 'renamed here', expires_at: '2040-01-01T00:00:00Z' };
  await target.knex('secrets').where({ id: here.id }).update(change);
  await source.run(`
    UPDATE secret_secret SET description = 'new' WHERE id = ${here.id};
    UPDATE secret_secret SET name = 'Renamed THERE' WHERE id = ${there.id};
    DELETE FROM taggit_taggeditem WHERE object_id = ${untagged.id}`);

  const report = await smarter.run();

  const { expires_at: expiresAt, ...kept } = await smarter.imported(here);
  expect(kept).toMatchObject({ name: 'Renamed Here', name_key: 'renamed here', description: 'new' });
  expect(expiresAt).not.toBeNull();
  expect(await smarter.imported(there)).toMatchObject({ name: 'Renamed THERE', name_key: 'renamed there' });
  expect((await smarter.imported(untagged)).tags).toEqual([]);
  expect(notesOf(report, here)).toEqual(['updated: description']);
});

test('access in the source is taken over without going back and without counting as a change', async () => {
  const { target, source, expected } = smarter;
  const [earlier, later] = [smarter.readable(0), smarter.readable(1)];
  await smarter.run();
  await target.knex('secrets').where({ id: earlier.id }).update({ last_accessed_at: '2040-01-01T00:00:00Z' });
  const before = await target.secrets();
  await source.run(
    `UPDATE secret_secret SET last_accessed = '2039-05-05 05:05:05.000005+00', updated_at = now()
     WHERE id IN (${earlier.id}, ${later.id})`,
  );

  const report = await smarter.run();

  expect(report.counts.secret.unchanged).toBe(expected.secrets.length);
  expect(await smarter.imported(earlier)).toEqual(before.get(earlier.id));
  const accessed = parsePgTimestamp('2039-05-05 05:05:05.000005+00');
  expect(await smarter.imported(later)).toEqual({ ...before.get(later.id), last_accessed_at: accessed });
});

test('names that change places in the source do not stop the import, and no two of one owner are the same', async () => {
  const { source, expected } = smarter;
  const one = smarter.readable(0);
  const owned = expected.secrets.filter(({ user_profile_id: owner }) => owner === one.user_profile_id);
  const other = owned.find(({ id }) => id !== one.id);
  if (!other) throw new Error('no owner of two secrets');
  await smarter.run();
  await source.run(`
    UPDATE secret_secret SET name = 'between' WHERE id = ${one.id};
    UPDATE secret_secret SET name = '${one.name}' WHERE id = ${other.id};
    UPDATE secret_secret SET name = '${other.name}' WHERE id = ${one.id}`);

  const report = await smarter.run();

  for (const [secret, name] of [
    [one, `${other.name}-2`],
    [other, `${one.name}-2`],
  ] as const) {
    expect(await smarter.imported(secret)).toMatchObject({ name, name_key: foldName(name) });
    expect(notesOf(report, secret).join()).toContain('another secret of its owner is called');
  }
});
