import { parseRfc3339 } from '../lib/instant.js';
import type { Kind as FieldKind, Values } from '../lib/fields.js';
import { checkText } from '../lib/resource-rules.js';
import { Violations } from '../lib/violations.js';
import {
  API_VERSION,
  fieldsIn,
  KINDS,
  rulesOf,
  type IdentityField,
  type KindName,
  type Settings,
  type Value,
} from './kinds.js';
import { pathOf, readManifestText, type ManifestMapping, type ManifestValue } from './manifest-text.js';

/** ManifestDocument is a document that has the form of its kind. What its values mean is judged with the resource. */
export interface ManifestDocument {
  /** Where it stands, as violations name it: `document[0]`. */
  readonly path: string;
  readonly kind: KindName;
  /** `metadata.name`: of a user, the username. */
  readonly name: string;
  /** Whose the resource is; undefined for the caller's. */
  readonly owner: Membership | undefined;
  /** What else names it. */
  readonly identity: Readonly<Partial<Record<IdentityField, string>>>;
  /** What it gives of the fields of its kind, which for all but users includes the name if it gives one. */
  readonly settings: Settings;
  /** Where the client has a secret's value from. */
  readonly valueFrom: ValueSource | undefined;
}

interface Membership {
  readonly username: string;
  readonly accountNumber: string;
}

/** ValueSource is a file or an environment variable of the client. */
export type ValueSource = { readonly file: string } | { readonly env: string };

/** Manifest is a text whose documents have the form of their kinds. */
export interface Manifest {
  readonly documents: readonly ManifestDocument[];
  /** place tells others of violations that were found in it, and where they stand. */
  place(found: Violations, to: Violations): void;
}

const TOP = ['apiVersion', 'kind', 'metadata', 'spec', 'status'];
const MAX_SOURCE = 4096;
const MAX_IDENTITY = 255;

/** readManifest reads a text. What breaks the forms of texts and documents is added to the violations, with its place. */
export function readManifest(v: Violations, text: string): Manifest {
  const read = readManifestText(v, text);
  const found = new Violations();
  const documents = read.documents.flatMap(
    (value, index) => readDocument(found, `document[${index}]`, value) ?? [],
  );
  refuseDuplicates(found, documents);
  const place = (from: Violations, to: Violations): void => {
    for (const { field, rule } of read.placed(from.all)) to.add(field, rule);
  };
  place(found, v);
  return { documents, place };
}

function readDocument(v: Violations, path: string, value: ManifestValue): ManifestDocument | undefined {
  const document = asMapping(v, path, value);
  if (document === undefined) return undefined;
  refuseUnknown(v, path, document, TOP);
  const version = document.get('apiVersion');
  v.check(version === API_VERSION, `${path}.apiVersion`, `must be ${API_VERSION}`);
  const kind = document.get('kind');
  if (!isKind(kind)) {
    v.add(`${path}.kind`, `must be one of ${Object.keys(KINDS).join(', ')}`);
    return undefined;
  }
  const metadata = readPart(v, path, 'metadata', document);
  const spec = readPart(v, path, 'spec', document);
  const given = metadata.get('name') ?? '';
  const name = typeof given === 'string' ? given : undefined;
  if (kind === 'User') checkKnown(v, `${path}.metadata`, metadata, kind, ['name']);
  else checkKnown(v, `${path}.metadata`, metadata, kind, []);
  const own = [...identityOf(kind), ...(kind === 'Secret' ? ['valueFrom'] : [])];
  checkKnown(v, `${path}.spec`, spec, kind, own);
  // A user profile without a name has that of its user.
  if (kind !== 'UserProfile') v.check(name !== '', `${path}.metadata.name`, 'is required');
  v.check(name !== undefined, `${path}.metadata.name`, BE_TEXT);
  return {
    path,
    kind,
    name: name ?? '',
    owner:
      kind === 'ApiKey' || kind === 'Secret'
        ? readOwner(v, `${path}.spec.owner`, spec.get('owner'))
        : undefined,
    identity: readIdentity(v, `${path}.spec`, kind, spec),
    settings: {
      ...readFields(v, path, 'metadata', kind, metadata),
      ...readFields(v, path, 'spec', kind, spec),
    },
    valueFrom: kind === 'Secret' ? readSource(v, `${path}.spec.valueFrom`, spec.get('valueFrom')) : undefined,
  };
}

function isKind(value: ManifestValue | undefined): value is KindName {
  return typeof value === 'string' && Object.hasOwn(KINDS, value);
}

function identityOf(kind: KindName): readonly string[] {
  const { identity } = rulesOf(kind);
  return identity === 'owner' ? ['owner'] : identity;
}

function readPart(
  v: Violations,
  path: string,
  part: 'metadata' | 'spec',
  document: ManifestMapping,
): ManifestMapping {
  const value = document.get(part);
  return value === undefined || value === null
    ? new Map()
    : (asMapping(v, `${path}.${part}`, value) ?? new Map());
}

function checkKnown(
  v: Violations,
  path: string,
  given: ManifestMapping,
  kind: KindName,
  others: readonly string[],
): void {
  const part = path.endsWith('.spec') ? 'spec' : 'metadata';
  refuseUnknown(v, path, given, [...fieldsIn(part, kind).map(([name]) => name), ...others]);
}

