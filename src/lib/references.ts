/** What uses a resource: a reference of a token or a secret, of any kind of consumer. */

import type { Instant } from './instant.js';
import { checkText } from './resource-rules.js';
import type { Violations } from './violations.js';

/** ReferenceSettings tells what uses something, and for what. */
export interface ReferenceSettings {
  /** For example `sql_connection.password`. */
  readonly kind: string;
  /** The name or id of what uses it, as it calls itself. */
  readonly consumer: string;
}

/** Reference is one use of one resource. */
export interface Reference extends ReferenceSettings {
  readonly id: bigint;
  /** The number of what is used. */
  readonly usedId: bigint;
  readonly createdAt: Instant;
}

/** Consumers are the first of the references of one or several resources, and how many there are. */
export interface Consumers {
  readonly references: readonly Reference[];
  readonly count: number;
}

export const NO_CONSUMERS: Consumers = { references: [], count: 0 };

/** How many consumers are told, of however many. */
export const TOLD_CONSUMERS = 10;

const MAX_LIST = 2_000;
const KIND = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/;
const MAX_KIND = 100;
export const MAX_CONSUMER = 255;

/** isReferenceKind tells whether a text is a kind of consumers. */
export function isReferenceKind(kind: string): boolean {
  return kind.length <= MAX_KIND && KIND.test(kind);
}

export function checkReference(v: Violations, { kind, consumer }: ReferenceSettings): void {
  v.check(isReferenceKind(kind), 'kind', 'must be up to 100 characters of [a-z0-9_], in parts joined by "."');
  if (consumer === '') return v.add('consumer', 'is required');
  checkText(v, 'consumer', consumer, MAX_CONSUMER);
}

/** together are the consumers of several resources. */
export function together(first: Consumers, second: Consumers): Consumers {
  return {
    references: [...first.references, ...second.references].slice(0, TOLD_CONSUMERS),
    count: first.count + second.count,
  };
}

/** bytesOfConsumers is about how many bytes they take in a message, rather more than less. */
export function bytesOfConsumers({ references }: Consumers): number {
  return references.reduce((sum, { kind, consumer }) => sum + 100 + kind.length + 3 * consumer.length, 0);
}

/** consumerList lists consumers in one text: the first ten, or as many as an error or a record can hold. */
export function consumerList(references: readonly ReferenceSettings[]): string {
  let list = '';
  for (const { kind, consumer } of references.slice(0, TOLD_CONSUMERS)) {
    const longer = `${list}${list === '' ? '' : ','}${kind}=${consumer}`;
    if (Buffer.byteLength(longer) > MAX_LIST) break;
    list = longer;
  }
  return list;
}

/** consumerDetail tells in a record who holds what it is about; nothing of nobody. */
export function consumerDetail({ references, count }: Consumers): Readonly<Record<string, string>> {
  return count === 0 ? {} : { consumers: consumerList(references), consumer_count: String(count) };
}
