import { expect, test, vi } from 'vitest';
import { connectSource } from '../../../src/smarter/connect-source.js';
import { BATCH_BYTES } from '../../../src/smarter/row-batches.js';
import type { TextRow } from '../../../src/smarter/source.js';
import { createEmptyDatabase } from '../../support/database.js';
import { hasMariaDb, startMariaDb } from '../../support/mariadb.js';
import { execute } from '../../support/sql.js';

vi.setConfig({ testTimeout: 60_000 });

const SMALL = 300;
const LARGE = 100;
const LARGE_BYTES = 600_000;

/** As many rows as numbers, of which the later ones are large: nobody could tell from the first ones. */
const QUERY = `SELECT n, repeat('x', CASE WHEN n > ${SMALL} THEN ${LARGE_BYTES} ELSE 10 END) AS value FROM numbers ORDER BY n`;

const bytesOf = (rows: readonly TextRow[]) => rows.reduce((sum, { value }) => sum + (value ?? '').length, 0);

async function expectBounded(url: string): Promise<void> {
  const source = await connectSource(url);
  const batches: (readonly TextRow[])[] = [];
  try {
    for await (const batch of source.rows(QUERY, 2_000)) batches.push(batch);
  } finally {
    await source.close();
  }
  expect(batches.flat().map(({ n }) => Number(n))).toEqual(
    Array.from({ length: SMALL + LARGE }, (_, index) => index + 1),
  );
  for (const batch of batches) expect(bytesOf(batch)).toBeLessThan(BATCH_BYTES + LARGE_BYTES);
}

test('rows of any size come from PostgreSQL in batches that are bounded in bytes', async () => {
  const database = await createEmptyDatabase();
  const { url } = database;
  try {
    await execute(url, `CREATE TABLE numbers AS SELECT generate_series(1, ${SMALL + LARGE}) AS n`);
    await expectBounded(url);
  } finally {
    await database.drop();
  }
});

test.runIf(hasMariaDb())(
  'rows of any size come from MariaDB in batches that are bounded in bytes',
  async () => {
    const server = await startMariaDb();
    try {
      const rows = `CREATE TABLE numbers AS SELECT seq AS n FROM seq_1_to_${SMALL + LARGE}`;
      await expectBounded(await server.createDatabase('large', rows));
    } finally {
      await server.stop();
    }
  },
);
