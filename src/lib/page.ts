import { createHash } from 'node:crypto';
import type { Client } from './errors.js';
import type { Comparison, FieldType } from './filter.js';
import { parseFilter } from './filter.js';
import type { Violations } from './violations.js';

/** The four fields that every list request has. */
export interface ListRequest {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly filter: string;
  readonly orderBy: string;
}

interface Ordering {
  readonly field: string;
  readonly descending: boolean;
}

/** PageQuery is a list request that was checked and understood. */
export interface PageQuery {
  readonly size: number;
  readonly comparisons: readonly Comparison[];
  /** Ends with `id`, so that the order is total. */
  readonly order: readonly Ordering[];
  /** The order fields' values of the last row of the page before. */
  readonly after: readonly string[] | undefined;
  /** Marks filter and order: a page token belongs to one of them. */
  readonly fingerprint: string;
  /** Once they have gone, nothing is read any more. */
  readonly reader: Client;
}

/** Page is one page of a list. */
export interface Page<T> {
  readonly items: T[];
  readonly nextPageToken: string;
}

export interface ListFields {
  readonly filter: Readonly<Record<string, { readonly type: FieldType }>>;
  readonly order: Readonly<Record<string, unknown>>;
}

const DEFAULT_SIZE = 50;
const MAX_SIZE = 1000;
const MAX_ORDER_FIELDS = 5;
const MAX_ORDER = 1000;
/** Room for the longest texts that rows are ordered by, as escaped JSON in base64. */
const MAX_PAGE_TOKEN = 8192;

/** parseListRequest checks all four fields; violations name them. */
export function parseListRequest(
  v: Violations,
  request: ListRequest,
  fields: ListFields,
  reader: Client,
): PageQuery {
  v.check(request.pageSize >= 0, 'page_size', 'must not be negative');
  const size = request.pageSize === 0 ? DEFAULT_SIZE : Math.min(request.pageSize, MAX_SIZE);
  const comparisons = parseFilter(v, request.filter, fields.filter);
  const order = parseOrder(v, request.orderBy, fields.order);
  const fingerprint = createHash('sha256')
    .update(JSON.stringify([comparisons, order]))
    .digest('base64url')
    .slice(0, 16);
  const after = parsePageToken(v, request.pageToken, fingerprint, order.length);
  return { size, comparisons, order, after, fingerprint, reader };
}

/** nextPageToken is opaque to clients and carries no rights: every page is checked anew. */
export function nextPageToken(query: PageQuery, lastRow: readonly string[]): string {
  return Buffer.from(JSON.stringify([query.fingerprint, ...lastRow])).toString('base64url');
}

function parseOrder(v: Violations, orderBy: string, fields: Readonly<Record<string, unknown>>): Ordering[] {
  const order: Ordering[] = [];
  v.check(orderBy.length <= MAX_ORDER, 'order_by', `must be at most ${MAX_ORDER} characters long`);
  const parts = orderBy.trim() === '' ? [] : orderBy.slice(0, MAX_ORDER).split(',');
  v.check(parts.length <= MAX_ORDER_FIELDS, 'order_by', `must name at most ${MAX_ORDER_FIELDS} fields`);
  for (const part of parts.slice(0, MAX_ORDER_FIELDS)) {
    const [, field, direction] = /^\s*([a-z0-9_]+)(?:\s+(asc|desc))?\s*$/.exec(part) ?? [];
    if (field === undefined || !Object.hasOwn(fields, field)) {
      v.add(
        'order_by',
        `must be fields of ${Object.keys(fields).join(', ')}, each optionally followed by "desc"`,
      );
    } else if (order.some((ordering) => ordering.field === field)) {
      v.add('order_by', 'must not name a field twice');
    } else {
      order.push({ field, descending: direction === 'desc' });
    }
  }
  if (!order.some(({ field }) => field === 'id')) order.push({ field: 'id', descending: false });
  return order;
}

function parsePageToken(
  v: Violations,
  token: string,
  fingerprint: string,
  length: number,
): readonly string[] | undefined {
  if (token === '') return undefined;
  const values = token.length <= MAX_PAGE_TOKEN ? decode(token) : undefined;
  if (values?.length !== length + 1 || values[0] !== fingerprint) {
    v.add('page_token', 'must be the next_page_token of a list with the same filter and order_by');
    return undefined;
  }
  return values.slice(1);
}

function decode(token: string): string[] | undefined {
  try {
    const values: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(values) && values.every((value) => typeof value === 'string') ? values : undefined;
  } catch {
    return undefined; // Not a token of ours; the caller reports it.
  }
}
