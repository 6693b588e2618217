import type { Caller } from '../authz/caller.js';
import type { Owner } from '../authz/owner.js';
import type { UserProfileRef } from '../authz/refs.js';
import { meantByName } from '../authz/reader-rows.js';
import type { CallerRights, CallerRightsReader } from '../authz/rights.js';
import type { RefusalLog } from '../audit/refusal-log.js';
import type { Keyring } from '../crypto/keyring.js';
import type { Database, Transaction } from '../db/knex.js';
import { inTransactionFor } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { notFound } from '../lib/errors.js';
import { presentOf } from '../lib/instant.js';
import type { CopySettings } from '../lib/resource-rules.js';
import { noneEnabled, requireAccess, requireNotExpired } from './access/access.js';
import { findManagedOwner } from './new-owner.js';
import type { BindingService } from './binding/binding-service.js';
import type { Place } from './binding/binding.js';
import { openValue, sealValue, type Unbound } from './sealed-value.js';
import { attemptOf, doneBy, isRefusal, refusedTo, type Done } from './secret-audit.js';
import type { SecretChanges } from './secret-changes.js';
import { ableTo, theOnly, type SecretFinder } from './secret-finder.js';
import type { SecretRef } from './secret-ref.js';
import type { SecretRepository } from './secret-repository.js';
import type { Payload, Secret } from './secret.js';
import type { VersionRepository } from './versions/version-repository.js';

export interface CloneServiceDependencies {
  readonly knex: Database;
  readonly secrets: SecretRepository;
  readonly versions: VersionRepository;
  readonly finder: SecretFinder;
  readonly changes: SecretChanges;
  readonly rightsReader: CallerRightsReader;
  readonly keyring: Keyring;
  readonly bindings: Pick<BindingService, 'unbound'>;
  readonly refusals: Pick<RefusalLog, 'add'>;
  readonly clock: Clock;
}

/** Attempt notes what was named, for the record of a refusal. */
interface Attempt {
  source: Secret | undefined;
}

/** CloneService copies secrets. Whoever copies a value could read it, so the right to do that is needed. */
export class CloneService {
  readonly #deps: CloneServiceDependencies;

  constructor(deps: CloneServiceDependencies) {
    this.#deps = deps;
  }

  /**
   * clone makes a secret of the newest enabled version of another, encrypted anew, with its other settings and without
   * its grants and references. It has the same owner unless another is named. Refused attempts are recorded.
   */
  async clone(
    caller: Caller,
    ref: SecretRef,
    copy: CopySettings,
    ownerRef: UserProfileRef | undefined,
  ): Promise<Secret> {
    const attempt: Attempt = { source: undefined };
    const unbound = await this.#deps.bindings.unbound();
    try {
      return await inTransactionFor(caller, this.#deps.knex, async (trx) => {
        attempt.source = undefined;
        await this.#deps.changes.claim(trx, caller);
        const callerRights = await this.#deps.rightsReader.of(caller, trx);
        const source = await this.#holdSource(trx, callerRights, ref, attempt);
        const owner = await findManagedOwner(trx, callerRights, ownerRef ?? ownerOf(source));
        return await this.#copy(trx, { caller, callerRights }, source, owner, copy, unbound);
      });
    } catch (error) {
      if (isRefusal(error)) {
        const tried: Done = { action: 'SECRET_CLONED' };
        const entry = refusedTo(caller, tried, error.reason, attempt.source);
        await this.#deps.refusals.add(entry, attemptOf(ref, null));
      }
      throw error;
    }
  }

  /** recordMissingScope records a call that was refused before its request was looked at. */
  recordMissingScope(caller: Caller): Promise<void> {
    const tried: Done = { action: 'SECRET_CLONED' };
    return this.#deps.refusals.add(refusedTo(caller, tried, 'SCOPE_MISSING', undefined), '');
  }

  /** #holdSource finds a secret whose value the caller may have, and keeps that so until the transaction ends. */
  async #holdSource(
    trx: Transaction,
    callerRights: CallerRights,
    ref: SecretRef,
    attempt: Attempt,
  ): Promise<Secret> {
    const { finder, secrets, clock } = this.#deps;
    const named = await secrets.find(ref, trx, meantByName(callerRights));
    if (named.length === 1) attempt.source = named[0];
    const { secret } = theOnly(ableTo('access', await finder.visible(callerRights, named, trx)));
    attempt.source = secret;
    const source = await secrets.hold(trx, secret.id);
    if (source === undefined || source.deletedAt !== null) throw notFound('secret');
    const { access } = theOnly(await finder.visible(callerRights, [source], trx));
    requireAccess(access);
    requireNotExpired(source.expiresAt, presentOf(clock));
    return source;
  }

  async #copy(
    trx: Transaction,
    { caller, callerRights }: { readonly caller: Caller; readonly callerRights: CallerRights },
    source: Secret,
    owner: Owner,
    copied: CopySettings,
    unbound: Unbound,
  ): Promise<Secret> {
    const { secrets, versions, changes, keyring } = this.#deps;
    await secrets.reserveName(trx, owner.profileId, copied.name, null);
    const { version, payload } = await this.#open(trx, source, unbound);
    const id = await secrets.insert(trx, owner, { ...source, ...copied });
    await versions.insert(trx, callerRights, id, (place) => sealValue(keyring, place, payload), caller);
    const copy = await secrets.stored(trx, id);
    const created: Done = { action: 'SECRET_CREATED', detail: { source_id: String(source.id) } };
    const detail = { clone_id: String(id), version: String(version) };
    const cloned = doneBy(caller, { action: 'SECRET_CLONED', detail }, source);
    await changes.record(trx, caller, undefined, copy, [created], [cloned]);
    return copy;
  }

  async #open(
    trx: Transaction,
    source: Secret,
    unbound: Unbound,
  ): Promise<{ version: number; payload: Payload }> {
    const { versions, keyring } = this.#deps;
    const version = source.enabledVersion;
    if (version === null) throw noneEnabled();
    const place: Place = { secretId: source.id, number: version };
    const value = await versions.valueOf(trx, place);
    if (value === undefined) throw noneEnabled();
    return { version, payload: openValue(keyring, place, value, unbound) };
  }
}

function ownerOf({ owner }: Secret): UserProfileRef {
  return { by: 'id', id: owner.profileId };
}
