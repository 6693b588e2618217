import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Database } from '../../../src/db/knex.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import { keyward, runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { connectTo, newKey, sealed, storeSecrets } from '../../support/stored-secrets.js';
import { World } from '../../support/world.js';

const NEW_KEY = newKey();
const OLD_KEY = newKey();
const NEW_ID = fernetKey(NEW_KEY).id;
const OLD_ID = fernetKey(OLD_KEY).id;

let world: World;
let knex: Database;
let env: Record<string, string>;

beforeAll(async () => {
  world = await World.create();
  knex = connectTo(world.database.url);
  const { address } = await world.startServer({ KEYWARD_FERNET_KEYS: `${NEW_KEY},${OLD_KEY}` });
  env = { KEYWARD_SERVER: address, KEYWARD_TOKEN: world.adminToken };
});

afterEach(async () => {
  await knex('secrets').delete();
});

afterAll(async () => {
  await knex.destroy();
  await world.close();
});

/** storeOld stores two values of the old key, and one that nobody can read; it gives that one's secret. */
async function storeOld(): Promise<bigint> {
  const lost = { ...sealed(newKey(), 'lost'), keyId: null };
  const [id = 0n] = await storeSecrets(knex, world.profileOf('admin').id, OLD_KEY, [
    { versions: [sealed(OLD_KEY, 'a'), sealed(OLD_KEY, 'b'), lost] },
  ]);
  return id;
}

async function usedKeys(): Promise<(string | null)[]> {
  return (await knex('secret_versions').orderBy('number').pluck('key_id')) as (string | null)[];
}

function keys(...args: string[]): Promise<string> {
  return keyward(['keys', ...args], { env });
}

test('a generated key is a key, printed with nothing else, and each is another', async () => {
  const printed = await Promise.all([keys('generate'), keys('generate')]);
  const ids = printed.map((line) => {
    expect(line).toMatch(/^[A-Za-z0-9_-]{43}=\n$/);
    return fernetKey(line).id;
  });
  expect(new Set(ids).size).toBe(2);
  const Generated = z.object({ key: z.string(), keyId: z.string() });
  const { key, keyId } = Generated.parse(JSON.parse(await keys('generate', '--json')));
  expect(fernetKey(key).id).toBe(keyId);
});

describe('rotate', () => {
  test('encrypts everything with the first key, and tells what could not be', async () => {
    await storeOld();
    expect(await keys('rotate')).toBe(
      `2 values encrypted anew with key ${NEW_ID}. 1 cannot be decrypted and stay as they are; see "keyward keys status".\n`,
    );
    expect(await usedKeys()).toEqual([NEW_ID, NEW_ID, null]);
    expect(await keys('rotate')).toMatch(/^0 values encrypted anew/);
  });

  test('with --dry-run changes nothing', async () => {
    await storeOld();
    expect(await keys('rotate', '--dry-run')).toMatch(/^2 values would be encrypted anew .* 1 cannot/);
    expect(await usedKeys()).toEqual([OLD_ID, OLD_ID, null]);
  });

  test('with --json prints the counts, and no progress where there is no terminal', async () => {
    await storeOld();
    const result: CommandResult = await runKeyward(['keys', 'rotate', '--json'], { env });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toEqual({
      dryRun: false,
      primaryKeyId: NEW_ID,
      done: 3,
      total: 3,
      failed: 1,
    });
  });

  test('fails with one line where the caller may not', async () => {
    const staff = { ...env, KEYWARD_TOKEN: world.tokenOf('staff-a') };
    const { code, stdout, stderr } = await runKeyward(['keys', 'rotate'], { env: staff });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^keyward: PERMISSION_DENIED \(NOT_PERMITTED\): [^\n]+\n$/);
  });
});

describe('status', () => {
  test('tells which keys are needed, and what cannot be decrypted', async () => {
    const id = await storeOld();
    expect(await keys('status')).toBe(
      [
        'key               values',
        `${NEW_ID}       0  encrypts new values`,
        `${OLD_ID}       3  needed`,
        'unknown                1  not configured',
        '',
        '1 cannot be read:',
        `secret ${id}, version 3, key unknown: NO_KEY_FITS`,
        '',
      ].join('\n'),
    );
    await keys('rotate');
    expect(await keys('status')).toContain(`${OLD_ID}       0  not needed by any value\n`);
  });

  test('counts text that is none, which rotates all the same', async () => {
    const [id = 0n] = await storeSecrets(knex, world.profileOf('admin').id, OLD_KEY, [
      { versions: [sealed(OLD_KEY, Buffer.from([0xff, 0xfe]))] },
    ]);
    expect(await keys('status')).toContain(
      `\n1 cannot be read:\nsecret ${id}, version 1, key ${OLD_ID}: NOT_UTF8\n`,
    );
    expect(await keys('rotate', '--dry-run')).toMatch(/^1 values would be encrypted anew [^.]*\.\n$/);
    expect(await keys('rotate')).toMatch(/^1 values encrypted anew [^.]*\.\n$/);
    expect(await keys('status')).toContain(
      `\n1 cannot be read:\nsecret ${id}, version 1, key ${NEW_ID}: NOT_UTF8\n`,
    );
  });

  test('with --json prints the same', async () => {
    const id = await storeOld();
    expect(JSON.parse(await keys('status', '--json'))).toEqual({
      primaryKeyId: NEW_ID,
      keys: [
        { keyId: NEW_ID, versionCount: 0, isConfigured: true, isPrimary: true },
        { keyId: OLD_ID, versionCount: 3, isConfigured: true, isPrimary: false },
        { keyId: '', versionCount: 1, isConfigured: false, isPrimary: false },
      ],
      undecryptableCount: 1,
      undecryptable: [{ secretId: Number(id), version: 3, keyId: '', cause: 'NO_KEY_FITS' }],
    });
  });
});
