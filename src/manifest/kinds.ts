import { ACCOUNT_FIELDS, USER_FIELDS, USER_PROFILE_FIELDS } from '../account/account.js';
import {
  EMPTY,
  protoName,
  type Field,
  type Fields,
  type Kind as FieldKind,
  type Values,
} from '../lib/fields.js';
import type { ResourceKind } from '../lib/public-id.js';
import type { Permission } from '../lib/scopes.js';
import { SECRET_FIELDS } from '../secret/secret.js';
import { TOKEN_FIELDS } from '../token/token.js';

export const API_VERSION = 'keyward/v1';

/** Value is what one field of a resource holds. */
export type Value = Values[FieldKind];

/** Settings are values of a resource's fields, by their names. */
export type Settings = Readonly<Record<string, Value>>;

/** KindRules is what tells one kind of documents from the others. */
interface KindRules {
  /** The fields that its owner sets. */
  readonly fields: Fields;
  /** What names the resource in `spec`: its owner, or these texts, each of which is needed. */
  readonly identity: 'owner' | readonly IdentityField[];
  /** What can be given to a new resource alone, and why. */
  readonly fixed: Readonly<Record<string, string>>;
  readonly locator: ResourceKind | undefined;
  /** What is needed to look at such a resource, and to change it. */
  readonly read: Permission;
  readonly write: Permission;
}

export type IdentityField = 'username' | 'accountNumber';

const NAMES = 'it names the resource';
const ACCOUNTS = { read: 'keyward.accounts.read', write: 'keyward.accounts.write' } as const;

export const KINDS = {
  ApiKey: {
    fields: TOKEN_FIELDS,
    identity: 'owner',
    fixed: { name: NAMES, prefix: 'plaintexts begin with it' },
    locator: 'token',
    read: 'keyward.tokens.read',
    write: 'keyward.tokens.write',
  },
  Secret: {
    fields: SECRET_FIELDS,
    identity: 'owner',
    fixed: { name: NAMES },
    locator: 'secret',
    read: 'keyward.secrets.read',
    write: 'keyward.secrets.write',
  },
  Account: {
    fields: ACCOUNT_FIELDS,
    identity: ['accountNumber'],
    fixed: {},
    locator: 'account',
    ...ACCOUNTS,
  },
  User: { fields: USER_FIELDS, identity: [], fixed: {}, locator: undefined, ...ACCOUNTS },
  UserProfile: {
    fields: USER_PROFILE_FIELDS,
    identity: ['username', 'accountNumber'],
    fixed: {},
    locator: 'userprofile',
    ...ACCOUNTS,
  },
} as const satisfies Readonly<Record<string, KindRules>>;

export type KindName = keyof typeof KINDS;

/** What stands in `metadata`; all other fields are in `spec`. */
const METADATA: readonly string[] = ['name', 'description', 'version', 'tags', 'annotations', 'manifestPath'];

/** VALUE_FROM is the field of a secret's document that tells where the client has its value from. */
export const VALUE_FROM = 'spec.valueFrom';

/** rulesOf are those of a kind. */
export function rulesOf(kind: KindName): KindRules {
  return KINDS[kind];
}

/** placeOf is where a document has a field. */
export function placeOf(name: string): string {
  return `${METADATA.includes(name) ? 'metadata' : 'spec'}.${name}`;
}

/** fieldsIn are the fields that a document of a kind has in `metadata` or in `spec`. */
export function fieldsIn(part: 'metadata' | 'spec', kind: KindName): [name: string, field: Field][] {
  return Object.entries(rulesOf(kind).fields).filter(([name]) => placeOf(name).startsWith(part));
}

/** maskPathOf is what an update mask names a field by. */
export function maskPathOf(name: string): string {
  return protoName(placeOf(name));
}

/** MASK_PATHS are all that an update mask can name. */
export const MASK_PATHS: readonly string[] = [
  ...new Set([
    ...Object.values<KindRules>(KINDS).flatMap(({ fields, fixed }) =>
      Object.keys(fields)
        .filter((name) => !Object.hasOwn(fixed, name))
        .map(maskPathOf),
    ),
    protoName(VALUE_FROM),
  ]),
];

/** newValueOf is what a field of a new resource has that is not given. */
export function newValueOf({ kind, ifEmpty }: Field): Value {
  return ifEmpty ?? EMPTY[kind];
}

/** isSame compares two values of one field. */
export function isSame(one: Value, other: Value): boolean {
  if (one instanceof Map && other instanceof Map) {
    return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((text, index) => text === other[index]);
  }
  return one === other;
}
