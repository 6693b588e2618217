import type { Knex } from 'knex';
import type { Binding, Place, StoredValue } from './binding.js';
import type { PayloadFormat } from '../secret.js';
import { COMPLETION_LOCK } from '../../db/advisory-locks.js';

/** PlacedValue is a value that was stored before there were bindings, and where. */
export interface PlacedValue extends Place {
  readonly value: StoredValue;
}

interface Row {
  secret_id: bigint;
  number: number;
  format: PayloadFormat;
  key_id: string | null;
  ciphertext: Buffer;
}

/** As the condition of the index that holds them and nothing else. */
const UNBOUND = 'ciphertext IS NOT NULL AND binding IS NULL';

/** BindingRepository is every SQL statement about values that have no binding yet. */
export class BindingRepository {
  /** lockUnbound locks some of them, leaving out what others have locked, or waiting for it. */
  async lockUnbound(
    trx: Knex.Transaction,
    most: number,
    whereLocked: 'skip' | 'wait',
  ): Promise<PlacedValue[]> {
    const query = trx('secret_versions')
      .select<Row[]>('secret_id', 'number', 'format', 'key_id', 'ciphertext')
      .whereRaw(UNBOUND)
      .orderBy(['secret_id', 'number'])
      .limit(most)
      .forNoKeyUpdate();
    const rows = await (whereLocked === 'skip' ? query.skipLocked() : query);
    return rows.map(({ secret_id: secretId, number, format, key_id: keyId, ciphertext }) => {
      return { secretId, number, value: { format, keyId, ciphertext } };
    });
  }

  /**
   * write binds values locked in this transaction. Who gave them is found by the name, unless that user was made
   * later and only has the name of another.
   */
  async write(
    trx: Knex.Transaction,
    bound: readonly (Place & { readonly binding: Binding })[],
  ): Promise<void> {
    await trx.raw(
      `UPDATE secret_versions AS v SET binding = new.mac, binding_key_id = new.key_id,
         created_by_user_id = coalesce(v.created_by_user_id, (
           SELECT u.id FROM users u
           WHERE u.username = v.created_by AND (u.created_at IS NULL OR u.created_at <= v.created_at)))
       FROM unnest(?::bigint[], ?::integer[], ?::bytea[], ?::text[]) AS new (secret_id, number, mac, key_id)
       WHERE v.secret_id = new.secret_id AND v.number = new.number`,
      [
        bound.map(({ secretId }) => String(secretId)),
        bound.map(({ number }) => number),
        bound.map(({ binding }) => binding.mac),
        bound.map(({ binding }) => binding.keyId),
      ],
    );
  }

  /** lockCompletion lets one complete at a time, while nobody binds; or several bind, while nobody completes. */
  async lockCompletion(trx: Knex.Transaction, purpose: 'bind' | 'complete'): Promise<void> {
    const lock = purpose === 'bind' ? 'pg_advisory_xact_lock_shared' : 'pg_advisory_xact_lock';
    await trx.raw(`SELECT ${lock}(?)`, [COMPLETION_LOCK]);
  }

  async anyUnbound(trx: Knex.Transaction): Promise<boolean> {
    const rows: unknown[] = await trx('secret_versions').select('number').whereRaw(UNBOUND).limit(1);
    return rows.length > 0;
  }
}
