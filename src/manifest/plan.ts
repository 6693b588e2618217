import type { Instant } from '../lib/instant.js';
import type { Violations } from '../lib/violations.js';
import type { Payload } from '../secret/secret.js';
import type { Kept } from './keepers.js';
import {
  isSame,
  maskPathOf,
  newValueOf,
  placeOf,
  rulesOf,
  VALUE_FROM,
  type Settings,
  type Value,
} from './kinds.js';
import type { ManifestDocument } from './manifest-reader.js';
import { plainOf } from './manifest-writer.js';

/** Plan is what a document comes to. */
export interface Plan {
  readonly document: ManifestDocument;
  readonly outcome: 'CREATED' | 'UPDATED' | 'UNCHANGED';
  /** The resource as it is, without its texts: of a hundred documents each may be large. Undefined if there is none. */
  readonly before: Kept | undefined;
  /** All settings of a new resource, those to change of another. */
  readonly settings: Settings;
  /** What is told of the changes. */
  readonly changes: readonly FieldChange[];
  /** The value of a secret that it shall have. */
  readonly payload: Payload | undefined;
}

/** FieldChange tells of a field, as JSON, what it was and what it becomes. */
export interface FieldChange {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

/** Circumstances is what a document meets. */
interface Circumstances {
  readonly before: (Kept & Settings) | undefined;
  /** Paths of the fields to change; undefined for all that the document has. */
  readonly mask: readonly string[] | undefined;
  readonly now: Instant;
  /** A value that the secret has not. */
  readonly payload: Payload | undefined;
}

const MAX_SHOWN = 100;

/** planOf plans for one document, and adds a violation for each rule that is broken by what it would change. */
export function planOf(v: Violations, document: ManifestDocument, met: Circumstances): Plan {
  return met.before === undefined ? creation(v, document, met) : change(v, document, met, met.before);
}

function creation(v: Violations, document: ManifestDocument, { now, payload }: Circumstances): Plan {
  const { path, kind, identity } = document;
  // A user profile that is given no name has that of its user, which is checked with the user.
  const unnamed = kind === 'UserProfile' && document.name === '' ? { name: identity.username ?? '' } : {};
  const settings: Record<string, Value> = { ...unnamed };
  for (const [name, field] of Object.entries(rulesOf(kind).fields)) {
    if (name in unnamed) continue;
    const value = document.settings[name] ?? newValueOf(field);
    settings[name] = value;
    field.check(v, `${path}.${placeOf(name)}`, value as never, now);
  }
  if (kind === 'Secret' && payload === undefined)
    v.add(`${path}.${VALUE_FROM}`, 'is required: there is no such secret yet');
  return { document, outcome: 'CREATED', before: undefined, settings, changes: [], payload };
}

function change(
  v: Violations,
  document: ManifestDocument,
  { mask, now, payload }: Circumstances,
  before: Kept & Settings,
): Plan {
  const { path, kind } = document;
  const { fields, fixed } = rulesOf(kind);
  const settings: Record<string, Value> = {};
  const changes: FieldChange[] = [];
  for (const [name, field] of Object.entries(fields)) {
    const isNamed = mask?.includes(maskPathOf(name)) === true;
    if (mask !== undefined && !isNamed) continue;
    const value = document.settings[name] ?? (isNamed ? newValueOf(field) : undefined);
    const old = before[name] ?? null;
    if (value === undefined || isSame(value, old)) continue;
    const place = placeOf(name);
    const why = fixed[name];
    if (why !== undefined) v.add(`${path}.${place}`, `cannot be changed: ${why}`);
    else field.check(v, `${path}.${place}`, value as never, now);
    settings[name] = value;
    changes.push({ field: place, before: shown(old), after: shown(value) });
  }
  if (payload !== undefined) changes.push({ field: VALUE_FROM, before: '', after: '' });
  const outcome = changes.length === 0 ? 'UNCHANGED' : 'UPDATED';
  const { id, rowVersion } = before;
  return { document, outcome, before: { id, rowVersion }, settings, changes, payload };
}

function shown(value: Value): string {
  const characters = Array.from(JSON.stringify(plainOf(value)));
  return characters.length <= MAX_SHOWN ? characters.join('') : `${characters.slice(0, MAX_SHOWN).join('')}…`;
}
