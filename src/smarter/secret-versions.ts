import { timingSafeEqual } from 'node:crypto';
import type { Knex } from 'knex';
import { Undecryptable, type Keyring } from '../crypto/keyring.js';
import { bind } from '../secret/binding/binding.js';
import { NO_TOKEN, VALUE_VERSION, type SecretRow } from './secret-rows.js';
import type { SecretValue } from './secret-value.js';
import { query } from './target-store.js';

/** ValueOfVersion is a value of the source and the version that it becomes. */
export interface ValueOfVersion {
  readonly secretId: string;
  readonly number: number;
  readonly value: SecretValue;
}

/** All that the source has are texts. */
const FORMAT = 'TEXT';

/** What `flat` gives, as columns. */
const FLAT = `"secretId" bigint, number integer, format text, "keyId" text, ciphertext text, mac text, "macKeyId" text`;

/** addVersions writes new versions: enabled, bound to their places, and made by nobody of Keyward. */
export async function addVersions(
  trx: Knex.Transaction,
  keyring: Keyring,
  versions: readonly (ValueOfVersion & { readonly createdAt: string | null })[],
): Promise<void> {
  if (versions.length === 0) return;
  await trx.raw(
    `INSERT INTO secret_versions
       (secret_id, number, format, key_id, ciphertext, binding, binding_key_id, created_at)
     SELECT r."secretId", r.number, r.format, r."keyId", decode(r.ciphertext, 'base64'),
       decode(r.mac, 'base64'), r."macKeyId", r."createdAt"
     FROM json_to_recordset(?::json) AS r (${FLAT}, "createdAt" timestamptz)`,
    [
      JSON.stringify(
        versions.map((version) => ({ ...flat(keyring, version), createdAt: version.createdAt })),
      ),
    ],
  );
}

/**
 * setKeys gives versions that no known key opened the key that does. It answers the secrets whose version was
 * such a one.
 */
export async function setKeys(
  trx: Knex.Transaction,
  keyring: Keyring,
  versions: readonly ValueOfVersion[],
): Promise<ReadonlySet<string>> {
  if (versions.length === 0) return new Set();
  const set = await query<{ id: string }>(
    trx,
    `UPDATE secret_versions v SET key_id = r."keyId", ciphertext = decode(r.ciphertext, 'base64'),
       binding = decode(r.mac, 'base64'), binding_key_id = r."macKeyId"
     FROM json_to_recordset(?::json) AS r (${FLAT})
     WHERE v.secret_id = r."secretId" AND v.number = r.number AND v.format = r.format
       AND v.key_id IS NULL AND v.ciphertext IS NOT NULL
     RETURNING v.secret_id::text AS id`,
    [JSON.stringify(versions.map((version) => flat(keyring, version)))],
  );
  return new Set(set.map(({ id }) => id));
}

function flat(
  keyring: Keyring,
  { secretId, number, value: { keyId, ciphertext } }: ValueOfVersion,
): Record<string, unknown> {
  const place = { secretId: BigInt(secretId), number };
  const { mac, keyId: macKeyId } = bind(keyring, place, { format: FORMAT, keyId, ciphertext });
  const base64 = { ciphertext: ciphertext.toString('base64'), mac: mac.toString('base64') };
  return { secretId, number, format: FORMAT, keyId, macKeyId, ...base64 };
}

/** StoredVersion is a version as Keyward has it. */
export interface StoredVersion {
  readonly number: number;
  readonly state: string;
  readonly keyId: string | null;
  readonly ciphertext: Buffer | null;
}

/** readNewestVersions finds the newest version of each of these secrets, and locks the secrets. */
export async function readNewestVersions(
  trx: Knex.Transaction,
  secretIds: readonly string[],
): Promise<ReadonlyMap<string, StoredVersion>> {
  if (secretIds.length === 0) return new Map();
  await trx.raw('SELECT FROM secrets WHERE id = ANY (?::bigint[]) ORDER BY id FOR UPDATE', [[...secretIds]]);
  const versions = await query<StoredVersion & { id: string }>(
    trx,
    `SELECT DISTINCT ON (secret_id) secret_id::text AS id, number, state, key_id AS "keyId", ciphertext
     FROM secret_versions WHERE secret_id = ANY (?::bigint[]) ORDER BY secret_id, number DESC`,
    [[...secretIds]],
  );
  return new Map(versions.map((version) => [version.id, version]));
}

/** holdsSame tells whether a version that can be read holds the same plaintext as a value of the source. */
export function holdsSame(keyring: Keyring, version: StoredVersion, value: SecretValue): boolean {
  if (version.state !== 'ENABLED' || version.ciphertext === null || version.keyId === null) return false;
  if (value.keyId === null) return false;
  try {
    const here = keyring.decrypt(version.ciphertext, version.keyId).plaintext;
    const there = keyring.decrypt(value.ciphertext, value.keyId).plaintext;
    const isSame = here.length === there.length && timingSafeEqual(here, there);
    here.fill(0);
    there.fill(0);
    return isSame;
  } catch (error) {
    if (error instanceof Undecryptable) return false;
    throw error;
  }
}

/**
 * findReplacedValues finds the rows whose value is no Fernet token, and was another one at the last import. Records
 * cannot tell, since they hold no digests of such values; but Keyward keeps the value as it was.
 */
export async function findReplacedValues(
  trx: Knex.Transaction,
  rows: readonly SecretRow[],
): Promise<ReadonlySet<string>> {
  const values = new Map(
    rows.filter(({ value }) => value.digest === undefined).map(({ key, value }) => [key, value.ciphertext]),
  );
  if (values.size === 0) return new Set();
  const kept = await query<{ key: string; ciphertext: Buffer }>(
    trx,
    `SELECT r.source_key AS key, v.ciphertext
     FROM import_records r
     JOIN secret_versions v ON v.secret_id = r.target_id AND v.number = (r.fields ->> '${VALUE_VERSION}')::integer
     WHERE r.kind = 'secret' AND r.source_key = ANY (?::text[]) AND r.fields ->> 'value' = '${NO_TOKEN}'
       AND v.key_id IS NULL AND v.ciphertext IS NOT NULL`,
    [[...values.keys()]],
  );
  return new Set(
    kept.filter(({ key, ciphertext }) => values.get(key)?.equals(ciphertext) === false).map(({ key }) => key),
  );
}
