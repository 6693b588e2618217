import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstPage, MAX_PAGE, messageBytes, PIECE } from '../../../src/lib/page-size.js';
import { Token } from '../../../src/gen/keyward/token/v1/token.js';
import { anyText } from '../../support/arbitrary.js';

/** A row that takes so many bytes, or a little more than that. */
function rowOf(bytes: number): { readonly text: string } {
  return { text: 'x'.repeat(bytes) };
}

test('a page is the first rows: as many as asked for, or as fit, but at least one, and read in pieces', async () => {
  const size = fc.integer({ min: 1, max: 100 });
  const rows = fc.array(
    fc.oneof(fc.constant(100), fc.integer({ min: 0, max: 800_000 }), fc.constant(2 * MAX_PAGE)).map(rowOf),
    { maxLength: 120 },
  );
  await fc.assert(
    fc.asyncProperty(size, rows, async (most, all) => {
      let read = 0;
      const page = await firstPage(most, (count) => {
        expect(count).toBeLessThanOrEqual(PIECE);
        const piece = all.slice(read, read + count);
        read += piece.length;
        return Promise.resolve(piece);
      });
      const bytes = (count: number) => all.slice(0, count).reduce((sum, row) => sum + messageBytes(row), 0);
      const { length } = page.rows;
      expect(page.rows).toEqual(all.slice(0, length));
      expect(page.hasMore).toBe(length < all.length);
      expect(length).toBeLessThanOrEqual(most);
      if (all.length > 0) expect(length).toBeGreaterThan(0);
      if (length > 1) expect(bytes(length)).toBeLessThanOrEqual(MAX_PAGE);
      if (length < Math.min(most, all.length)) expect(bytes(length + 1)).toBeGreaterThan(MAX_PAGE);
      expect(read - length).toBeLessThanOrEqual(PIECE);
    }),
    { numRuns: 60 },
  );
});

test('no row takes more bytes in a message than it is counted with', () => {
  const row = fc.record({
    name: anyText(),
    description: anyText(),
    manifestPath: anyText(),
    tags: fc.array(anyText()),
    annotations: fc.dictionary(anyText(), anyText()),
    scopes: fc.array(anyText()),
  });
  fc.assert(
    fc.property(row, ({ annotations, ...texts }) => {
      const message = Token.fromPartial({ ...texts, annotations: new Map(Object.entries(annotations)) });
      // The rest, and a frame in the list.
      const spare = 400;
      expect(Token.encode(message).finish().length + spare).toBeLessThan(
        messageBytes({ ...texts, annotations }),
      );
    }),
  );
});
