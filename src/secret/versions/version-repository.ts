import type { Knex } from 'knex';
import { mayReadUser } from '../../authz/reader-rows.js';
import type { CallerRights } from '../../authz/rights.js';
import { listPage } from '../../db/list-query.js';
import { formatPgTimestamp, type Instant } from '../../lib/instant.js';
import type { Page, PageQuery } from '../../lib/page.js';
import { bindingFromRow, type BindingRow } from '../binding/binding-columns.js';
import type { BoundValue, Place } from '../binding/binding.js';
import type { SealedValue } from '../sealed-value.js';
import { VERSION_COLUMNS } from '../secret-columns.js';
import type { PayloadFormat, SecretVersion, VersionState } from '../secret.js';
import { NOW } from '../../db/field-columns.js';

interface VersionRow {
  secret_id: bigint;
  number: number;
  state: VersionState;
  format: PayloadFormat;
  key_id: string | null;
  created_at: Instant | null;
  created_by: string;
  destroyed_at: Instant | null;
}

interface ValueRow extends BindingRow {
  format: PayloadFormat;
  key_id: string | null;
  ciphertext: Buffer;
}

/** Giver is the user who gives a value. */
interface Giver {
  readonly userId: bigint;
  readonly username: string;
}

const COLUMNS = ['secret_id', 'number', 'state', 'format', 'key_id', 'created_at', 'destroyed_at'];

/**
 * VersionRepository is every SQL statement about the versions of a secret, which it gives as a reader of the secret may
 * see them. To write, the secret must be locked.
 */
export class VersionRepository {
  readonly #knex: Knex;

  constructor(knex: Knex) {
    this.#knex = knex;
  }

  async find(
    trx: Knex.Transaction,
    reader: CallerRights,
    { secretId, number }: Place,
  ): Promise<SecretVersion | undefined> {
    const rows = (await select(trx, reader, secretId).where('v.number', number)) as VersionRow[];
    return rows.map(versionFromRow)[0];
  }

  /** list lists versions. No filter finds what the reader may not see either. */
  async list(reader: CallerRights, secretId: bigint, page: PageQuery): Promise<Page<SecretVersion>> {
    return listPage<SecretVersion>(
      this.#knex,
      select(this.#knex, reader, secretId),
      VERSION_COLUMNS,
      page,
      versionFromRow,
    );
  }

  /** valueOf reads the value of a version that is not destroyed. */
  async valueOf(trx: Knex.Transaction, { secretId, number }: Place): Promise<BoundValue | undefined> {
    const [row] = await where(trx, secretId, number)
      .whereNotNull('ciphertext')
      .select<ValueRow[]>('format', 'key_id', 'ciphertext', 'binding', 'binding_key_id');
    if (row === undefined) return undefined;
    const { format, key_id: keyId, ciphertext } = row;
    return { format, keyId, ciphertext, binding: bindingFromRow(row) };
  }

  /** insert adds the version after the newest, with the value that is sealed for that place. */
  async insert(
    trx: Knex.Transaction,
    reader: CallerRights,
    secretId: bigint,
    seal: (place: Place) => SealedValue,
    { userId, username }: Giver,
  ): Promise<SecretVersion> {
    const id = String(secretId);
    const [newest] = await trx('secret_versions')
      .where({ secret_id: id })
      .select<{ number: number | null }[]>(trx.raw('max(number) AS number'));
    const number = (newest?.number ?? 0) + 1;
    const { format, keyId, ciphertext, binding } = seal({ secretId, number });
    await trx('secret_versions').insert({
      secret_id: id,
      number,
      format,
      key_id: keyId,
      ciphertext,
      binding: binding.mac,
      binding_key_id: binding.keyId,
      created_at: trx.raw(NOW),
      created_by: username,
      created_by_user_id: String(userId),
    });
    return this.#stored(trx, reader, { secretId, number });
  }

  /** setEnabled lets a version that is not destroyed be read, or keeps it from being read. */
  async setEnabled(
    trx: Knex.Transaction,
    reader: CallerRights,
    { secretId, number }: Place,
    isEnabled: boolean,
  ): Promise<SecretVersion> {
    await where(trx, secretId, number).update({ state: isEnabled ? 'ENABLED' : 'DISABLED' });
    return this.#stored(trx, reader, { secretId, number });
  }

  /** destroy erases the ciphertext of a version, and its binding with it. */
  async destroy(
    trx: Knex.Transaction,
    reader: CallerRights,
    { secretId, number }: Place,
    destroyedAt: Instant,
  ): Promise<SecretVersion> {
    await where(trx, secretId, number).update({
      state: 'DESTROYED',
      ciphertext: null,
      key_id: null,
      binding: null,
      binding_key_id: null,
      destroyed_at: formatPgTimestamp(destroyedAt),
    });
    return this.#stored(trx, reader, { secretId, number });
  }

  async #stored(trx: Knex.Transaction, reader: CallerRights, place: Place): Promise<SecretVersion> {
    const version = await this.find(trx, reader, place);
    if (version === undefined) throw new Error('a version of a secret locked in this transaction is gone');
    return version;
  }
}

function select(knex: Knex, reader: CallerRights, secretId: bigint): Knex.QueryBuilder {
  const maker = mayReadUser(reader, 'v.created_by_user_id');
  const versions = knex('secret_versions as v')
    .select(COLUMNS.map((column) => `v.${column}`))
    .select(knex.raw(`CASE WHEN ${maker.sql} THEN v.created_by ELSE '' END AS created_by`, maker.bindings))
    .where('v.secret_id', String(secretId));
  return knex.select('v.*').from(versions.as('v'));
}

function where(trx: Knex.Transaction, secretId: bigint, number: number): Knex.QueryBuilder {
  return trx('secret_versions').where({ secret_id: String(secretId), number });
}

function versionFromRow(row: VersionRow): SecretVersion {
  return {
    secretId: row.secret_id,
    number: row.number,
    state: row.state,
    format: row.format,
    keyId: row.key_id,
    createdAt: row.created_at,
    createdBy: row.created_by,
    destroyedAt: row.destroyed_at,
  };
}
