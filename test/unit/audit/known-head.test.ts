import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChainHead } from '../../../src/audit/audit-record.js';
import { KnownHead } from '../../../src/audit/known-head.js';

let written = 0;

/** headAt is a head that differs from all others. */
function headAt(seq: bigint): ChainHead {
  written += 1;
  const mac = Buffer.alloc(32);
  mac.writeUInt32BE(written);
  return { seq, mac };
}

const ORIGIN = headAt(0n);

/** Row stands for the chain's row in the database: what its writers do to it, one after another. */
class Row {
  head: ChainHead = ORIGIN;
  readonly known = new KnownHead(ORIGIN);

  /** write is one transaction; `settle` tells the process of a commit, as its callback does. */
  write(isCommitted: boolean): { readonly agrees: boolean; readonly settle: () => ChainHead | undefined } {
    const writer = {};
    const agrees = this.known.agrees(this.head, writer);
    const head = headAt(this.head.seq + 1n);
    this.known.wrote(head, writer);
    if (isCommitted) this.head = head;
    return { agrees, settle: () => (isCommitted ? this.known.commit(writer) : undefined) };
  }
}

test('commits and roll-backs, told at once, later, or never, are what the process knows', () => {
  const transaction = fc.record({
    isCommitted: fc.boolean(),
    told: fc.constantFrom('at once', 'later', 'never'),
  });
  fc.assert(
    fc.property(fc.array(transaction, { maxLength: 30 }), (transactions) => {
      const row = new Row();
      const later: (() => ChainHead | undefined)[] = [];
      for (const { isCommitted, told } of transactions) {
        const { agrees, settle } = row.write(isCommitted);
        expect(agrees).toBe(true);
        if (told === 'at once') expect(settle()).toBeUndefined();
        if (told === 'later') later.push(settle);
      }
      for (const settle of later) expect(settle()).toBeUndefined();
      row.known.agrees(row.head, {});
      expect(row.known.committed).toBe(row.head);
    }),
  );
});

test('a row that was set back to any head before the last committed one is noticed', () => {
  const row = new Row();
  const before = [row.head];
  for (let count = 0; count < 3; count += 1) {
    row.write(true).settle();
    before.push(row.head);
  }
  for (const head of before.slice(0, -1)) {
    expect(row.known.agrees(head, {})).toBe(false);
  }
  expect(row.known.agrees(headAt(4n), {})).toBe(false);
  expect(row.known.agrees(row.head, {})).toBe(true);
});

test('what was cut before its commit was told is noticed when it is', () => {
  const row = new Row();
  row.write(true).settle();
  const before = row.head;
  const cut = row.write(true);
  const lost = row.head;
  row.head = before;
  const next = row.write(true);
  expect(next.agrees).toBe(true);
  expect(cut.settle()).toEqual(lost);
  expect(next.settle()).toBeUndefined();
});

test('a transaction that records twice agrees with itself, and commits nothing by that', () => {
  const known = new KnownHead(ORIGIN);
  const writer = {};
  const [first, second] = [headAt(1n), headAt(2n)];
  known.agrees(ORIGIN, writer);
  known.wrote(first, writer);
  expect(known.agrees(first, writer)).toBe(true);
  known.wrote(second, writer);
  // It was rolled back.
  expect(known.agrees(ORIGIN, {})).toBe(true);
});
