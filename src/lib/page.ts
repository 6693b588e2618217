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
  /** In the place of those, the id of a row that the page before came to. */
  readonly afterId: string | undefined;
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
  readonly order: Readonly<Record<string, { readonly then?: string }>>;
}

const DEFAULT_SIZE = 50;
const MAX_SIZE = 1000;
const MAX_ORDER_FIELDS = 5;
const MAX_ORDER = 1000;
/** Room for the longest texts that rows are ordered by, as escaped JSON in base64. */
const MAX_PAGE_TOKEN = 8192;
/** What marks a page token that names a row by its id alone. */
const BY_ID = '+';

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
  const [mark, ...values] = parsePageToken(v, request.pageToken, fingerprint, order.length);
  const after = mark === fingerprint ? values : undefined;
  const afterId = mark === fingerprint + BY_ID ? values[0] : undefined;
  return { size, comparisons, order, after, afterId, fingerprint, reader };
}

/** nextPageToken is opaque to clients and carries no rights: every page is checked anew. */
export function nextPageToken(query: PageQuery, lastRow: readonly string[]): string {
  return Buffer.from(JSON.stringify([query.fingerprint, ...lastRow])).toString('base64url');
}

/** pageTokenById tells nothing of a row but its id: the next page goes on after it, and it may be one that is not seen. */
export function pageTokenById(query: PageQuery, id: bigint): string {
  return Buffer.from(JSON.stringify([query.fingerprint + BY_ID, String(id)])).toString('base64url');
}

function parseOrder(v: Violations, orderBy: string, fields: ListFields['order']): Ordering[] {
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
  return total(order, fields);
}

/** total adds what makes an order total: each in the direction of the field before, so that an index serves both directions. */
function total(order: Ordering[], fields: ListFields['order']): Ordering[] {
  const last = order.at(-1);
  const descending = last?.descending ?? false;
  for (const field of [last && fields[last.field]?.then, 'id']) {
    if (field !== undefined && !order.some((ordering) => ordering.field === field))
      order.push({ field, descending });
  }
  return order;
}

function parsePageToken(
  v: Violations,
  token: string,
  fingerprint: string,
  length: number,
): readonly string[] {
  if (token === '') return [];
  const values = (token.length <= MAX_PAGE_TOKEN && decode(token)) || [];
  const [mark, id = ''] = values;
  if (mark === fingerprint && values.length === length + 1) return values;
  if (mark === fingerprint + BY_ID && /^\d{1,18}$/.test(id)) return values;
  v.add('page_token', 'must be the next_page_token of a list with the same filter and order_by');
  return [];
}

function decode(token: string): string[] | undefined {
  try {
    const values: unknown = JSON.parse(Buffer.from(token, 'base64url').toString());
    return Array.isArray(values) && values.every((value) => typeof value === 'string') ? values : undefined;
  } catch {
    return undefined; // Not a token of ours; the caller reports it.
  }
}
