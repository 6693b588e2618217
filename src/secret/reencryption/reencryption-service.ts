import type { Caller } from '../../authz/caller.js';
import { managesAccounts, type CallerRightsReader } from '../../authz/rights.js';
import { actorOf, type AuditLog } from '../../audit/audit-log.js';
import { Undecryptable, type Keyring, type UndecryptableReason } from '../../crypto/keyring.js';
import type { Database, Transaction } from '../../db/knex.js';
import { inTransactionFor, reading } from '../../db/transaction.js';
import { notPermitted } from '../../lib/errors.js';
import { Batcher } from '../../lib/batcher.js';
import { Violations } from '../../lib/violations.js';
import type { BindingService } from '../binding/binding-service.js';
import { bind } from '../binding/binding.js';
import type {
  EncryptedVersion,
  ListedVersion,
  Range,
  ReencryptedVersion,
  ReencryptionRepository,
  VersionRef,
} from './reencryption-repository.js';
import { isInPlace, type Unbound } from '../sealed-value.js';
import { isPayloadIntact } from '../secret.js';
import { slicesOf } from '../../lib/slices.js';

export interface ReencryptionServiceDependencies {
  readonly knex: Database;
  readonly versions: ReencryptionRepository;
  readonly keyring: Keyring;
  readonly bindings: Pick<BindingService, 'unbound' | 'complete'>;
  readonly rightsReader: CallerRightsReader;
  readonly audit: AuditLog;
  /** A rotation ends with its reason, before the next batch, once it is aborted. */
  readonly stopping: AbortSignal;
}

export interface ReencryptionOptions {
  /** Whether to change nothing, but to tell what would be done. */
  readonly dryRun: boolean;
  /** How many versions to encrypt anew in one transaction: 1 to 1000, 0 for 200. */
  readonly batchSize: number;
}

/** ReencryptionProgress counts versions. */
export interface ReencryptionProgress {
  /** Dealt with so far, failed ones included. */
  readonly done: number;
  /** To be dealt with when the rotation began. */
  readonly total: number;
  /** Cannot be decrypted or are not in their place, and stay as they are. */
  readonly failed: number;
  /** Whether this is the end. */
  readonly isFinished: boolean;
  readonly primaryKeyId: string;
}

interface KeyUsage {
  /** Empty for versions that no known key opens. */
  readonly keyId: string;
  readonly versionCount: bigint;
  readonly isConfigured: boolean;
  readonly isPrimary: boolean;
}

/** Fault is why a value is not given: it cannot be decrypted, is no text though it should be, or does not belong where it stands. */
type Fault = UndecryptableReason | 'NOT_UTF8' | 'MISPLACED';

export interface UndecryptableVersion extends VersionRef {
  readonly keyId: string | null;
  readonly cause: Fault;
}

export interface ReencryptionStatus {
  readonly primaryKeyId: string;
  /** Every key of the ring in its order, then every other that versions are encrypted with. */
  readonly keys: readonly KeyUsage[];
  readonly undecryptableCount: number;
  /** The first hundred of them, by secret and version. */
  readonly undecryptable: readonly UndecryptableVersion[];
}

/** Batch is what became of the versions of one batch. */
interface Batch {
  /** The last version of it; undefined if there are no more. */
  readonly last: VersionRef | undefined;
  readonly done: number;
  readonly failed: readonly VersionRef[];
}

const MAX_ASKED_TOGETHER = 1000;
const DEFAULT_BATCH = 200;
const MAX_BATCH = 1000;
const MAX_UNDECRYPTABLE_SHOWN = 100;
// Together they keep one stretch of encryption, between two queries, to a few milliseconds.
const SLICE = { maxItems: 100, maxSize: 262_144 };
/** What others had locked is tried again. It ends even if others go on writing with another key. */
const MAX_PASSES = 10;

/**
 * ReencryptionService moves what is encrypted, and its bindings, to the keyring's primary key. Superusers alone may do it.
 * What does not belong where it stands is left as it is: with another binding nobody would see that any more.
 */
