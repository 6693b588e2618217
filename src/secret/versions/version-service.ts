import type { Caller } from '../../authz/caller.js';
import type { Propagated } from '../../coherence/propagated-changes.js';
import type { CallerRights } from '../../authz/rights.js';
import type { AuditAction } from '../../audit/audit-log.js';
import type { Keyring } from '../../crypto/keyring.js';
import type { Transaction } from '../../db/knex.js';
import { reading } from '../../db/transaction.js';
import type { Clock } from '../../lib/clock.js';
import { KeywardError, notFound } from '../../lib/errors.js';
import { presentOf } from '../../lib/instant.js';
import type { Page, PageQuery } from '../../lib/page.js';
import type { Place } from '../binding/binding.js';
import { sealValue } from '../sealed-value.js';
import type { SecretChanges } from '../secret-changes.js';
import type { SecretFinder } from '../secret-finder.js';
import type { SecretRef } from '../secret-ref.js';
import type { SecretRepository } from '../secret-repository.js';
import type { Payload, SecretVersion, VersionState } from '../secret.js';
import type { VersionRepository } from './version-repository.js';

export interface VersionServiceDependencies {
  readonly secrets: SecretRepository;
  readonly versions: VersionRepository;
  readonly finder: SecretFinder;
  readonly changes: SecretChanges;
  readonly keyring: Keyring;
  readonly clock: Clock;
}

const BECAME: Readonly<Record<VersionState, AuditAction>> = {
  ENABLED: 'SECRET_VERSION_ENABLED',
  DISABLED: 'SECRET_VERSION_DISABLED',
  DESTROYED: 'SECRET_VERSION_DESTROYED',
};

/** VersionService is what can be done with the versions of a secret. Each change of one changes the secret's etag. */
export class VersionService {
  readonly #deps: VersionServiceDependencies;

  constructor(deps: VersionServiceDependencies) {
    this.#deps = deps;
  }

  /** add makes a value the newest version of a secret. */
  async add(caller: Caller, ref: SecretRef, etag: string, payload: Payload): Promise<SecretVersion> {
    const { changes, secrets, versions, keyring } = this.#deps;
    return changes.change(caller, ref, etag, async (trx, { id }, callerRights) => {
      const seal = (place: Place) => sealValue(keyring, place, payload);
      const version = await versions.insert(trx, callerRights, id, seal, caller);
      const detail = { version: String(version.number) };
      return {
        secret: await secrets.update(trx, id, {}),
        answer: version,
        done: [{ action: 'SECRET_VERSION_ADDED', detail }],
      };
    });
  }

  async list(caller: Caller, ref: SecretRef, page: PageQuery): Promise<Page<SecretVersion>> {
    const { finder, versions } = this.#deps;
    return reading(async () => {
      const { secret, callerRights } = await finder.findLive(caller, ref);
      return versions.list(callerRights, secret.id, page);
    });
  }

  /**
   * setState enables, disables or destroys a version; one that is so already stays as it is. VERSION_NOT_ENABLED
   * if it is destroyed and shall be anything else.
   */
  async setState(
    caller: Caller,
    ref: SecretRef,
    number: number,
    etag: string,
    state: VersionState,
  ): Promise<Propagated<SecretVersion>> {
    const { changes, secrets, versions } = this.#deps;
    return changes.end(caller, ref, etag, async (trx, secret, callerRights) => {
      const version = await versions.find(trx, callerRights, { secretId: secret.id, number });
      if (version === undefined) throw notFound('version of this secret');
      if (version.state === state) return { secret, answer: version, done: [] };
      const answer = await this.#change(trx, callerRights, version, state);
      return {
        secret: await secrets.update(trx, secret.id, {}),
        answer,
        done: [{ action: BECAME[state], detail: { version: String(number) } }],
      };
    });
  }

  async #change(
    trx: Transaction,
    callerRights: CallerRights,
    version: SecretVersion,
    state: VersionState,
  ): Promise<SecretVersion> {
    const { versions, clock } = this.#deps;
    if (version.state === 'DESTROYED') {
      throw new KeywardError('VERSION_NOT_ENABLED', 'This version of the secret is destroyed for good.', {
        metadata: { state: version.state },
      });
    }
    if (state === 'DESTROYED') return versions.destroy(trx, callerRights, version, presentOf(clock));
    return versions.setEnabled(trx, callerRights, version, state === 'ENABLED');
  }
}