function refuseUnknown(v: Violations, path: string, given: ManifestMapping, known: readonly string[]): void {
  [...given.keys()].forEach((key, index) => {
    v.check(known.includes(key), pathOf(path, key, index), `is not known; there are ${known.join(', ')}`);
  });
}

const BE_TEXT = 'must be text: put it in quotes';

/** READERS read a value of each kind of fields; undefined, with a violation, for what is none. */
const READERS: {
  readonly [K in FieldKind]: (v: Violations, path: string, value: ManifestValue) => Values[K] | undefined;
} = {
  text: asText,
  boolean: (v, path, value) => {
    if (typeof value === 'boolean') return value;
    v.add(path, 'must be true or false');
    return undefined;
  },
  texts: (v, path, value) => {
    if (value === null) return [];
    if (!Array.isArray(value)) {
      v.add(path, 'must be a list of texts');
      return undefined;
    }
    return (value as readonly ManifestValue[]).map(
      (item, index) => asText(v, `${path}[${index}]`, item) ?? '',
    );
  },
  map: (v, path, value) => {
    if (value === null) return new Map();
    const mapping = asMapping(v, path, value);
    return (
      mapping &&
      new Map(
        [...mapping].map(([key, item], index) => [key, asText(v, pathOf(path, key, index), item) ?? '']),
      )
    );
  },
  expiry: (v, path, value) => {
    if (value === null) return null;
    const instant = typeof value === 'string' ? parseRfc3339(value) : undefined;
    if (instant === undefined) v.add(path, 'must be a time such as 2030-01-31T12:00:00Z');
    return instant;
  },
};

function readFields(
  v: Violations,
  path: string,
  part: 'metadata' | 'spec',
  kind: KindName,
  given: ManifestMapping,
): Settings {
  const settings: Record<string, Value> = {};
  for (const [name, field] of fieldsIn(part, kind)) {
    const value = given.get(name);
    // That of a name is told once, with what it is needed for.
    if (value === undefined || (name === 'name' && typeof value !== 'string')) continue;
    const read = READERS[field.kind](v, `${path}.${part}.${name}`, value);
    if (read !== undefined) settings[name] = read;
  }
  return settings;
}

function readIdentity(
  v: Violations,
  path: string,
  kind: KindName,
  spec: ManifestMapping,
): Readonly<Partial<Record<IdentityField, string>>> {
  const { identity } = rulesOf(kind);
  if (identity === 'owner') return {};
  return Object.fromEntries(identity.map((name) => [name, readNamed(v, `${path}.${name}`, spec.get(name))]));
}

function readOwner(v: Violations, path: string, value: ManifestValue | undefined): Membership | undefined {
  if (value === undefined || value === null) return undefined;
  const owner = asMapping(v, path, value);
  if (owner === undefined) return undefined;
  refuseUnknown(v, path, owner, ['username', 'accountNumber']);
  return {
    username: readNamed(v, `${path}.username`, owner.get('username')),
    accountNumber: readNamed(v, `${path}.accountNumber`, owner.get('accountNumber')),
  };
}

function readSource(v: Violations, path: string, value: ManifestValue | undefined): ValueSource | undefined {
  if (value === undefined || value === null) return undefined;
  const source = asMapping(v, path, value);
  if (source === undefined) return undefined;
  refuseUnknown(v, path, source, ['file', 'env']);
  v.check(source.size === 1, path, 'must have exactly one of file and env');
  const [[key, given] = ['file', '']] = source;
  const text = readNamed(v, `${path}.${key}`, given, MAX_SOURCE);
  return key === 'env' ? { env: text } : { file: text };
}

/** readNamed reads a text that must be given. */
function readNamed(
  v: Violations,
  path: string,
  value: ManifestValue | undefined,
  longest = MAX_IDENTITY,
): string {
  const text = asText(v, path, value ?? null);
  if (text === '') v.add(path, 'is required');
  else if (text !== undefined) checkText(v, path, text, longest);
  return text ?? '';
}

/** asText takes nothing for an empty text, as YAML writes it. */
function asText(v: Violations, path: string, value: ManifestValue): string | undefined {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  v.add(path, BE_TEXT);
  return undefined;
}

function asMapping(v: Violations, path: string, value: ManifestValue): ManifestMapping | undefined {
  if (value instanceof Map) return value as ManifestMapping;
  v.add(path, 'must be a mapping');
  return undefined;
}

/** refuseDuplicates keeps two documents from being about one resource: what is meant would go by their order. */
function refuseDuplicates(v: Violations, documents: readonly ManifestDocument[]): void {
  const paths = new Map<string, string>();
  for (const document of documents) {
    const key = keyOf(document);
    const first = paths.get(key);
    if (first === undefined) paths.set(key, document.path);
    else v.add(document.path, `is about the same resource as ${first}`);
  }
}

function keyOf({ kind, name, owner, identity }: ManifestDocument): string {
  const isNamed = rulesOf(kind).identity === 'owner' || kind === 'User';
  const { username, accountNumber } = owner ?? identity;
  return JSON.stringify([kind, username ?? '', accountNumber ?? '', isNamed ? name : '']);
}
