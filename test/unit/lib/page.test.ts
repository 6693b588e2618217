import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  nextPageToken,
  parseListRequest,
  type ListFields,
  type ListRequest,
  type PageQuery,
} from '../../../src/lib/page.js';
import { type FieldViolation } from '../../../src/lib/errors.js';
import { checked } from '../../../src/lib/violations.js';
import { anyText } from '../../support/arbitrary.js';
import { violationsOf } from '../../support/violations.js';

const FIELDS: ListFields = {
  filter: { name: { type: 'text' } },
  order: { id: {}, name: {}, a: {}, b: {}, c: {}, d: {} },
};
const REQUEST: ListRequest = { pageSize: 0, pageToken: '', filter: '', orderBy: '' };
const FOREIGN = {
  field: 'page_token',
  rule: 'must be the next_page_token of a list with the same filter and order_by',
};

function parse(request: Partial<ListRequest>): PageQuery {
  return checked((v) => parseListRequest(v, { ...REQUEST, ...request }, FIELDS, { isGone: () => false }));
}

test.each([
  [0, 50],
  [1, 1],
  [1000, 1000],
  [1001, 1000],
  [2_147_483_647, 1000],
])('a page size of %i means %i', (pageSize, size) => {
  expect(parse({ pageSize }).size).toBe(size);
});

test.each<[string, PageQuery['order']]>([
  ['', [{ field: 'id', descending: false }]],
  [
    ' name ',
    [
      { field: 'name', descending: false },
      { field: 'id', descending: false },
    ],
  ],
  [
    'name  desc,a asc',
    [
      { field: 'name', descending: true },
      { field: 'a', descending: false },
      { field: 'id', descending: false },
    ],
  ],
  ['id desc', [{ field: 'id', descending: true }]],
  [
    'id,name',
    [
      { field: 'id', descending: false },
      { field: 'name', descending: false },
    ],
  ],
])('the order %j is total', (orderBy, order) => {
  expect(parse({ orderBy }).order).toEqual(order);
});

const ORDER_RULE = 'must be fields of id, name, a, b, c, d, each optionally followed by "desc"';
test.each<[Partial<ListRequest>, FieldViolation[]]>([
  [{ pageSize: -1 }, [{ field: 'page_size', rule: 'must not be negative' }]],
  [{ orderBy: 'digest' }, [{ field: 'order_by', rule: ORDER_RULE }]],
  [{ orderBy: 'constructor' }, [{ field: 'order_by', rule: ORDER_RULE }]],
  [{ orderBy: 'name;drop' }, [{ field: 'order_by', rule: ORDER_RULE }]],
  [{ orderBy: 'name DESC' }, [{ field: 'order_by', rule: ORDER_RULE }]],
  [{ orderBy: 'name,' }, [{ field: 'order_by', rule: ORDER_RULE }]],
  [{ orderBy: 'name,name desc' }, [{ field: 'order_by', rule: 'must not name a field twice' }]],
  [{ orderBy: 'name,a,b,c,d,id' }, [{ field: 'order_by', rule: 'must name at most 5 fields' }]],
  [
    { orderBy: `id${' '.repeat(1000)}bogus` },
    [{ field: 'order_by', rule: 'must be at most 1000 characters long' }],
  ],
  [{ pageToken: 'x' }, [FOREIGN]],
  [
    { pageSize: -1, pageToken: '!', filter: 'x', orderBy: 'x' },
    [
      { field: 'page_size', rule: 'must not be negative' },
      { field: 'filter', rule: 'cannot be read from character 1 on: expected <field> <operator> <value>' },
      { field: 'order_by', rule: ORDER_RULE },
      FOREIGN,
    ],
  ],
])('%j is refused, with all its violations', (request, violations) => {
  expect(violationsOf(() => parse(request))).toEqual(violations);
});

test('a page token gives back the values of the last row', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 255 }), fc.bigInt(), (name, id) => {
      const pageToken = nextPageToken(parse({ orderBy: 'name' }), [name, String(id)]);
      expect(parse({ orderBy: 'name', pageToken }).after).toEqual([name, String(id)]);
    }),
  );
});

test('the longest texts that rows are ordered by fit into a page token', () => {
  const lastRow = ['\u0001'.repeat(255), '\u0001'.repeat(150), '\u0001'.repeat(255), '9223372036854775807'];
  const pageToken = nextPageToken(parse({ orderBy: 'name,a,b' }), lastRow);
  expect(parse({ orderBy: 'name,a,b', pageToken }).after).toEqual(lastRow);
});

test.each<[string, Partial<ListRequest>]>([
  ['another filter', { filter: 'name = b' }],
  ['another value type', { filter: 'name = null' }],
  ['no filter', { filter: '' }],
  ['another order', { orderBy: 'name desc' }],
  ['another order field', { orderBy: 'a' }],
])('a page token of a list is refused with %s', (_, change) => {
  const first = { filter: 'name = a', orderBy: 'name' };
  const pageToken = nextPageToken(parse(first), ['a', '1']);
  expect(violationsOf(() => parse({ ...first, pageToken }))).toEqual([]);
  expect(violationsOf(() => parse({ ...first, ...change, pageToken }))).toEqual([FOREIGN]);
});

test('a page token stays good when only the page size and the spacing of the filter change', () => {
  const pageToken = nextPageToken(parse({ filter: 'name = a', pageSize: 1 }), ['1']);
  expect(violationsOf(() => parse({ filter: ' name="a" ', pageSize: 7, pageToken }))).toEqual([]);
});

test('texts that are no page tokens are refused, whatever they hold', () => {
  const { fingerprint } = parse({});
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const forged = fc.oneof(
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc
      .constantFrom(
        [fingerprint],
        [fingerprint, '1', '2'],
        [fingerprint, 1],
        [fingerprint, null],
        { 0: fingerprint },
        fingerprint,
      )
      .map(encoded),
    anyText({ minLength: 1 }),
    fc.constant('A'.repeat(100_000)),
  );
  fc.assert(
    fc.property(forged, (pageToken) => {
      expect(violationsOf(() => parse({ pageToken }))).toEqual([FOREIGN]);
    }),
  );
});
