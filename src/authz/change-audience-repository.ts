import { prepare } from '../db/prepared.js';
import type { Database } from '../db/knex.js';
import type { ChangeAudience, ChangeAudienceReader } from './change-audience.js';
import { PLATFORM_ACCOUNT_NUMBER } from './rights.js';

interface ReachRow {
  readonly platform_id: bigint | null;
  /** Both null in the one row where no user that was asked for has a profile. */
  readonly user_id: bigint | null;
  readonly account_id: bigint | null;
}

/** ChangeAudienceRepository reads in one statement where users belong. */
export class ChangeAudienceRepository implements ChangeAudienceReader {
  readonly #fetch: (values: unknown[]) => Promise<ReachRow[]>;

  constructor(knex: Database) {
    this.#fetch = prepare(
      knex,
      'change-audience',
      `SELECT (SELECT id FROM accounts WHERE account_number = $1) AS platform_id, p.user_id, p.account_id
       FROM (SELECT) AS one_at_least LEFT JOIN user_profiles p ON p.user_id = ANY ($2::bigint[])`,
    );
  }

  async of(userIds: readonly bigint[]): Promise<ChangeAudience> {
    const rows = await this.#fetch([PLATFORM_ACCOUNT_NUMBER, userIds.map(String)]);
    const accountsOf = new Map<bigint, bigint[]>();
    for (const { user_id: userId, account_id: accountId } of rows) {
      if (userId === null || accountId === null) continue;
      accountsOf.set(userId, [...(accountsOf.get(userId) ?? []), accountId]);
    }
    return { platformAccountId: rows[0]?.platform_id ?? undefined, accountsOf };
  }
}
