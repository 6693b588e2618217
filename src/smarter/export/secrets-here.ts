import type { Knex } from 'knex';
import type { Keyring } from '../../crypto/keyring.js';
import { KeywardError } from '../../lib/errors.js';
import type { Instant } from '../../lib/instant.js';
import { openValue } from '../../secret/sealed-value.js';
import type { PayloadFormat } from '../../secret/secret.js';
import { VALUE_VERSION } from '../secret-rows.js';
import type { Fields } from '../source-rows.js';
import { query } from '../target-store.js';
import { among, type Part } from './here.js';
import { timeText } from './tokens-here.js';

/** SecretHere is a secret of Keyward, as the platform is to have it, without its value. */
export interface SecretHere {
  readonly id: string;
  /** The platform's number; undefined if the platform has never had it. */
  readonly key: string | undefined;
  readonly before: Fields | undefined;
  /** What an export was about to make of it, if it is not known whether it did. */
  readonly announced: Fields | null;
  readonly fields: Fields;
  /** The newest version that is enabled; null if none is. */
  readonly version: number | null;
  readonly owner: { readonly profileId: bigint; readonly accountId: bigint; readonly accountNumber: string };
}

interface SecretColumns {
  id: string;
  key: string | null;
  before: Fields | null;
  announced: Fields | null;
  profile_key: string | null;
  name: string;
  description: string;
  label: string;
  tags: string[];
  annotations: Record<string, string>;
  expires_at: Instant | null;
  last_accessed_at: Instant | null;
  created_at: Instant | null;
  updated_at: Instant | null;
  version: number | null;
  profile_id: bigint;
  account_id: bigint;
  account_number: string;
}

/** readSecretsHere reads secrets in the order of their numbers, after one of them. */
export async function readSecretsHere(knex: Knex, { after, limit, only }: Part): Promise<SecretHere[]> {
  const asked = among(only, 't.id');
  const rows = await query<SecretColumns>(
    knex,
    `SELECT t.id::text AS id, r.source_key AS key, nullif(r.fields, '{}') AS before, r.announced, p.source_key AS profile_key,
       t.name, t.description, t.version AS label, t.tags, t.annotations,
       t.expires_at, t.last_accessed_at, t.created_at, t.updated_at,
       (SELECT max(v.number) FROM secret_versions v WHERE v.secret_id = t.id AND v.state = 'ENABLED') AS version,
       up.id AS profile_id, a.id AS account_id, a.account_number
     FROM secrets t
     JOIN user_profiles up ON up.id = t.user_profile_id
     JOIN accounts a ON a.id = up.account_id
     LEFT JOIN import_records r ON r.kind = 'secret' AND r.target_id = t.id AND r.gone_at IS NULL
     LEFT JOIN import_records p ON p.kind = 'user_profile' AND p.target_id = t.user_profile_id
     WHERE t.deleted_at IS NULL AND t.id > ? ${asked.sql} ORDER BY t.id LIMIT ?`,
    [after, ...asked.bindings, limit],
  );
  return rows.map((row) => ({
    id: row.id,
    key: row.key ?? undefined,
    before: row.before ?? undefined,
    announced: row.announced,
    version: row.version,
    owner: { profileId: row.profile_id, accountId: row.account_id, accountNumber: row.account_number },
    fields: {
      ...{
        user_profile_id: row.profile_key,
        name: row.name,
        description: row.description,
        version: row.label,
      },
      ...{ tags: row.tags, annotations: row.annotations },
      expires_at: timeText(row.expires_at),
      last_accessed_at: timeText(row.last_accessed_at),
      created_at: timeText(row.created_at),
      updated_at: timeText(row.updated_at),
    },
  }));
}

/** isRevalued tells whether Keyward's value is not the one that both sides last agreed on. */
export function isRevalued({ before, version }: SecretHere): boolean {
  return version !== null && before?.[VALUE_VERSION] !== String(version);
}

/** OpenedValue is a value that is to leave, or why it cannot. */
export type OpenedValue = { readonly plaintext: Buffer } | { readonly refused: string };

/** openValues decrypts the values of some secrets, each of which must prove that it belongs where it stands. */
export async function openValues(
  knex: Knex,
  keyring: Keyring,
  secrets: readonly SecretHere[],
): Promise<ReadonlyMap<string, OpenedValue>> {
  const places = secrets.flatMap(({ id, version }) => (version === null ? [] : [{ id, number: version }]));
  if (places.length === 0) return new Map();
  const rows = await query<{
    id: string;
    number: number;
    format: PayloadFormat;
    key_id: string | null;
    ciphertext: Buffer;
    binding: Buffer | null;
    binding_key_id: string | null;
  }>(
    knex,
    `SELECT v.secret_id::text AS id, v.number, v.format, v.key_id, v.ciphertext, v.binding, v.binding_key_id
     FROM json_to_recordset(?::json) AS r (id bigint, number integer)
     JOIN secret_versions v ON v.secret_id = r.id AND v.number = r.number
     WHERE v.state = 'ENABLED' AND v.ciphertext IS NOT NULL`,
    [JSON.stringify(places)],
  );
  return new Map(
    rows.map(({ id, number, format, key_id: keyId, ciphertext, binding: mac, binding_key_id: macKeyId }) => {
      const binding = mac === null || macKeyId === null ? null : { mac, keyId: macKeyId };
      const place = { secretId: BigInt(id), number };
      return [id, opened(keyring, place, { format, keyId, ciphertext, binding })];
    }),
  );
}

function opened(
  keyring: Keyring,
  place: Parameters<typeof openValue>[1],
  value: Parameters<typeof openValue>[2],
): OpenedValue {
  if (value.format !== 'TEXT') return { refused: 'its value is no text' };
  try {
    return { plaintext: Buffer.from(openValue(keyring, place, value, 'misplaced').bytes) };
  } catch (error) {
    if (error instanceof KeywardError) return { refused: `its value cannot be read (${error.reason})` };
    throw error;
  }
}