export class ReencryptionService {
  readonly #deps: ReencryptionServiceDependencies;
  readonly #reading = new Batcher<Caller, ReencryptionStatus>(
    async (callers) => {
      const status = await this.#readStatus();
      return callers.map(() => status);
    },
    { maxItems: MAX_ASKED_TOGETHER },
  );

  constructor(deps: ReencryptionServiceDependencies) {
    this.#deps = deps;
  }

  /**
   * rotate encrypts every version anew that another key than the primary one has encrypted or bound, and tells of the
   * progress after each batch and at the end. Each batch is a transaction: it may be abandoned at any time, and
   * another rotation goes on where it stood. Versions can be read meanwhile, and written by others.
   */
  async *rotate(
    caller: Caller,
    { dryRun, batchSize }: ReencryptionOptions,
  ): AsyncGenerator<ReencryptionProgress, void, undefined> {
    const { versions, keyring } = this.#deps;
    const { primaryId } = keyring;
    const limit = checkedBatchSize(batchSize);
    const toDo = await this.#read(caller, () => versions.countOutside(primaryId));
    // All that is not bound yet is bound first: only then can be told what was misplaced.
    if (!dryRun) await this.#deps.bindings.complete();
    let done = 0;
    let failed = 0;
    const progress = (isFinished: boolean): ReencryptionProgress => {
      return { done, total: Math.max(toDo, done), failed, isFinished, primaryKeyId: primaryId };
    };
    for await (const batch of dryRun ? this.#tryAll(caller, limit) : this.#rotateAll(caller, limit)) {
      done += batch.done;
      failed += batch.failed.length;
      yield progress(false);
      this.#deps.stopping.throwIfAborted();
    }
    yield progress(true);
  }

  /**
   * status tells which key has encrypted how many versions. It decrypts everything to find what cannot be, so calls
   * that come meanwhile share the next reading: never do two go on at once.
   */
  async status(caller: Caller): Promise<ReencryptionStatus> {
    await this.#read(caller, () => Promise.resolve());
    return this.#reading.add(caller);
  }

  async #readStatus(): Promise<ReencryptionStatus> {
    const { versions, keyring, bindings } = this.#deps;
    const counts = await reading(() => versions.countByKey());
    const unbound = await bindings.unbound();
    const undecryptable: UndecryptableVersion[] = [];
    let undecryptableCount = 0;
    for await (const values of this.#slices((range) => versions.list(range), MAX_BATCH)) {
      for (const each of values) {
        const cause = this.#faultOf(each, unbound);
        if (cause === undefined) continue;
        undecryptableCount += 1;
        if (undecryptable.length < MAX_UNDECRYPTABLE_SHOWN)
          undecryptable.push({ ...each.place, keyId: each.value.keyId, cause });
      }
    }
    return {
      primaryKeyId: keyring.primaryId,
      keys: keyUsage(keyring, counts),
      undecryptableCount,
      undecryptable,
    };
  }

  async *#rotateAll(caller: Caller, limit: number): AsyncGenerator<Batch, void, undefined> {
    const { versions, keyring } = this.#deps;
    const failed = new Set<string>();
    for (let pass = 1; pass <= MAX_PASSES; pass += 1) {
      const whereLocked = pass === 1 ? 'skip' : 'wait';
      let after: VersionRef | undefined;
      do {
        const batch = await this.#rotateBatch(caller, { after, limit }, whereLocked, failed);
        for (const ref of batch.failed) failed.add(keyOf(ref));
        after = batch.last;
        if (batch.done > 0) yield batch;
      } while (after !== undefined);
      const left = await reading(() => versions.countOutside(keyring.primaryId));
      if (left <= failed.size) return this.#retireOlderKeys(caller);
    }
  }

  #retireOlderKeys(caller: Caller): Promise<void> {
    const { knex, audit } = this.#deps;
    return inTransactionFor(caller, knex, async (trx) => {
      await this.#requireManager(caller, trx);
      await audit.retireOlderKeys(trx, actorOf(caller));
    });
  }

  /** #rotateBatch commits one batch; versions that failed before are left alone. */
  #rotateBatch(
    caller: Caller,
    range: Range,
    whereLocked: 'skip' | 'wait',
    failedBefore: ReadonlySet<string>,
  ): Promise<Batch> {
    const { knex, versions, keyring } = this.#deps;
    return inTransactionFor(caller, knex, async (trx) => {
      await this.#requireManager(caller, trx);
      const locked = await versions.lockOutside(trx, keyring.primaryId, range, whereLocked);
      const toDo = locked.filter((ref) => !failedBefore.has(keyOf(ref)));
      const failed: VersionRef[] = [];
      for (const slice of slicesOf(toDo, sizeOf, SLICE)) {
        const { replaced, notReencrypted } = this.#reencrypt(await versions.read(slice, trx));
        failed.push(...notReencrypted);
        await versions.write(trx, replaced);
      }
      if (toDo.length > failed.length) await this.#record(trx, caller, toDo.length - failed.length);
      return { last: locked.at(-1), done: toDo.length, failed };
    });
  }

  /** #reencrypt binds anew what stands in its place, and encrypts it anew where it can be decrypted. */
  #reencrypt(values: readonly EncryptedVersion[]): {
    readonly replaced: ReencryptedVersion[];
    readonly notReencrypted: VersionRef[];
  } {
    const { keyring } = this.#deps;
    const replaced: ReencryptedVersion[] = [];
    const notReencrypted: VersionRef[] = [];
    for (const { place, value: before } of values) {
      if (!isInPlace(keyring, place, before, 'misplaced')) {
        notReencrypted.push(place);
        continue;
      }
      let value = before;
      if (before.keyId !== keyring.primaryId) {
        const cause = failureOf(() => {
          value = { ...before, ...keyring.reencrypt(before.ciphertext, before.keyId) };
          return undefined;
        });
        if (cause !== undefined) notReencrypted.push(place);
      }
      replaced.push({ place, value: { ...value, binding: bind(keyring, place, value) } });
    }
    return { replaced, notReencrypted };
  }

  /** #faultOf is why AccessSecret does not give a value, undefined if it does. */
  #faultOf({ place, value }: EncryptedVersion, unbound: Unbound): Fault | undefined {
    const { keyring } = this.#deps;
    if (!isInPlace(keyring, place, value, unbound)) return 'MISPLACED';
    return failureOf(() => {
      const { plaintext: bytes } = keyring.decrypt(value.ciphertext, value.keyId);
      return isPayloadIntact({ format: value.format, bytes }) ? undefined : 'NOT_UTF8';
    });
  }

  async *#tryAll(caller: Caller, limit: number): AsyncGenerator<Batch, void, undefined> {
    const { versions, keyring, bindings } = this.#deps;
    const unbound = await bindings.unbound();
    const list = (range: Range) => this.#read(caller, () => versions.listOutside(keyring.primaryId, range));
    for await (const values of this.#slices(list, limit)) {
      // What is no text can be encrypted anew all the same.
      const failed = values.filter((each) => ![undefined, 'NOT_UTF8'].includes(this.#faultOf(each, unbound)));
      yield {
        last: values.at(-1)?.place,
        done: values.length,
        failed: failed.map(({ place }) => place),
      };
    }
  }

  /** #slices reads versions one slice after another. */
  async *#slices(
    list: (range: Range) => Promise<readonly ListedVersion[]>,
    limit: number,
  ): AsyncGenerator<EncryptedVersion[], void, undefined> {
    let after: VersionRef | undefined;
    do {
      const range = { after, limit };
      const found = await reading(() => list(range));
      for (const slice of slicesOf(found, sizeOf, SLICE))
        yield await reading(() => this.#deps.versions.read(slice));
      after = found.at(-1);
    } while (after !== undefined);
  }

  /** #record comes last in the transaction. */
  #record(trx: Transaction, caller: Caller, reencrypted: number): Promise<void> {
    const { audit, keyring } = this.#deps;
    return audit.record(trx, [
      {
        actor: actorOf(caller),
        action: 'SECRETS_REENCRYPTED',
        outcome: 'OK',
        resource: { kind: 'keyring', id: null },
        detail: { key_id: keyring.primaryId, versions: String(reencrypted) },
      },
    ]);
  }

  async #read<T>(caller: Caller, read: () => Promise<T>): Promise<T> {
    return reading(async () => {
      await this.#requireManager(caller);
      return read();
    });
  }

  async #requireManager(caller: Caller, trx?: Transaction): Promise<void> {
    if (managesAccounts(await this.#deps.rightsReader.of(caller, trx))) return;
    throw notPermitted('Only superusers who have a user profile manage encryption keys.');
  }
}

