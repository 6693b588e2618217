import type { Instant } from './instant.js';
import type { Violations } from './violations.js';

/**
 * A resource has one table of the fields that its owner sets. What creates, changes, checks, stores and shows them goes by
 * that table:
 *
 *     export const TOKEN_FIELDS = {
 *       ...DESCRIPTION_FIELDS,
 *       scopes: { kind: 'texts', check: checkScopes, list: 'no', ifEmpty: ALL_SCOPES },
 *     } as const satisfies FieldsOf<TokenSettings>;
 */

/** Values are the kinds of fields, and what a field of each holds. */
export interface Values {
  text: string;
  boolean: boolean;
  texts: readonly string[];
  map: ReadonlyMap<string, string>;
  /** Null is never. */
  expiry: Instant | null;
}

export type Kind = keyof Values;

/** FieldOf is all that is to be known of a field of a kind. Its column has the name that it has in the proto. */
interface FieldOf<K extends Kind> {
  readonly kind: K;
  readonly check: (v: Violations, field: string, value: Values[K], now: Instant) => void;
  /** What lists can do with it. A list is filtered by single texts of `texts`, and by single keys of a `map`. */
  readonly list: 'no' | 'filter' | 'filter and order';
  /** What a new resource has where the request gives nothing, if that is not empty. */
  readonly ifEmpty?: Values[K];
  /** Why the update mask cannot name it; without this it can. */
  readonly notInMask?: string;
}

export type Field = { readonly [K in Kind]: FieldOf<K> }[Kind];

export type Fields = Readonly<Record<string, Field>>;

/** FieldsOf is a table that has each setting of a resource, and no others. */
export type FieldsOf<Settings> = { readonly [Name in keyof Settings]-?: FieldOf<KindOf<Settings[Name]>> };

type KindOf<Value> = {
  [K in Kind]: [Value, Values[K]] extends [Values[K], Value] ? K : never;
}[Kind];

/** SettingsOf are values for all fields of a table. */
export type SettingsOf<Table extends Fields> = {
  readonly [Name in keyof Table]: Values[Table[Name]['kind']];
};

/** InMask are the names of the fields that an update mask can name. */
export type InMask<Table extends Fields> = {
  [Name in keyof Table]: Table[Name] extends { readonly notInMask: string } ? never : Name;
}[keyof Table];

/** ChangeOf holds the settings to change, and no others. */
export type ChangeOf<Table extends Fields> = Partial<Pick<SettingsOf<Table>, InMask<Table>>>;

/** EMPTY is what a field of each kind has that is not given, as in proto3. */
export const EMPTY: Values = { text: '', boolean: false, texts: [], map: new Map(), expiry: null };

/** defaultsOf are the settings of a resource that was made of an empty request. */
export function defaultsOf<Table extends Fields>(fields: Table): SettingsOf<Table> {
  return mapFields(fields, ({ kind, ifEmpty }) => ifEmpty ?? EMPTY[kind]) as SettingsOf<Table>;
}

/** checkFields checks those of the fields that are given. */
export function checkFields<Table extends Fields>(
  v: Violations,
  prefix: string,
  fields: Table,
  values: Partial<SettingsOf<Table>>,
  now: Instant,
): void {
  for (const [name, { check }] of Object.entries(fields)) {
    const value = values[name];
    if (value !== undefined) check(v, `${prefix}${protoName(name)}`, value as never, now);
  }
}

/** mapFields makes an object that has something for each field. */
export function mapFields(
  fields: Fields,
  make: (field: Field, name: string) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, make(field, name)]));
}

/** bytesOf is about how many bytes a resource takes in a message, rather more than less. */
export function bytesOf(fields: Fields, resource: object): number {
  const values = resource as Readonly<Record<string, Values[Kind]>>;
  const characters = Object.keys(fields).reduce((sum, name) => sum + charactersOf(values[name]), 0);
  return 10_000 + 3 * characters;
}

function charactersOf(value: Values[Kind] | undefined): number {
  if (typeof value === 'string') return value.length;
  if (value === null || typeof value !== 'object') return 0;
  return [...value].flat().reduce((sum, text) => sum + text.length, 0);
}

/** bytesOfAll is that of several. */
export function bytesOfAll(fields: Fields, resources: Iterable<object>): number {
  let bytes = 0;
  for (const resource of resources) bytes += bytesOf(fields, resource);
  return bytes;
}

/** protoName is the name of a field in the proto, and so of its column. */
export function protoName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** anything is the check of a field in which every value is good. */
export function anything(): void {
  // Nothing to check.
}
