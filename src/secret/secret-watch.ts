import { ownershipOf } from '../authz/change-audience.js';
import { ResourceWatch, type ResourceWatchDependencies } from '../watch/resource-watch.js';
import { reading } from '../db/transaction.js';
import type { Clock } from '../lib/clock.js';
import { presentOf } from '../lib/instant.js';
import { bytesOfAll } from '../lib/fields.js';
import { covers } from '../lib/scopes.js';
import type { GrantRepository, GrantTerm } from './sharing/grant-repository.js';
import type { SecretRepository } from './secret-repository.js';
import { accessToSecret, isOver, SECRET_FIELDS, type Secret } from './secret.js';

export interface SecretWatchDependencies extends ResourceWatchDependencies {
  readonly secrets: Pick<SecretRepository, 'findAll'>;
  readonly grants: Pick<GrantRepository, 'termsOf'>;
  readonly clock: Clock;
}

/** SecretFacts are the secrets, of those that were changed, that there are, and their grants. */
interface SecretFacts {
  readonly secrets: ReadonlyMap<bigint, Secret>;
  readonly grants: readonly GrantTerm[];
}

/** What of a secret is shown takes this scope. */
const READ = 'keyward.secrets.read';

export type SecretWatch = ResourceWatch<Secret, SecretFacts>;

/** About what a grant takes in memory; a secret may have as many as there are user profiles. */
const GRANT_BYTES = 200;

/** secretWatch makes what tells callers of the changes of secrets that they may read, and never a value. */
export function secretWatch(deps: SecretWatchDependencies): SecretWatch {
  return new ResourceWatch(deps, {
    kind: 'secret',
    fields: SECRET_FIELDS,
    read: (ids) =>
      reading(async () => {
        const [secrets, grants] = await Promise.all([deps.secrets.findAll(ids), deps.grants.termsOf(ids)]);
        return { secrets: new Map(secrets.map((secret) => [secret.id, secret])), grants };
      }),
    bytesOf: ({ secrets, grants }) =>
      bytesOfAll(SECRET_FIELDS, secrets.values()) + grants.length * GRANT_BYTES,
    tellsOwners: (scopes) => covers(scopes, READ),
    tell: (change, { secrets, grants, reach }, callerRights, scopes) => {
      const now = presentOf(deps.clock);
      const own = new Set(callerRights.profiles.map(({ id }) => id));
      const isGranted = grants.some(
        ({ secretId, profileId, expiresAt }) =>
          secretId === change.id && own.has(profileId) && !isOver(expiresAt, now),
      );
      const secret = secrets.get(change.id);
      const access = accessToSecret(callerRights, secret?.owner ?? ownershipOf(change, reach), isGranted);
      const isGrantee = change.granteeIds.some((id) => own.has(id));
      if (access === 'none' && !isGrantee) return undefined;
      const mayRead = covers(scopes, READ);
      // Who may only have values is told of those, and of nothing else that is known of the secret.
      if (!mayRead && access === 'read' && !isGrantee) return undefined;
      if (secret !== undefined && access !== 'none' && secret.deletedAt === null)
        return {
          type: change.op === 'created' ? 'CREATED' : 'UPDATED',
          resource: mayRead ? secret : undefined,
        };
      return { type: 'DELETED', resource: access === 'manage' && mayRead ? secret : undefined };
    },
  });
}
