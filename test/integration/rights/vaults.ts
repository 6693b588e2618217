import type { Knex } from 'knex';
import { systemClock } from '../../../src/lib/clock.js';
import { systemTimers } from '../../../src/lib/timers.js';
import { secretServiceHandlers } from '../../../src/secret/secret-service-handler.js';
import type { SecretServices, SecretServicesDependencies } from '../../../src/secret/secret-services.js';
import { createLogger } from '../../../src/telemetry/logger.js';
import { testKeyring } from '../../support/audit.js';
import { TEST_KEY } from '../../support/keyring.js';
import { changesAlone } from '../../support/single-replica.js';
import { sealed, storeSecrets } from '../../support/stored-secrets.js';
import type { Vault } from './oracle.js';

const PLATFORM = '3141-5926-5359';

/** vaultDependencies are what the services of secrets need besides what others need too. */
export function vaultDependencies(trx: Knex.Transaction) {
  return {
    changes: changesAlone(trx),
    urgent: trx,
    keyring: testKeyring(),
    audit: {
      record: () => Promise.resolve(),
      append: () => Promise.resolve(),
      hasRecorded: () => Promise.resolve(true),
    },
    refusals: { add: () => Promise.resolve() },
    clock: systemClock,
    logger: createLogger('fatal'),
    timers: systemTimers,
    accessLimitMs: 60_000,
    retention: 0n,
  } satisfies Partial<SecretServicesDependencies>;
}

/** reachingHandlers are the methods by which the value of a secret may reach others, or a secret another owner. */
export function reachingHandlers(services: SecretServices) {
  const nothing = {} as never;
  const { cloneSecret, transferSecret, grantAccess } = secretServiceHandlers(
    services,
    nothing,
    nothing,
    systemClock,
  );
  return { cloneSecret, transferSecret, grantAccess };
}

/** keepVaults makes a secret for each of some profiles. */
export async function keepVaults(knex: Knex, profileIds: readonly bigint[]): Promise<void> {
  for (const profileId of profileIds) {
    await storeSecrets(knex, profileId, TEST_KEY, [{ versions: [sealed(TEST_KEY, 'a value')] }]);
  }
}

/** readVaults are the secrets that there are. Each copy was made of one that holds the same value. */
export async function readVaults(
  trx: Knex.Transaction,
  originals: ReadonlyMap<string, string>,
): Promise<Vault[]> {
  const { rows } = await trx.raw<{
    rows: { id: bigint; profile_id: bigint; account_id: bigint; is_platform: boolean; grantees: string[] }[];
  }>(
    `SELECT s.id, p.id AS profile_id, a.id AS account_id, a.account_number = ? AS is_platform, ARRAY(
       SELECT g.user_profile_id::text FROM secret_grants g WHERE g.secret_id = s.id) AS grantees
     FROM secrets s JOIN user_profiles p ON p.id = s.user_profile_id JOIN accounts a ON a.id = p.account_id`,
    [PLATFORM],
  );
  return rows.map(
    ({ id, profile_id: profileId, account_id: accountId, is_platform: isPlatform, grantees }) => ({
      value: originals.get(String(id)) ?? String(id),
      place: { profileId: String(profileId), accountId: String(accountId), isPlatform },
      grantees,
    }),
  );
}
