import { expect, test } from 'vitest';
import type { AuditEntry } from '../../../src/audit/audit-log.js';
import { extend, newChain, originOf } from '../../../src/audit/audit-record.js';
import { recordsJson } from '../../../src/audit/audit-rows.js';
import { consumerDetail, NO_CONSUMERS } from '../../../src/lib/references.js';
import { anEntry } from '../../support/audit-records.js';
import { testKeyring } from '../../support/audit.js';

const { actor } = anEntry();

/** rowsOf are what is written once for all records that it is said of, for records of these details. */
function rowsOf(
  details: readonly AuditEntry['detail'][],
): { readonly ids: string[]; readonly detail: unknown }[] {
  const chain = newChain(testKeyring(), 'CHANGES', 0n);
  const entries = details.map((detail) => ({ entry: anEntry({ actor, detail }), occurredAt: 0n }));
  const ids = entries.map((_, index) => BigInt(index + 1));
  return JSON.parse(recordsJson(extend(chain, originOf(chain), entries, ids).records)) as ReturnType<
    typeof rowsOf
  >;
}

test('what the records of many tokens say alike is written once, whoever made the details of each', () => {
  const rows = rowsOf([
    ...Array.from({ length: 500 }, () => consumerDetail(NO_CONSUMERS)),
    ...Array.from({ length: 500 }, () => ({ cause: 'owner_promoted', ...consumerDetail(NO_CONSUMERS) })),
  ]);
  expect(rows.map(({ ids, detail }) => [ids.length, detail])).toEqual([
    [500, {}],
    [500, { cause: 'owner_promoted' }],
  ]);
});

test('a record that says something else, or more, or less, has a row of its own', () => {
  const rows = rowsOf([{ a: '1' }, { a: '2' }, { b: '2' }, { a: '2', b: '2' }, { a: '2' }, {}]);
  expect(rows.map(({ detail }) => detail)).toEqual([
    { a: '1' },
    { a: '2' },
    { b: '2' },
    { a: '2', b: '2' },
    { a: '2' },
    {},
  ]);
});
