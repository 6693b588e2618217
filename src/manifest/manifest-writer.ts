import { Document, isScalar, Scalar, visit } from 'yaml';
import type { Owner } from '../authz/owner.js';
import { etagOf } from '../lib/etag.js';
import { formatPgTimestamp, type Instant } from '../lib/instant.js';
import { recordLocator } from '../lib/public-id.js';
import { MAX_PAGE } from '../lib/page-size.js';
import { printableJson } from '../lib/text.js';
import { API_VERSION, fieldsIn, rulesOf, type KindName, type Settings, type Value } from './kinds.js';

/** Described is a resource that a document is written of: what its service gives. */
export interface Described {
  readonly id: bigint;
  readonly rowVersion: bigint;
  readonly createdAt: Instant | null;
  readonly updatedAt: Instant | null;
  readonly name?: string;
  readonly username?: string;
  readonly accountNumber?: string;
  readonly owner?: Owner;
}

export type Format = 'YAML' | 'JSON';

/** What a terminal obeys, or a reader cannot see: YAML and JSON can write it by its number. */
const UNPRINTABLE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffe\uffff]/gu;
/** The same without those that JSON writes by two numbers, in three times their bytes. */
const SHORTLY_UNPRINTABLE = /(?![\n\u{10000}-\u{10ffff}])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\ufffe\uffff]/gu;

/**
 * writeManifest writes a document, which readManifest reads back. `status` is what else is to be told. A text that would be
 * longer than answers are has the rarest of the hidden characters as they are.
 */
export function writeManifest(
  kind: KindName,
  resource: Described,
  status: Readonly<Record<string, Instant | string | null>>,
  format: Format,
): string {
  const document = {
    apiVersion: API_VERSION,
    kind,
    metadata: { ...nameOf(kind, resource), ...given('metadata', kind, resource) },
    spec: { ...identityOf(kind, resource), ...given('spec', kind, resource) },
    status: statusOf(kind, resource, status),
  };
  const [plain, printable] = format === 'JSON' ? jsonOf(document) : yamlOf(document);
  const text = printable();
  return Buffer.byteLength(text) <= MAX_PAGE ? text : plain.replace(SHORTLY_UNPRINTABLE, escaped);
}

/** Text is a document as it is written, and with everything hidden in it written by numbers. */
type Text = readonly [plain: string, printable: () => string];

function jsonOf(value: object): Text {
  const json = `${JSON.stringify(value, undefined, 2)}\n`;
  return [json, () => printableJson(json)];
}

/** plainOf is a value of a field as documents have it. */
export function plainOf(value: Value): unknown {
  if (typeof value === 'bigint') return timeText(value);
  return value instanceof Map ? Object.fromEntries(value) : value;
}

function nameOf(kind: KindName, { username }: Described): object {
  return kind === 'User' ? { name: username } : {};
}

/** given leaves out what is empty, which a document without it leaves as it is. */
function given(part: 'metadata' | 'spec', kind: KindName, resource: Described): object {
  const settings = resource as unknown as Settings;
  return Object.fromEntries(
    fieldsIn(part, kind).flatMap(([name]) => {
      const value = settings[name] ?? null;
      return isEmpty(value) ? [] : [[name, plainOf(value)]];
    }),
  );
}

function isEmpty(value: Value): boolean {
  if (value === null || value === '') return true;
  return value instanceof Map ? value.size === 0 : Array.isArray(value) && value.length === 0;
}

function identityOf(kind: KindName, resource: Described): object {
  const { identity } = rulesOf(kind);
  if (identity !== 'owner') return Object.fromEntries(identity.map((name) => [name, resource[name]]));
  const { username, accountNumber } = resource.owner ?? {};
  return { owner: { username, accountNumber } };
}

function statusOf(
  kind: KindName,
  { id, rowVersion, createdAt, updatedAt }: Described,
  more: Readonly<Record<string, Instant | string | null>>,
): object {
  const { locator } = rulesOf(kind);
  const status = {
    id: String(id),
    ...(locator === undefined ? {} : { recordLocator: recordLocator(locator, id) }),
    ...more,
    createdAt,
    updatedAt,
    etag: etagOf(rowVersion),
  };
  const told = Object.entries(status).filter(([, value]) => value !== null);
  return Object.fromEntries(
    told.map(([name, value]) => [name, typeof value === 'bigint' ? timeText(value) : value]),
  );
}

function timeText(instant: Instant): string {
  return formatPgTimestamp(instant).replace(/\.?0+Z$/, 'Z');
}

function yamlOf(value: object): Text {
  // What programs read otherwise that know YAML 1.1 is put in quotes.
  const document = new Document(value, { compat: 'yaml-1.1', aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_, node) => {
      if (isScalar(node) && mustBeQuoted(node.value)) node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  const yaml = document.toString({ lineWidth: 0 });
  return [yaml, () => yaml.replace(UNPRINTABLE, escaped)];
}

/** mustBeQuoted tells of a text that is not read back from the forms that need no quotes. */
function mustBeQuoted(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const isPadded = value.includes('\n') && value.split('\n').some((line) => line.trim() !== line);
  return value === '<<' || isPadded || value.search(UNPRINTABLE) >= 0;
}

function escaped(character: string): string {
  const digits = (character.codePointAt(0) ?? 0).toString(16);
  return digits.length <= 4 ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`;
}
