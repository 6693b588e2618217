import type { Timestamp } from '../gen/google/protobuf/timestamp.js';
import {
  checkFields,
  defaultsOf,
  EMPTY,
  mapFields,
  protoName,
  type ChangeOf,
  type Field,
  type Fields,
  type InMask,
  type Kind,
  type SettingsOf,
  type Values,
} from '../lib/fields.js';
import type { Instant } from '../lib/instant.js';
import type { Violations } from '../lib/violations.js';
import { fromTimestamp, readExpiry, toTimestamp, type Expiry } from './timestamp.js';

/** What messages have for each kind of field. */
interface Messages {
  text: string;
  boolean: boolean;
  texts: string[];
  map: Map<string, string>;
  expiry: Timestamp | undefined;
}

/** MessageOf is the fields of a table as the message of the resource has them. */
type MessageOf<Table extends Fields> = { -readonly [Name in keyof Table]: Messages[Table[Name]['kind']] };

/** MaskedOf is what readChange needs of such a message. */
type MaskedOf<Table extends Fields> = {
  readonly [Name in InMask<Table>]?: Messages[Table[Name]['kind']] | undefined;
};

/** NewOf is the fields of a table as a request has them that makes a resource: an expiry as a time or as a span. */
type NewOf<Table extends Fields> = {
  readonly [Name in keyof Table as Table[Name]['kind'] extends 'expiry' ? 'expiry' : Name]?:
    (Table[Name]['kind'] extends 'expiry' ? Expiry : Messages[Table[Name]['kind']]) | undefined;
};

/** CallOptions are fields of such a request that are about the call, and read before its handler. */
interface CallOptions {
  readonly validateOnly: boolean;
}

/** Exactly does not compile where a message has a field that the table has not, or the other way round. */
type Exactly<Expected, Message> = Record<
  Exclude<keyof Message, keyof Expected> | Exclude<keyof Expected, keyof Message>,
  never
>;

/** NotSet is what a resource's message has besides the fields of its table, all of which the service sets. */
export type NotSet<Message, Table extends Fields> = Required<Omit<Message, keyof Table>>;

const WRITERS: { readonly [K in Kind]: (value: Values[K]) => Messages[K] } = {
  text: (text) => text,
  boolean: (is) => is,
  texts: (texts) => [...texts],
  map: (entries) => new Map(entries),
  expiry: toTimestamp,
};

/** toFields writes the fields of a table. */
export function toFields<Table extends Fields>(fields: Table, resource: SettingsOf<Table>): MessageOf<Table> {
  const write = ({ kind }: Field, name: string): unknown => WRITERS[kind](resource[name] as never);
  return mapFields(fields, write) as MessageOf<Table>;
}

/** readNew reads the settings of a new resource from `given`, which is a request without what is no setting. */
export function readNew<Table extends Fields, Request extends NewOf<Table>>(
  v: Violations,
  fields: Table,
  given: Request & Exactly<NewOf<Table> & CallOptions, Request>,
  now: Instant,
): SettingsOf<Table> {
  const defaults: Readonly<Record<string, unknown>> = defaultsOf(fields);
  const request: Readonly<Record<string, unknown>> & { readonly expiry?: Expiry } = given;
  const settings = mapFields(fields, ({ kind }, name) => {
    if (kind === 'expiry') return readExpiry(v, request.expiry, now);
    const value = request[name];
    return isEmpty(value) ? defaults[name] : value;
  }) as SettingsOf<Table>;
  checkFields(v, '', fields, settings, now);
  return settings;
}

/** UpdateRequest is what an update gives; `field` is the name of the resource in the request. */
interface UpdateRequest<Message> {
  readonly field: string;
  readonly resource: Message | undefined;
  readonly mask: readonly string[] | undefined;
}

/** readChange reads the changes of the fields that a mask names. What the resource has not is empty, as in proto3. */
export function readChange<Table extends Fields>(
  v: Violations,
  fields: Table,
  { field, resource, mask }: UpdateRequest<MaskedOf<Table>>,
  now: Instant,
): ChangeOf<Table> {
  const message: Readonly<Record<string, unknown>> = resource ?? {};
  const change = mapFields(readMask(v, fields, mask), ({ kind }, name) => {
    const value = message[name] ?? EMPTY[kind];
    if (kind !== 'expiry' || value === null) return value;
    return fromTimestamp(v, `${field}.${protoName(name)}`, value as Timestamp) ?? null;
  }) as ChangeOf<Table>;
  checkFields<Fields>(v, `${field}.`, fields, change, now);
  return change;
}

/** readMask gives the fields that a mask names. */
function readMask(v: Violations, fields: Fields, mask: readonly string[] = []): Fields {
  const changeable = Object.entries(fields).filter(([, { notInMask }]) => notInMask === undefined);
  const known = changeable.map(([name]) => protoName(name));
  v.check(mask.length > 0, 'update_mask', 'must name at least one field');
  const areKnown = mask.every((path) => known.includes(path));
  v.check(areKnown, 'update_mask', `must only name fields of ${known.join(', ')}`);
  return Object.fromEntries(changeable.filter(([name]) => mask.includes(protoName(name))));
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}
