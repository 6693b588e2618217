import type { Knex } from 'knex';

/** VersionRef names a version of a secret. */
export interface VersionRef {
  readonly secretId: bigint;
  readonly number: number;
}

/** ListedVersion is a version with the size of its ciphertext in bytes. */
export interface ListedVersion extends VersionRef {
  readonly size: number;
}

export interface EncryptedVersion extends VersionRef {
  /** null if no known key opens the ciphertext. */
  readonly keyId: string | null;
  readonly ciphertext: Buffer;
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

const TABLE = 'secret_versions';

/** RotationRepository is every SQL statement about the ciphertexts of all versions; destroyed ones have none. */
export class RotationRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  /** countByKey is how many versions each key has encrypted, null being unknown. */
  async countByKey(): Promise<{ readonly keyId: string | null; readonly count: bigint }[]> {
    const query = encrypted(this.#knex).select('key_id', this.#knex.raw('count(*)')).groupBy('key_id');
    const rows = (await query.orderBy('key_id')) as { key_id: string | null; count: bigint }[];
    return rows.map(({ key_id: keyId, count }) => ({ keyId, count }));
  }

  /** countOutside is how many versions another key than this has encrypted, or an unknown one. */
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

  /** read gives the ciphertexts of the versions that still have one, in the order of secrets and versions. */
  async read(refs: readonly VersionRef[], knex: Knex = this.#knex): Promise<EncryptedVersion[]> {
    const rows = (await encrypted(knex)
      .select('secret_id', 'number', 'key_id', 'ciphertext')
      .whereRaw('(secret_id, number) IN (SELECT * FROM unnest(?::bigint[], ?::integer[]))', columns(refs))
      .orderBy(['secret_id', 'number'])) as (Row & { key_id: string | null; ciphertext: Buffer })[];
    return rows.map((row) => ({ ...refFromRow(row), keyId: row.key_id, ciphertext: row.ciphertext }));
  }

  /** write replaces the ciphertexts of versions locked in this transaction, by ones that one key has made. */
  async write(
    trx: Knex.Transaction,
    keyId: string,
    versions: readonly (VersionRef & { readonly ciphertext: Buffer })[],
  ): Promise<void> {
    const bindings: Knex.Value[] = [
      keyId,
      ...columns(versions),
      versions.map(({ ciphertext }) => ciphertext),
    ];
    await trx.raw(
      `UPDATE ${TABLE} AS v SET key_id = ?, ciphertext = new.ciphertext
       FROM unnest(?::bigint[], ?::integer[], ?::bytea[]) AS new (secret_id, number, ciphertext)
       WHERE v.secret_id = new.secret_id AND v.number = new.number`,
      bindings,
    );
  }
}

function encrypted(knex: Knex): Knex.QueryBuilder {
  return knex(TABLE).whereNotNull('ciphertext');
}

function outside(knex: Knex, keyId: string): Knex.QueryBuilder {
  return encrypted(knex).whereRaw('key_id IS DISTINCT FROM ?', [keyId]);
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
