/**
 * `manifest/` keeps resources as documents describe them. `manifest-text` reads texts, within limits; `manifest-reader` makes
 * documents of what they hold, by the tables of fields; `plan` tells what a document changes; `keepers` are the services by
 * which that is done, so that rights, rules and records are those of every other change.
 *
 *     const { applied } = await manifestService.apply(caller, { manifest, dryRun: false, mask: undefined, values });
 */

import { timingSafeEqual } from 'node:crypto';
import type { AccountRef, UserProfileRef, UserRef } from '../authz/refs.js';
import type { Caller } from '../authz/caller.js';
import type { Propagation } from '../coherence/propagation.js';
import type { Propagated } from '../coherence/propagated-changes.js';
import type { Clock } from '../lib/clock.js';
import { KeywardError, scopeMissing, type Reason } from '../lib/errors.js';
import { presentOf } from '../lib/instant.js';
import { covers, type Permission } from '../lib/scopes.js';
import { Violations } from '../lib/violations.js';
import type { AccessService } from '../secret/access/access-service.js';
import type { SecretRef } from '../secret/secret-ref.js';
import type { Payload } from '../secret/secret.js';
import type { TokenRef } from '../token/token-ref.js';
import { findIn, keepersOver, type AllSettings, type Services } from './keepers.js';
import { rulesOf, VALUE_FROM, maskPathOf, type KindName } from './kinds.js';
import type { Manifest, ManifestDocument } from './manifest-reader.js';
import { writeManifest, type Described, type Format } from './manifest-writer.js';
import { planOf, type FieldChange, type Plan } from './plan.js';

/** Application is what to apply, and how. */
export interface Application {
  readonly manifest: Manifest;
  /** Whether to change nothing, and to tell what would be changed. */
  readonly dryRun: boolean;
  /** Paths of the fields to change; undefined for all that documents have. */
  readonly mask: readonly string[] | undefined;
  /** The values of secrets, by their documents. */
  readonly values: ReadonlyMap<ManifestDocument, Payload>;
}

/** Applied is what became of one document. */
export interface Applied {
  readonly kind: KindName;
  readonly name: string;
  readonly outcome: Plan['outcome'];
  readonly changes: readonly FieldChange[];
  /** Not of one that would be made, and without a row version where it would be changed. */
  readonly kept: { readonly id: bigint; readonly rowVersion: bigint | undefined } | undefined;
  /** Of a token that was made; empty otherwise. */
  readonly plaintext: string;
  readonly deactivated: number;
}

export interface AppliedManifest {
  readonly applied: readonly Applied[];
  /** Undefined where nothing was changed. */
  readonly propagation: Propagation | undefined;
}

/** ManifestSubject is a resource to describe. */
export type ManifestSubject =
  | { readonly kind: 'ApiKey'; readonly ref: TokenRef }
  | { readonly kind: 'Secret'; readonly ref: SecretRef }
  | { readonly kind: 'Account'; readonly ref: AccountRef }
  | { readonly kind: 'User'; readonly ref: UserRef }
  | { readonly kind: 'UserProfile'; readonly ref: UserProfileRef };

/** OneTransaction runs calls of the services as one: all of them are done, or none. */
export interface OneTransaction {
  run<T>(caller: Caller, work: (services: Services) => Promise<T>): Promise<Propagated<T>>;
  /** attempt does the same and undoes it, as if it had never been. */
  attempt<T>(caller: Caller, work: (services: Services) => Promise<T>): Promise<T>;
}

export interface ManifestServiceDependencies {
  readonly services: Services;
  readonly transaction: OneTransaction;
  readonly access: Pick<AccessService, 'access' | 'recordMissingScope'>;
  readonly clock: Clock;
}

const ACCESS: Permission = 'keyward.secrets.access';
/** Why there may be no value to compare a new one with. */
const NO_VALUE: readonly Reason[] = ['VERSION_NOT_ENABLED', 'SECRET_UNDECRYPTABLE', 'SECRET_MISPLACED'];

/** ManifestService applies documents and describes resources. What may be done is what the services let the caller do. */
export class ManifestService {
  readonly #deps: ManifestServiceDependencies;

  constructor(deps: ManifestServiceDependencies) {
    this.#deps = deps;
  }

