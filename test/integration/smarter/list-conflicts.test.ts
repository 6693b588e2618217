import { afterAll, beforeAll, expect, test } from 'vitest';
import { ImportSide, type ImportConflict } from '../../../src/client/index.js';
import { TEST_KEY } from '../../support/keyring.js';
import { keyward } from '../../support/keyward-command.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
  await execute(
    world.database.url,
    `INSERT INTO import_conflicts (kind, source_key, field, kept, keyward_value, source_value, decision) VALUES
       ('token', 'a', 'description', 'source', to_jsonb(repeat('🔑', 300)), '"short"', NULL),
       ('token', 'b', 'is_active', 'keyward', 'false', 'true', NULL),
       ('secret', '7', 'value', 'keyward', '"never shown"', '"never shown"', NULL),
       ('secret', '8', 'value', 'keyward', NULL, NULL, 'source'),
       ('secret', '9', 'annotations', 'source', '{"a": "never shown"}', '{}', NULL),
       ('user', '3', 'row', 'keyward', '{"is_active": true}', NULL, NULL)`,
  );
});

afterAll(() => world.close());

async function list(request: { pageSize?: number; filter?: string; orderBy?: string } = {}) {
  const all: ImportConflict[] = [];
  for (let pageToken = ''; ;) {
    const page = await world.admin.imports.listImportConflicts({ ...request, pageToken });
    all.push(...page.conflicts);
    pageToken = page.nextPageToken;
    if (pageToken === '') return all;
  }
}

test('conflicts that nobody has settled are listed, in pages, without values of secrets and annotations', async () => {
  const all = await list();
  expect(all.map(({ kind, key, field }) => `${kind} ${key} ${field}`)).toEqual([
    'token a description',
    'token b is_active',
    'secret 7 value',
    'secret 9 annotations',
    'user 3 row',
  ]);
  expect(all[0]).toMatchObject({ sourceValue: '"short"', kept: ImportSide.IMPORT_SIDE_SOURCE });
  expect(Array.from(all[0]?.keywardValue ?? '')).toHaveLength(201);
  expect(all[1]).toMatchObject({
    ...{ keywardValue: 'false', sourceValue: 'true' },
    kept: ImportSide.IMPORT_SIDE_KEYWARD,
  });
  for (const { keywardValue, sourceValue } of all.slice(2))
    expect({ keywardValue, sourceValue }).toEqual({ keywardValue: '', sourceValue: '' });
  expect(await list({ pageSize: 2 })).toEqual(all);
  expect(await list({ filter: 'kind = "token" AND kept = "keyward"' })).toEqual([all[1]]);
  expect(await list({ orderBy: 'id desc', pageSize: 1 })).toEqual(all.toReversed());
});

test('the command lists the same without a service', async () => {
  const printed = await keyward(['import-smarter', 'conflicts', '--json'], {
    env: { DATABASE_URL: world.database.url, KEYWARD_FERNET_KEYS: TEST_KEY },
  });
  const lines = printed.trimEnd().split('\n');
  const ofCommand = lines.map((line) => JSON.parse(line) as Record<string, string>);
  const ofCall = (await list()).map(({ id, kind, key, field, keywardValue, sourceValue }) => {
    return { id: String(id), kind, key, field, keywardValue, sourceValue };
  });
  expect(ofCommand.map(({ kept: _, foundAt: __, ...conflict }) => conflict)).toEqual(ofCall);
});