function checkedBatchSize(batchSize: number): number {
  const v = new Violations();
  if (batchSize < 0 || batchSize > MAX_BATCH) v.add('batch_size', `must be 0 to ${MAX_BATCH}`);
  v.throwIfAny();
  return batchSize === 0 ? DEFAULT_BATCH : batchSize;
}

/** failureOf is why something could not be decrypted, or what `decrypt` finds wrong with it; undefined if nothing is. */
function failureOf<Found = undefined>(decrypt: () => Found): UndecryptableReason | Found {
  try {
    return decrypt();
  } catch (error) {
    if (error instanceof Undecryptable) return error.reason;
    throw error;
  }
}

function keyUsage(
  { keyIds, primaryId }: Keyring,
  counts: readonly { readonly keyId: string | null; readonly count: bigint }[],
): KeyUsage[] {
  const byKey = new Map(counts.map(({ keyId, count }) => [keyId ?? '', count]));
  const others = [...byKey.keys()].filter((keyId) => !keyIds.includes(keyId));
  return [...keyIds, ...others].map((keyId) => ({
    keyId,
    versionCount: byKey.get(keyId) ?? 0n,
    isConfigured: keyIds.includes(keyId),
    isPrimary: keyId === primaryId,
  }));
}

function keyOf({ secretId, number }: VersionRef): string {
  return `${secretId}/${number}`;
}

function sizeOf({ size }: ListedVersion): number {
  return size;
}
