/**
 * `secret/` keeps secrets: their settings here, their values in `versions/`, who may read them in `sharing/`, how a value
 * leaves in `access/`, and the change of the encryption key in `reencryption/`.
 *
 *     const secret = await secretService.create(caller, ownerRef, settings, payload);
 *     const { payload } = await accessService.access(caller, request);
 */

import type { Caller } from '../authz/caller.js';
import type { UserProfileRef } from '../authz/refs.js';
import type { Propagated } from '../coherence/propagated-changes.js';
import type { CallerRightsReader } from '../authz/rights.js';
import { changedFields, type AuditAction } from '../audit/audit-log.js';
import type { Keyring } from '../crypto/keyring.js';
import type { Database, Transaction } from '../db/knex.js';
import type { ReferenceRepository } from '../db/reference-repository.js';
import { inTransactionFor, reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { KeywardError, scopeMissing } from '../lib/errors.js';
import { presentOf, type Instant } from '../lib/instant.js';
import type { Page, PageQuery } from '../lib/page.js';
import { consumerList } from '../lib/references.js';
import { covers, type Permission } from '../lib/scopes.js';
import { findManagedOwner } from './new-owner.js';
import { sealValue } from './sealed-value.js';
import { doneBy } from './secret-audit.js';
import type { AuditedChange, SecretChanges } from './secret-changes.js';
import type { SecretFinder } from './secret-finder.js';
import type { SecretRef } from './secret-ref.js';
import type { SecretRepository } from './secret-repository.js';
import { prolongs, type Payload, type Secret, type SecretChange, type SecretSettings } from './secret.js';
import type { VersionRepository } from './versions/version-repository.js';

export interface SecretServiceDependencies {
  readonly knex: Database;
  readonly secrets: SecretRepository;
  readonly versions: VersionRepository;
  readonly references: ReferenceRepository;
  readonly finder: SecretFinder;
  readonly changes: SecretChanges;
  readonly rightsReader: CallerRightsReader;
  readonly keyring: Keyring;
  readonly clock: Clock;
  /** Microseconds for which a deleted secret can be brought back; 0: not at all. */
  readonly retention: bigint;
}

const ACCESS: Permission = 'keyward.secrets.access';

/** SecretService is what can be done with secrets as a whole, and who may do it. */
export class SecretService {
  readonly #deps: SecretServiceDependencies;

  constructor(deps: SecretServiceDependencies) {
    this.#deps = deps;
  }

  async create(
    caller: Caller,
    ownerRef: UserProfileRef,
    settings: SecretSettings,
    payload: Payload,
  ): Promise<Secret> {
    const { knex, rightsReader, secrets, versions, changes, keyring } = this.#deps;
    return inTransactionFor(caller, knex, async (trx) => {
      await changes.claim(trx, caller);
      const callerRights = await rightsReader.of(caller, trx);
      const owner = await findManagedOwner(trx, callerRights, ownerRef);
      await secrets.reserveName(trx, owner.profileId, settings.name, null);
      const id = await secrets.insert(trx, owner, settings);
      await versions.insert(trx, callerRights, id, (place) => sealValue(keyring, place, payload), caller);
      const secret = await secrets.stored(trx, id);
      await changes.record(trx, caller, undefined, secret, [{ action: 'SECRET_CREATED' }]);
      return secret;
    });
  }

  /** get returns a secret; a deleted one by its id, to those who manage it. */
  async get(caller: Caller, ref: SecretRef): Promise<Secret> {
    return (await this.#deps.finder.find(caller, ref)).secret;
  }

  /** list lists what the caller may read; deleted secrets only if asked for, to those who manage them. */
  async list(caller: Caller, page: PageQuery, showDeleted: boolean): Promise<Page<Secret>> {
    const { rightsReader, secrets } = this.#deps;
    return reading(async () => secrets.list(await rightsReader.of(caller), this.#now(), showDeleted, page));
  }

  /** update changes settings. A later expiry lets values be read that could not be, which needs the scope for that. */
  async update(caller: Caller, ref: SecretRef, etag: string, change: SecretChange): Promise<Secret> {
    return this.#deps.changes.change(caller, ref, etag, async (trx, { id, expiresAt }) => {
      if (prolongs(expiresAt, change) && !covers(caller.scopes, ACCESS)) throw scopeMissing(ACCESS);
      const secret = await this.#deps.secrets.update(trx, id, change);
      return changed(secret, 'SECRET_EDITED', changedFields(change));
    });
  }

  async rename(caller: Caller, ref: SecretRef, etag: string, name: string): Promise<Secret> {
    const { changes, secrets } = this.#deps;
    return changes.change(caller, ref, etag, async (trx, secret) => {
      if (secret.name === name) return unchanged(secret);
      await secrets.reserveName(trx, secret.owner.profileId, name, secret.id);
      return changed(await secrets.rename(trx, secret.id, name), 'SECRET_RENAMED');
    });
  }

  /** transfer gives a secret to another owner, with all that belongs to it. It is recorded for both. */
  async transfer(
    caller: Caller,
    ref: SecretRef,
    etag: string,
    ownerRef: UserProfileRef,
  ): Promise<Propagated<Secret>> {
    const { changes, secrets } = this.#deps;
    return changes.end(caller, ref, etag, async (trx, secret, callerRights) => {
      const owner = await findManagedOwner(trx, callerRights, ownerRef);
      const from = secret.owner.profileId;
      if (owner.profileId === from) return unchanged(secret);
      await secrets.reserveName(trx, owner.profileId, secret.name, secret.id);
      const moved = await secrets.move(trx, secret.id, owner.profileId);
      const detail = { to_user_profile_id: String(owner.profileId) };
      return {
        ...changed(moved, 'SECRET_TRANSFERRED', { from_user_profile_id: String(from) }),
        more: [doneBy(caller, { action: 'SECRET_TRANSFERRED', detail }, secret)],
      };
    });
  }

  /** delete marks a secret as deleted. SECRET_REFERENCED if something uses it, unless `force`. */
  async delete(caller: Caller, ref: SecretRef, etag: string, force: boolean): Promise<Propagated<Secret>> {
    const { changes, secrets, retention } = this.#deps;
    return changes.end(caller, ref, etag, async (trx, { id }) => {
      if (!force) await this.#requireUnused(trx, id);
      const deletedAt = this.#now();
      const secret = await secrets.setDeleted(trx, id, { deletedAt, purgeAt: deletedAt + retention });
      if (retention > 0n) return changed(secret, 'SECRET_DELETED');
      await secrets.remove(trx, [id]);
      return {
        secret,
        answer: secret,
        done: [{ action: 'SECRET_DELETED' }, { action: 'SECRET_PURGED' }],
      };
    });
  }

  /** undelete brings a deleted secret back, with its versions, grants and references. NOT_DELETED if it is not. */
  async undelete(caller: Caller, ref: SecretRef, etag: string): Promise<Secret> {
    const { changes, secrets } = this.#deps;
    return changes.changeAny(caller, ref, etag, async (trx, { id, name, owner, deletedAt }) => {
      if (deletedAt === null) throw new KeywardError('NOT_DELETED', 'The secret is not deleted.');
      await secrets.reserveName(trx, owner.profileId, name, id);
      return changed(await secrets.setDeleted(trx, id, null), 'SECRET_UNDELETED');
    });
  }

  async #requireUnused(trx: Transaction, id: bigint): Promise<void> {
    const { count, references } = await this.#deps.references.consumersOf(id, trx);
    if (count === 0) return;
    throw new KeywardError(
      'SECRET_REFERENCED',
      'Consumers use this secret; "force" deletes it all the same.',
      { metadata: { consumers: consumerList(references), count: String(count) } },
    );
  }

  #now(): Instant {
    return presentOf(this.#deps.clock);
  }
}

function changed(
  secret: Secret,
  action: AuditAction,
  detail: Readonly<Record<string, string>> = {},
): AuditedChange<Secret> {
  return { secret, answer: secret, done: [{ action, detail }] };
}

function unchanged(secret: Secret): AuditedChange<Secret> {
  return { secret, answer: secret, done: [] };
}
