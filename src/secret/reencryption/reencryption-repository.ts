import type { Knex } from 'knex';
import { bindingFromRow, type BindingRow } from '../binding/binding-columns.js';
import type { BoundValue, Place as VersionRef } from '../binding/binding.js';
import type { SealedValue } from '../sealed-value.js';
import type { PayloadFormat } from '../secret.js';

export type { Place as VersionRef } from '../binding/binding.js';

/** ListedVersion is a version with the size of its ciphertext in bytes. */
export interface ListedVersion extends VersionRef {
  readonly size: number;
}

export interface EncryptedVersion {
  readonly place: VersionRef;
  readonly value: BoundValue;
}

/** ReencryptedVersion is a version with what its value is replaced by. */
export interface ReencryptedVersion {
  readonly place: VersionRef;
  readonly value: SealedValue;
}

/** Range is where to go on in the order of secrets and their versions, and for how many. */
export interface Range {
  /** The last version seen; undefined for the beginning. */
  readonly after: VersionRef | undefined;
  readonly limit: number;
}

interface Row {
  secret_id: bigint;
  number: number;
}

interface ValueRow extends Row, BindingRow {
  format: PayloadFormat;
  key_id: string | null;
  ciphertext: Buffer;
}

const TABLE = 'secret_versions';

/** ReencryptionRepository is every SQL statement about the ciphertexts of all versions; destroyed ones have none. */
export class ReencryptionRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** countByKey is how many versions need each key, to be decrypted or to tell that they are in their place; null is unknown. */
  async countByKey(): Promise<{ readonly keyId: string | null; readonly count: bigint }[]> {
    const query = this.#knex.raw<{ rows: { key_id: string | null; count: bigint }[] }>(COUNT_BY_KEY);
    const { rows } = await query;
    return rows.map(({ key_id: keyId, count }) => ({ keyId, count }));
  }

  /** countOutside is how many versions another key than this has encrypted or bound, or an unknown one encrypted. */
  async countOutside(keyId: string): Promise<number> {
    const rows: { count: bigint }[] = await outside(this.#knex, keyId).select(this.#knex.raw('count(*)'));
    return Number(rows[0]?.count ?? 0);
  }

  async list(range: Range): Promise<ListedVersion[]> {
    return listed(this.#knex, encrypted(this.#knex), range);
  }

  async listOutside(keyId: string, range: Range): Promise<ListedVersion[]> {
    return listed(this.#knex, outside(this.#knex, keyId), range);
  }

  /**
   * lockOutside keeps versions from changing until the transaction ends; they can still be read. Those that others
   * have locked are left out, or waited for.
   */
  async lockOutside(
    trx: Knex.Transaction,
    keyId: string,
    range: Range,
    whereLocked: 'skip' | 'wait',
  ): Promise<ListedVersion[]> {
    const query = outside(trx, keyId).forNoKeyUpdate();
    return listed(trx, whereLocked === 'skip' ? query.skipLocked() : query, range);
  }

  /** read gives the values of the versions that still have one, in the order of secrets and versions. */
  async read(refs: readonly VersionRef[], knex: Knex = this.#knex): Promise<EncryptedVersion[]> {
    const rows = (await encrypted(knex)
      .select('secret_id', 'number', 'format', 'key_id', 'ciphertext', 'binding', 'binding_key_id')
      .whereRaw('(secret_id, number) IN (SELECT * FROM unnest(?::bigint[], ?::integer[]))', columns(refs))
      .orderBy(['secret_id', 'number'])) as ValueRow[];
    return rows.map((row) => {
      const { format, key_id: keyId, ciphertext } = row;
      return { place: refFromRow(row), value: { format, keyId, ciphertext, binding: bindingFromRow(row) } };
    });
  }

  /** write replaces the values of versions locked in this transaction, by ones that mean the same. */
  async write(trx: Knex.Transaction, versions: readonly ReencryptedVersion[]): Promise<void> {
    const bindings: Knex.Value[] = [
      ...columns(versions.map(({ place }) => place)),
      // The driver's types know no null in an array.
      versions.map(({ value }) => value.keyId ?? ''),
      versions.map(({ value }) => value.ciphertext),
      versions.map(({ value }) => value.binding.keyId),
      versions.map(({ value }) => value.binding.mac),
    ];
    await trx.raw(
      `UPDATE ${TABLE} AS v
       SET key_id = nullif(new.key_id, ''), ciphertext = new.ciphertext, binding_key_id = new.binding_key_id, binding = new.mac
       FROM unnest(?::bigint[], ?::integer[], ?::text[], ?::bytea[], ?::text[], ?::bytea[])
         AS new (secret_id, number, key_id, ciphertext, binding_key_id, mac)
       WHERE v.secret_id = new.secret_id AND v.number = new.number`,
      bindings,
    );
  }
}

/** Nearly all are bound by the key that has encrypted them; an index holds the others. */
const COUNT_BY_KEY = `
  SELECT key_id, count(*) FROM (
    SELECT key_id FROM ${TABLE} WHERE ciphertext IS NOT NULL
    UNION ALL
    SELECT binding_key_id FROM ${TABLE}
    WHERE ciphertext IS NOT NULL AND binding_key_id IS DISTINCT FROM key_id AND binding_key_id IS NOT NULL
  ) AS need GROUP BY key_id ORDER BY key_id`;

function encrypted(knex: Knex): Knex.QueryBuilder {
  return knex(TABLE).whereNotNull('ciphertext');
}

function outside(knex: Knex, keyId: string): Knex.QueryBuilder {
  return encrypted(knex).whereRaw('(key_id IS DISTINCT FROM ? OR binding_key_id IS DISTINCT FROM ?)', [
    keyId,
    keyId,
  ]);
}

async function listed(
  knex: Knex,
  query: Knex.QueryBuilder,
  { after, limit }: Range,
): Promise<ListedVersion[]> {
  if (after !== undefined) {
    const { secretId, number } = after;
    void query.whereRaw('(secret_id, number) > (?::bigint, ?::integer)', [String(secretId), number]);
  }
  const rows = (await query
    // The size is known without reading the ciphertext.
    .select('secret_id', 'number', knex.raw('octet_length(ciphertext) AS size'))
    .orderBy(['secret_id', 'number'])
    .limit(limit)) as (Row & { size: number })[];
  return rows.map((row) => ({ ...refFromRow(row), size: row.size }));
}

function columns(refs: readonly VersionRef[]): [string[], number[]] {
  return [refs.map(({ secretId }) => String(secretId)), refs.map(({ number }) => number)];
}

function refFromRow(row: Row): VersionRef {
  return { secretId: row.secret_id, number: row.number };
}
