import type { Knex } from 'knex';
import { ChangeFeedRepository } from '../../coherence/change-feed-repository.js';
import type { Change } from '../../coherence/change.js';
import type { Head } from '../../coherence/ports.js';
import { query, REQUEST } from '../target-store.js';
import type { ChangedHere } from './here.js';

/** Revisions that are read at once. */
const REVISIONS = 1_000;
/** How far back it is looked for uses, which are written down some time after they were made. */
const USES_KEPT = "interval '15 minutes'";
const MAX_USES = 5_000;

/** FeedPart is what was changed in Keyward in some revisions. */
export interface FeedPart {
  readonly changed: ChangedHere;
  readonly head: Head;
}

/** ChangesHere finds what was changed in Keyward: by its change feed, and uses, which are none of its changes, by their times. */
export class ChangesHere {
  readonly #knex: Knex;
  readonly #feed: ChangeFeedRepository;

  constructor(knex: Knex) {
    this.#knex = knex;
    this.#feed = new ChangeFeedRepository(knex);
  }

  /** head is the present end of the feed. */
  head(): Promise<Head> {
    return this.#feed.head();
  }

  /** after reads the next changes; undefined where they are not known any more, or all of a kind were changed. */
  async after(head: Head): Promise<FeedPart | undefined> {
    const revisions = await this.#feed.changesAfter(head, REVISIONS);
    if (typeof revisions === 'string') return undefined;
    const changes = revisions.flatMap((revision) => revision.changes);
    if (changes.some(({ op }) => op === 'truncated')) return undefined;
    const revision = revisions.at(-1)?.revision ?? head.revision;
    return { changed: await this.#concerned(changes), head: { ...head, revision } };
  }

  /**
   * uses are the tokens and secrets that were used here later than the platform knows, and those of which uses there may
   * have undone what was written a moment ago: that they are as they were before, or back again.
   */
  async uses(): Promise<Pick<ChangedHere, 'tokens' | 'secrets'>> {
    const tokens = await this.#used('token', 'tokens', 'last_used_at');
    const secrets = await this.#used('secret', 'secrets', 'last_accessed_at');
    return {
      tokens: [...tokens, ...(await this.#deleted('token'))],
      secrets: [...secrets, ...(await this.#deleted('secret'))],
    };
  }

  #used(kind: 'token' | 'secret', table: string, column: string): Promise<string[]> {
    return ids(
      this.#knex,
      `SELECT t.id::text AS id FROM ${table} t
       JOIN import_records r ON r.kind = '${kind}' AND r.target_id = t.id
       WHERE t.${column} >= statement_timestamp() - ${USES_KEPT}
         AND (t.${column} > coalesce((r.fields ->> '${column}')::timestamptz, '-infinity')
           OR r.exported_at > statement_timestamp() - ${REQUEST})
       LIMIT ${MAX_USES}`,
      [],
    );
  }

  #deleted(kind: 'token' | 'secret'): Promise<string[]> {
    return ids(
      this.#knex,
      `SELECT target_id::text AS id FROM import_records
       WHERE kind = '${kind}' AND gone_at > statement_timestamp() - ${REQUEST}
       LIMIT ${MAX_USES}`,
      [],
    );
  }

  /** #concerned are the rows of which something is to be written: what an account or a profile has, too. */
  async #concerned(changes: readonly Change[]): Promise<ChangedHere> {
    const of = (...kinds: readonly Change['kind'][]): string[] => {
      const found = changes.filter(({ kind, id }) => kinds.includes(kind) && id !== undefined);
      return [...new Set(found.map(({ id }) => String(id)))];
    };
    const owners = [of('account'), of('user_profile')];
    const owned = async (table: string): Promise<string[]> => {
      if (owners.every((some) => some.length === 0)) return [];
      return ids(
        this.#knex,
        `SELECT t.id::text AS id FROM ${table} t JOIN user_profiles p ON p.id = t.user_profile_id
         WHERE p.account_id = ANY (?::bigint[]) OR p.id = ANY (?::bigint[])`,
        owners,
      );
    };
    return {
      users: of('user'),
      tokens: [...new Set([...of('token'), ...(await owned('tokens'))])],
      secrets: [...new Set([...of('secret'), ...(await owned('secrets'))])],
    };
  }
}

async function ids(knex: Knex, sql: string, bindings: readonly string[][]): Promise<string[]> {
  const rows = await query<{ id: string }>(knex, sql, bindings);
  return rows.map(({ id }) => id);
}
