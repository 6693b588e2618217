import type { Keyring } from '../crypto/keyring.js';
import { describing } from './owner-rows.js';
import { readValue, type SecretValue } from './secret-value.js';
import { RowReader, type SourceRow } from './source-rows.js';
import type { TextRow } from './source.js';
import { readTagged, type ReadOptions } from './tagged-rows.js';

/** SecretRow is a secret to take over. Its field `value` is the digest of what the source holds. */
export interface SecretRow extends SourceRow {
  readonly value: SecretValue;
}

/** What stands for the digest of values that are no Fernet tokens. */
export const NO_TOKEN = 'no Fernet token';

/** The field of a secret's record that holds the number of the version that the import made last. */
export const VALUE_VERSION = 'value_version';

/** Most secrets of a batch: their values are 87 KB long and more. */
const MAX_ROWS = 200;

export const SECRET_COLUMNS = [
  ...['id', 'user_profile_id', 'name', 'description', 'version', 'annotations'],
  ...['expires_at', 'last_accessed', 'created_at', 'updated_at'],
];

/** readSecrets reads all secrets in the order of their numbers, and finds the keys that open their values. */
export function readSecrets(options: ReadOptions, keyring: Keyring): AsyncGenerator<SecretRow[]> {
  // Rows come once for each tag: the value is long, and needed once.
  const value = `CASE WHEN tagged.place > 1 THEN NULL ELSE ${options.source.hex('row_.encrypted_value')} END`;
  const columns = [...SECRET_COLUMNS.map((column) => `row_.${column}`), `${value} AS stored_value`].join(
    ', ',
  );
  const table = { table: 'secret_secret', app: 'secret', model: 'secret', columns };
  const batchSize = Math.min(options.batchSize, MAX_ROWS);
  return readTagged(table, { ...options, batchSize }, (row, tags) => secretRow(row, tags, keyring));
}

/** secretRow reads one secret: its columns, with its value in hexadecimal as `stored_value`, and its tags. */
export function secretRow(row: TextRow, tags: readonly string[], keyring: Keyring): SecretRow {
  const reader = new RowReader('secret_secret', row);
  const id = reader.raw('id') ?? '';
  const stored = reader.raw('stored_value');
  if (stored === null) reader.leaveOut('it has no value, or one that is too long to be read');
  const value = readValue(Buffer.from(stored ?? '', 'hex'), keyring);
  const fields = {
    user_profile_id: reader.raw('user_profile_id'),
    name: reader.name(`secret-${id}`),
    ...describing(reader, tags),
    expires_at: reader.time('expires_at'),
    last_accessed_at: reader.time('last_accessed'),
    value: value.digest ?? NO_TOKEN,
    decryptable: value.keyId !== null,
  };
  return { ...reader.row(id, id, fields), value };
}
