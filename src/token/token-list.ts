import { mayReadProfile, ownedReadably } from '../authz/reader-rows.js';
import { readable, type CallerRights, type Readable } from '../authz/rights.js';
import type { Database, Query } from '../db/knex.js';
import { ownedBy, type LargeList } from '../db/large-list.js';
import type { PageQuery } from '../lib/page.js';
import { INDEXED_FIELDS, ISSUER_COLUMNS, TOKEN_COLUMNS } from './token-columns.js';

/** listOfTokens is the list of those that a caller may read; by who issued them, of those that the caller manages. */
export function listOfTokens(
  knex: Database,
  callerRights: CallerRights,
  page: PageQuery,
  select: () => Query,
): Omit<LargeList<never>, 'fromRow'> {
  const seen = readable(callerRights);
  const owned = mayReadProfile(callerRights);
  const ofOwned = ownedReadably(callerRights, 't.user_profile_id');
  const tellsIssuers = page.comparisons.some(({ field }) => field in ISSUER_COLUMNS);
  const restricted = (query: Query): Query =>
    tellsIssuers && typeof seen === 'object' ? whereManaged(query, seen.managed) : query;
  const owners = (query: Query): Query => query.whereRaw(owned.sql, owned.bindings);
  return {
    table: 'tokens',
    alias: 't',
    columns: TOKEN_COLUMNS,
    indexed: INDEXED_FIELDS,
    parts: { token_key: { table: 'token_digests as d', sql: 'd.token_key', id: 'd.token_id' } },
    select: () => restricted(owners(select())),
    visible: (query) => restricted(query.whereRaw(ofOwned.sql, ofOwned.bindings)),
    narrow: seen === 'everything' ? undefined : ownedBy(knex, { table: 'tokens' }, owners),
    owners,
  };
}

function whereManaged(query: Query, { accountIds, profileIds }: Extract<Readable, object>['managed']): Query {
  return query.whereRaw(
    't.user_profile_id = ANY (?::bigint[] || ARRAY(SELECT id FROM user_profiles WHERE account_id = ANY (?::bigint[])))',
    [profileIds.map(String), accountIds.map(String)],
  );
}
