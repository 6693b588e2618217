import { afterAll, beforeAll, expect, test } from 'vitest';
import { FernetKey } from '../../../src/crypto/fernet.js';
import { createImportTarget, type ImportTarget } from '../../support/import-target.js';
import { keyward } from '../../support/keyward-command.js';
import { execute } from '../../support/sql.js';
import {
  createSmarterDatabase,
  keysOf,
  readExpected,
  readFixture,
  type Expected,
  type SmarterDatabase,
} from '../../support/smarter-source.js';
import { readTables } from '../../support/tables.js';
import { tracesOf } from '../../support/traces.js';

/** Shorter ones may show by chance. */
const SHORTEST = 12;

let target: ImportTarget;
let source: SmarterDatabase;
let expected: Expected;

beforeAll(async () => {
  [target, source, expected] = await Promise.all([
    createImportTarget(),
    createSmarterDatabase(),
    readExpected(),
  ]);
});

afterAll(async () => {
  await target.drop();
  await source.drop();
});

function importWith(keys: readonly string[], ...args: string[]): Promise<string> {
  const env = {
    DATABASE_URL: target.url,
    KEYWARD_FERNET_KEYS: keys.join(),
    KEYWARD_IMPORT_FROM: source.url,
    KEYWARD_LOG_LEVEL: 'trace',
  };
  return keyward(['import-smarter', ...args], { env });
}

test('no imported value is in a report, a log or a table, whether the keys open it or not', async () => {
  const values = expected.secrets.flatMap(({ plaintext_b64: text }) => Buffer.from(text ?? '', 'base64'));
  const stored = await readFixture('smarter-db.sql');
  // Some are in plain at the source, as the names of other things.
  const told = values.filter((value) => value.length >= SHORTEST && !stored.includes(value.toString()));
  expect(told.length).toBeGreaterThan(30);
  const outputs = [
    await importWith([FernetKey.generate()], '--dry-run'),
    await importWith([FernetKey.generate()]),
    await importWith(keysOf(expected), '--json'),
    await importWith([FernetKey.generate()], '--json'),
  ];
  expect(outputs[1]).toContain('no configured key opens its value');
  const [row] = await execute(target.url, 'SELECT count(*) FROM secret_versions WHERE key_id IS NOT NULL');
  expect(Number(row?.['count'])).toBeGreaterThan(told.length);

  const searched = Buffer.from([...outputs, await readTables(target.url)].join('\n'));
  expect(told.flatMap((value) => tracesOf(value, searched))).toEqual([]);
});
