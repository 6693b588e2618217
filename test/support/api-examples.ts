import { readFileSync } from 'node:fs';
import type { JsonValue } from '@bufbuild/protobuf';
import { z } from 'zod';

/** The files in the order in which their examples can be run: later ones are about what earlier ones made. */
const FILES = ['owners', 'tokens', 'secrets', 'manifests', 'endings'];
const Json = z.json();
const Examples = z.array(z.strictObject({ method: z.string(), request: Json, response: Json }));

/**
 * Example is a call in protobuf's JSON. Its response leaves parts out. Of a stream it is a list of messages, and so is
 * the request where the client sends one.
 */
export type Example = z.infer<typeof Examples>[number];

/** apiExamples are the examples of docs/examples, in an order in which they can be run. */
export function apiExamples(): Example[] {
  return FILES.flatMap((name) => {
    const text = readFileSync(new URL(`../../docs/examples/${name}.json`, import.meta.url), 'utf8');
    return Examples.parse(JSON.parse(text));
  });
}

/** messagesOf are the messages of an example's request or response. */
export function messagesOf(value: JsonValue): JsonValue[] {
  return Array.isArray(value) ? value : [value];
}

const NUMBER = /^\d+$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What differs from run to run, by the names of fields, and the form that it has in every run. */
const VARYING: Readonly<Record<string, RegExp>> = {
  ...namesWith(
    NUMBER,
    'id',
    'userId',
    'userProfileId',
    'accountId',
    'tokenId',
    'secretId',
    'revision',
    'sequence',
  ),
  ...namesWith(
    TIME,
    'createdAt',
    'updatedAt',
    'deletedAt',
    'purgeAt',
    'expiresAt',
    'graceEndsAt',
    'committedAt',
  ),
  ...namesWith(TIME, 'destroyedAt', 'occurredAt', 'foundAt'),
  keyId: /^([0-9a-f]{16}|[0-9a-f-]{36})$/,
  primaryKeyId: /^[0-9a-f]{16}$/,
  hashedId: /^rMTA\w+x$/,
  recordLocator: /^(account|userprofile|token|secret)-rMTA\w+x$/,
  plaintext: /^shop_[0-9a-f]{64}$/,
  tokenKey: /^shop_[0-9a-f]{10}$/,
  identifier: /^\*{4}[0-9a-f]{4}$/,
  etag: /^dj\w+$/,
  resumeToken: /^[0-9a-f-]{36}:\d+$/,
  waited: /^\d(\.\d+)?s$/,
  lease: /^\d(\.\d+)?s$/,
  leaseLeft: /^\d(\.\d+)?s$/,
  epoch: UUID,
  versionCount: NUMBER,
  peer: /^127\.0\.0\.1:\d+$/,
  manifest: /^apiVersion: keyward\/v1\nkind: /,
  requestId: UUID,
  chain: UUID,
};

function namesWith(form: RegExp, ...names: string[]): Record<string, RegExp> {
  return Object.fromEntries(names.map((name) => [name, form]));
}

/**
 * learn tells whether a response is what an example shows of it: all that the example holds is there, and the same but
 * for what varies. It keeps in `known` what stands in the place of the example's varying values.
 */
export function learn(known: Map<string, string>, shown: JsonValue, actual: JsonValue, name = ''): boolean {
  if (Array.isArray(shown)) return Array.isArray(actual) && learnSome(known, shown, actual);
  if (isObject(shown)) {
    if (!isObject(actual)) return false;
    return Object.entries(shown).every(([key, value]) => {
      const found = actual[key];
      return found !== undefined && learn(known, value, found, key);
    });
  }
  const form = VARYING[name];
  if (form === undefined || typeof shown !== 'string' || typeof actual !== 'string') return shown === actual;
  if (!form.test(shown) || !form.test(actual)) return false;
  known.set(shown, actual);
  return true;
}

/** learnSome finds what is shown of a list, in its order. */
function learnSome(
  known: Map<string, string>,
  shown: readonly JsonValue[],
  actual: readonly JsonValue[],
): boolean {
  let next = 0;
  return shown.every((value) => {
    while (next < actual.length) {
      const attempt = new Map(known);
      const found = learn(attempt, value, actual[next++] ?? null);
      if (!found) continue;
      for (const [text, stands] of attempt) known.set(text, stands);
      return true;
    }
    return false;
  });
}

/** withKnown puts the values of this run in the place of an example's. */
export function withKnown(known: ReadonlyMap<string, string>, value: JsonValue): JsonValue {
  if (typeof value === 'string') return known.get(value) ?? value;
  if (Array.isArray(value)) return value.map((item) => withKnown(known, item));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withKnown(known, item)]));
}

function isObject(value: JsonValue): value is { [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
