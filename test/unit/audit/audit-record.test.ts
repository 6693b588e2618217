import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalRecord, extend, newChain, originOf } from '../../../src/audit/audit-record.js';
import { anEntry, anyRecord } from '../../support/audit-records.js';
import { testKeyring } from '../../support/audit.js';

const NO_MAC = Buffer.alloc(32);
const mac = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes));

test('two records have the same text only if they are the same', () => {
  fc.assert(
    fc.property(anyRecord, anyRecord, (a, b) => {
      expect(canonicalRecord(2, a, NO_MAC) === canonicalRecord(2, b, NO_MAC)).toBe(isDeepStrictEqual(a, b));
    }),
  );
});

test('what moves from one field into the next makes another text', () => {
  const moved = fc.tuple(anyRecord, fc.string({ minLength: 1 }), fc.string());
  fc.assert(
    fc.property(moved, ([record, one, other]) => {
      const { actor, resource } = record;
      const texts = [
        { ...record, actor: { ...actor, username: one, peer: other } },
        { ...record, actor: { ...actor, username: '', peer: one + other } },
        { ...record, actor: { ...actor, username: '', peer: other, accountNumber: one } },
        { ...record, actor: { ...actor, username: '', peer: other, certificate: one } },
        { ...record, actor: { ...actor, username: '', peer: other, requestId: one } },
        { ...record, actor: { ...actor, username: '', peer: other, keyId: one } },
        { ...record, actor: { ...actor, username: '', peer: other }, resource: { ...resource, kind: one } },
      ].map((each) => canonicalRecord(2, { ...each, detail: {} }, NO_MAC));
      expect(texts[0]).not.toBe(texts[1]);
      expect(new Set(texts.slice(2)).size).toBe(texts.length - 2);
    }),
  );
});

test('nothing, an empty text and the text "null" are three things', () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const texts = [undefined, '', 'null'].map((certificate) =>
        canonicalRecord(2, { ...record, actor: { ...record.actor, certificate } }, NO_MAC),
      );
      expect(new Set(texts).size).toBe(3);
    }),
  );
});

test('facts have one text whatever the order they are given in, and none but texts have it', () => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const reversed = Object.fromEntries(Object.entries(record.detail).reverse());
      expect(canonicalRecord(2, { ...record, detail: reversed }, NO_MAC)).toBe(
        canonicalRecord(2, record, NO_MAC),
      );
      const asNumber = canonicalRecord(2, { ...record, detail: { count: 1 } }, NO_MAC);
      expect(canonicalRecord(2, { ...record, detail: { count: '1' } }, NO_MAC)).not.toBe(asNumber);
    }),
  );
});

test('the record before is part of the text', () => {
  fc.assert(
    fc.property(anyRecord, mac, mac, (record, one, other) => {
      expect(canonicalRecord(2, record, one) === canonicalRecord(2, record, other)).toBe(one.equals(other));
    }),
  );
});

test('a chain is authenticated by a key of its ring, and the first record by the header of the chain', () => {
  const chain = newChain(testKeyring(), 'CHANGES', 1n);
  const origins = [
    chain,
    { ...chain, purpose: 'APPENDED' as const },
    { ...chain, startedAt: 2n },
    { ...chain, format: 1 as const },
    { ...chain, keyId: '0000000000000000' },
    { ...chain, chain: newChain(testKeyring(), 'CHANGES', 1n).chain },
    { ...chain, key: Buffer.alloc(32) },
  ].map((each) => originOf(each).mac.toString('hex'));
  expect(new Set(origins).size).toBe(origins.length);
});

test('texts that the database cannot keep are made into such as it can, before they are authenticated', () => {
  const chain = newChain(testKeyring(), 'APPENDED', 1n);
  const odd = 'a\0b\ud800c';
  const { actor, resource } = anEntry();
  const entry = anEntry({
    actor: { ...actor, certificate: odd },
    resource: { ...resource, accountId: 10n, accountNumber: odd },
    detail: { [odd]: odd },
  });
  const { records, head } = extend(chain, originOf(chain), [{ entry, occurredAt: 5n }], [77n]);
  const kept = 'a\u{fffd}b\u{fffd}c';
  expect(records).toEqual([
    {
      ...entry,
      actor: { ...actor, certificate: kept },
      resource: { ...resource, accountId: 10n, accountNumber: kept },
      detail: { [kept]: kept },
      id: 77n,
      chain: chain.chain,
      seq: 1n,
      occurredAt: 5n,
      mac: head.mac,
    },
  ]);
});
