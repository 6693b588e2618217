import type { Caller } from '../authz/caller.js';
import { meantByName } from '../authz/reader-rows.js';
import type { CallerRights, CallerRightsReader } from '../authz/rights.js';
import type { Transaction } from '../db/knex.js';
import type { Clock } from '../lib/clock.js';
import { notFound, notPermitted } from '../lib/errors.js';
import { requireEtag } from '../lib/etag.js';
import { presentOf } from '../lib/instant.js';
import type { GrantRepository } from './sharing/grant-repository.js';
import type { SecretRef } from './secret-ref.js';
import type { SecretRepository } from './secret-repository.js';
import { accessToSecret, isOver, type Secret, type SecretAccess } from './secret.js';
import { onlyOne } from '../lib/only-one.js';

/** FoundSecret is a secret that the caller may read, and what else the caller may do with it. */
export interface FoundSecret {
  readonly secret: Secret;
  readonly access: Exclude<SecretAccess, 'none'>;
}

export interface SecretFinderDependencies {
  readonly secrets: SecretRepository;
  readonly grants: GrantRepository;
  readonly rightsReader: CallerRightsReader;
  readonly clock: Clock;
}

/** ReadableSecret is one that was found for a caller, with the rights by which it was. */
export interface ReadableSecret extends FoundSecret {
  readonly callerRights: CallerRights;
}

/** Purpose is what a secret is looked for, but to read about it: to have its value, or to manage it. */
type Purpose = 'access' | 'manage';

/** SecretFinder finds the secrets that callers name, and tells absence, prohibition and permission apart. */
export class SecretFinder {
  readonly #deps: SecretFinderDependencies;

  constructor(deps: SecretFinderDependencies) {
    this.#deps = deps;
  }

  /** find finds a secret that the caller may read, in one statement; a deleted one only for those who manage it. */
  async find(caller: Caller, ref: SecretRef): Promise<ReadableSecret> {
    const { callerRights, found } = await this.#deps.secrets.readFor(caller, ref);
    const now = presentOf(this.#deps.clock);
    const readable = found.flatMap(({ secret, grantEndsAt }) =>
      asSeen(callerRights, secret, grantEndsAt !== null && !isOver(grantEndsAt, now)),
    );
    return { ...theOnly(readable), callerRights };
  }

  /**
   * findFor finds a secret to do something with it. By a name in a whole account only that of the caller or of staff is
   * found, and of several those with which the caller may do that.
   */
  async findFor(
    purpose: Purpose,
    callerRights: CallerRights,
    ref: SecretRef,
    trx: Transaction,
  ): Promise<FoundSecret> {
    const named = await this.#deps.secrets.find(ref, trx, meantByName(callerRights));
    return theOnly(ableTo(purpose, await this.visible(callerRights, named, trx)));
  }

  /** findNamedFor finds those that names in whole accounts mean to the caller, in the order of their ids. */
  async findNamedFor(
    callerRights: CallerRights,
    refs: readonly { readonly accountNumber: string; readonly name: string }[],
  ): Promise<FoundSecret[]> {
    return this.visible(callerRights, await this.#deps.secrets.findNamed(refs, meantByName(callerRights)));
  }

  /** findLive finds a secret that the caller may read and that is not deleted. */
  async findLive(caller: Caller, ref: SecretRef): Promise<ReadableSecret> {
    const found = await this.find(caller, ref);
    if (found.secret.deletedAt !== null) throw notFound('secret');
    return found;
  }

  /** visible leaves out the secrets that do not exist for the caller. */
  async visible(
    callerRights: CallerRights,
    secrets: readonly Secret[],
    trx?: Transaction,
  ): Promise<FoundSecret[]> {
    const granted = await this.#grantedOf(callerRights, secrets, trx);
    return secrets.flatMap((secret) => asSeen(callerRights, secret, granted.has(secret.id)));
  }

  /** lockManaged locks a secret that the caller manages, deleted or not, in the state that the etag marks. */
  async lockManaged(
    trx: Transaction,
    caller: Caller,
    ref: SecretRef,
    etag: string,
  ): Promise<{ readonly secret: Secret; readonly callerRights: CallerRights }> {
    const callerRights = await this.#deps.rightsReader.of(caller, trx);
    const found = await this.findFor('manage', callerRights, ref, trx);
    requireManage(found);
    const secret = await this.#deps.secrets.lock(trx, found.secret.id);
    if (secret === undefined) throw notFound('secret');
    // Another call may have given it to another owner since it was found.
    requireManage(theOnly(await this.visible(callerRights, [secret], trx)));
    requireEtag('secret', etag, secret);
    return { secret, callerRights };
  }

  async #grantedOf(
    { profiles }: CallerRights,
    secrets: readonly Secret[],
    trx: Transaction | undefined,
  ): Promise<ReadonlySet<bigint>> {
    if (secrets.length === 0 || profiles.length === 0) return new Set();
    const profileIds = profiles.map(({ id }) => id);
    const secretIds = secrets.map(({ id }) => id);
    const now = presentOf(this.#deps.clock);
    return this.#deps.grants.secretsGrantedTo(profileIds, secretIds, now, trx);
  }
}

/** asSeen is a secret with what the caller may do with it; nothing if it does not exist for the caller. */
function asSeen(callerRights: CallerRights, secret: Secret, isGranted: boolean): FoundSecret[] {
  const access = accessToSecret(callerRights, secret.owner, isGranted);
  const isVisible = secret.deletedAt === null || access === 'manage';
  return access === 'none' || !isVisible ? [] : [{ secret, access }];
}

/** requireManage refuses those who may only read a secret, or only have its value. */
export function requireManage({ access }: FoundSecret): void {
  if (access !== 'manage') throw notPermitted('The caller may read this secret but not manage it.');
}

/** ableTo leaves those of some secrets with which the caller may do something; all if there is none such. */
export function ableTo(purpose: Purpose, found: readonly FoundSecret[]): readonly FoundSecret[] {
  const able = found.filter(({ access }) => access === 'manage' || access === purpose);
  return able.length === 0 ? found : able;
}

/** theOnly is the one secret among those that a reference names for the caller. */
export function theOnly(found: readonly FoundSecret[]): FoundSecret {
  return onlyOne('secret', found, ({ secret }) => secret.id);
}