  async apply(caller: Caller, given: Application): Promise<AppliedManifest> {
    for (const { kind } of given.manifest.documents) requireScopes(caller, kind, ['read', 'write']);
    const application = { ...given, values: await this.#newValues(caller, given) };
    const { services, transaction } = this.#deps;
    const plans = await this.#plan(services, caller, application);
    if (plans.every(({ outcome }) => outcome === 'UNCHANGED'))
      return { applied: plans.map(untouched), propagation: undefined };
    const work = (joined: Services): Promise<Applied[]> => this.#carryOut(joined, caller, application);
    if (application.dryRun) {
      const applied = await transaction.attempt(caller, work);
      return { applied: applied.map(asIfNot), propagation: undefined };
    }
    const { result, propagation } = await transaction.run(caller, work);
    return { applied: result, propagation };
  }

  async describe(caller: Caller, subject: ManifestSubject, format: Format): Promise<string> {
    requireScopes(caller, subject.kind, ['read']);
    const { tokens, secrets, accounts } = this.#deps.services;
    const write = (resource: Described, status: Parameters<typeof writeManifest>[2] = {}): string =>
      writeManifest(subject.kind, resource, status, format);
    switch (subject.kind) {
      case 'ApiKey': {
        const { token } = await tokens.get(caller, subject.ref);
        const { keyId, lastUsedAt } = token;
        return write(token, { keyId, lastUsedAt });
      }
      case 'Secret': {
        const { latestVersion, lastAccessedAt, ...secret } = await secrets.get(caller, subject.ref);
        return write(secret, { latestVersion: String(latestVersion), lastAccessedAt });
      }
      case 'Account':
        return write(await accounts.getAccount(caller, subject.ref));
      case 'User':
        return write(await accounts.getUser(caller, subject.ref));
      case 'UserProfile':
        return write(await accounts.getUserProfile(caller, subject.ref));
    }
  }

  /** #newValues leaves out the values that secrets have already: giving one twice makes no second version. */
  async #newValues(
    caller: Caller,
    { manifest, mask, values }: Application,
  ): Promise<Map<ManifestDocument, Payload>> {
    const isMasked = mask?.includes(maskPathOf(VALUE_FROM)) === false;
    const found = new Map<ManifestDocument, Payload>();
    for (const document of manifest.documents) {
      const payload = values.get(document);
      if (payload === undefined) continue;
      const secret = await findIn(keepersOver(this.#deps.services).Secret, caller, document);
      const isWanted =
        secret === undefined || !(isMasked || (await this.#hasValue(caller, secret.id, payload)));
      if (isWanted) found.set(document, payload);
    }
    return found;
  }

  /** #hasValue tells of a value whether it is the secret's. Who asks learns of it, and so must be one who may have it. */
  async #hasValue(caller: Caller, id: bigint, { bytes }: Payload): Promise<boolean> {
    if (!covers(caller.scopes, ACCESS)) {
      await this.#deps.access.recordMissingScope(caller);
      throw scopeMissing(ACCESS);
    }
    const ref = { by: 'id', id } as const;
    try {
      const { payload } = await this.#deps.access.access(caller, {
        ref,
        version: null,
        includeExpired: true,
        skipAccessTime: true,
      });
      return payload.bytes.length === bytes.length && timingSafeEqual(payload.bytes, bytes);
    } catch (error) {
      if (error instanceof KeywardError && NO_VALUE.includes(error.reason)) return false;
      throw error;
    }
  }

  /** #plan tells what all documents come to, or all that is wrong with them. */
  async #plan(services: Services, caller: Caller, { manifest, mask, values }: Application): Promise<Plan[]> {
    const v = new Violations();
    const placed = new Violations();
    const now = presentOf(this.#deps.clock);
    const keepers = keepersOver(services);
    const plans: Plan[] = [];
    for (const document of manifest.documents) {
      const keeper = keepers[document.kind];
      const isOwned = rulesOf(document.kind).identity === 'owner';
      if (isOwned && document.owner === undefined && caller.profileId === undefined)
        v.add(`${document.path}.spec.owner`, 'is required: the caller has no user profile');
      const before = await findIn(keeper, caller, document);
      if (before === undefined) keeper.checkNew?.(v, document);
      plans.push(planOf(v, document, { before, mask, now, payload: values.get(document) }));
    }
    manifest.place(v, placed);
    placed.throwIfAny();
    return plans;
  }

  /** #carryOut plans anew: what the first plan was based on may have changed since. */
  async #carryOut(services: Services, caller: Caller, application: Application): Promise<Applied[]> {
    const plans = await this.#plan(services, caller, application);
    const keepers = keepersOver(services);
    const applied: Applied[] = [];
    for (const plan of plans) {
      const { document, outcome, before, payload } = plan;
      const settings = plan.settings as unknown as AllSettings;
      const keeper = keepers[document.kind];
      if (outcome === 'UNCHANGED') {
        applied.push(untouched(plan));
        continue;
      }
      const done =
        before === undefined
          ? await keeper.create(caller, document, settings, payload)
          : await keeper.change(caller, before, settings, payload);
      const { kept, plaintext = '', deactivated = 0 } = done;
      const { id, rowVersion } = kept;
      applied.push({ ...untouched(plan), kept: { id, rowVersion }, plaintext, deactivated });
    }
    return applied;
  }
}

function requireScopes(caller: Caller, kind: KindName, purposes: readonly ('read' | 'write')[]): void {
  for (const purpose of purposes) {
    const scope = rulesOf(kind)[purpose];
    if (!covers(caller.scopes, scope)) throw scopeMissing(scope);
  }
}

function untouched({ document: { kind, name, identity }, outcome, changes, before }: Plan): Applied {
  const called = name === '' ? (identity.username ?? '') : name;
  return { kind, name: called, outcome, changes, kept: before, plaintext: '', deactivated: 0 };
}

/** asIfNot tells of what was undone: nothing has the numbers that it had. */
function asIfNot(applied: Applied): Applied {
  const { outcome, kept } = applied;
  if (outcome === 'UNCHANGED' || kept === undefined) return applied;
  const { id } = kept;
  return {
    ...applied,
    plaintext: '',
    kept: outcome === 'CREATED' ? undefined : { id, rowVersion: undefined },
  };
}
